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
	"net/netip"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"orders/shared/sqlite"
)

// serve runs the service until the context ends, and then lets the requests
// under way end.
func serve(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	log := newLogger(cfg, stderr)
	listener, err := (&net.ListenConfig{}).Listen(ctx, network(cfg.addr), cfg.addr)
	if err != nil {
		return err // before there is a file
	}
	server := newServer(newHostNames(listener.Addr(), cfg.trustedHosts), log)
	server.start(listener)
	store, err := sqlite.Open(ctx, sqlite.Config{
		Path: cfg.db, ProcessingTime: cfg.processingTime,
		Now: time.Now, Elapsed: elapsed, Random: bufio.NewReader(rand.Reader), Log: log,
	})
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		log.Info("stopping before the database is open", "err", err)
		return server.stop(keepAliveGrace)
	}
	if err != nil {
		return errors.Join(err, server.http.Close())
	}
	server.open(store)
	if !isLoopback(listener.Addr()) {
		log.Warn("there is no authentication: whoever reaches this address can read and create orders", "addr", listener.Addr().String())
	}
	fmt.Fprintf(stdout, "orders %s listens on http://%s (database %s, API page /docs/)\n", version, listener.Addr(), cfg.db)

	grace := time.Duration(0) // there is nothing to take an order for
	select {
	case <-ctx.Done():
		grace = keepAliveGrace
	case <-store.Done():
	case <-server.done:
		err = server.err
	}
	return errors.Join(err, server.stop(grace), store.Close())
}

// network is that of an address: an IPv4 address is not to open the port for IPv6, too, as
// 0.0.0.0 would.
func network(addr string) string {
	if ip, err := netip.ParseAddrPort(addr); err == nil && ip.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
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
