package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"

	"orders/shared/api"
	"orders/shared/sqlite"
)

// serve runs the service until the context ends, and then lets the requests
// under way end.
func serve(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	log := newLogger(cfg, stderr)
	store, err := sqlite.Open(ctx, sqlite.Config{
		Path: cfg.db, ProcessingTime: cfg.processingTime,
		Now: time.Now, Elapsed: sqlite.Elapsed, Random: bufio.NewReader(rand.Reader), Log: log,
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.addr)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	server := newServer(newHandler(store, log), log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "orders %s listens on http://%s (database %s, API page /docs/)\n", version, listener.Addr(), cfg.db)

	select {
	case <-ctx.Done():
		log.Info("stopping: requests under way are being answered")
	case <-store.Done():
	case err = <-served:
	}
	return errors.Join(err, shutdown(server), store.Close())
}

// Limits of the server. A client that is slower loses its connection and
// disturbs nobody.
const (
	readTimeout    = 10 * time.Second // for the headers and the body together
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	drainTimeout   = 20 * time.Second
)

func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:        handler,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// shutdown takes no new requests and waits for those under way.
func shutdown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("some requests did not end within %s: %w", drainTimeout, err), server.Close())
	}
	return nil
}

// newHandler serves the API and its description.
func newHandler(store *sqlite.Store, log *slog.Logger) http.Handler {
	return withDescription(api.New(api.Config{
		Orders: store, Metrics: store, Health: store.Ping,
		RequestID: requestIDs(), Now: time.Now, Log: log,
	}))
}

// requestIDs counts requests behind a prefix of this process's own.
func requestIDs() func() string {
	prefix := rand.Text()[:10] + "-"
	var n atomic.Uint64
	return func() string { return prefix + strconv.FormatUint(n.Add(1), 36) }
}

func newLogger(cfg config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.logLevel}
	file, isFile := w.(*os.File)
	terminal := isFile && isatty.IsTerminal(file.Fd())
	if cfg.logFormat == "text" || cfg.logFormat == "" && terminal {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
