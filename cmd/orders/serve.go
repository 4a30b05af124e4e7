package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"

	"orders/shared/api"
	"orders/shared/order"
	"orders/shared/sqlite"
)

// Run runs the service until the context ends or the service cannot go on. It then waits for the
// requests under way.
func (c *serveCommand) Run(ctx context.Context, out console) error {
	log := c.newLogger(out.stderr)
	listener, err := (&net.ListenConfig{}).Listen(ctx, network(c.Addr), c.Addr)
	if err != nil {
		return err // no file is created
	}
	fulfilment := c.fulfilment()
	server := newServer(newHostNames(listener.Addr(), c.trustedHosts()), log)
	server.api.External = fulfilment.External
	server.start(listener)
	store, err := sqlite.Open(ctx, sqlite.Config{
		Path: c.DB, Fulfilment: fulfilment,
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
	fmt.Fprintf(out.stdout, "orders %s listens on http://%s (database %s, API page /docs/)\n", version, listener.Addr(), c.DB)

	grace := time.Duration(0) // without a store that accepts orders
	select {
	case <-ctx.Done():
		grace = keepAliveGrace
	case <-store.Done():
	case <-server.done:
		err = server.err
	}
	return errors.Join(err, server.stop(grace), store.Close())
}

// network returns the network to listen on. With "tcp", 0.0.0.0 would also open the port for IPv6.
func network(addr string) string {
	if ip, err := netip.ParseAddrPort(addr); err == nil && ip.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

func (c *serveCommand) newLogger(w io.Writer) *slog.Logger {
	level, _ := c.logLevel() // AfterApply has checked it
	options := &slog.HandlerOptions{Level: level}
	file, isFile := w.(*os.File)
	terminal := isFile && isatty.IsTerminal(file.Fd())
	if c.LogFormat == "text" || c.LogFormat == "" && terminal {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// Limits of the server. A client that is slower loses its connection.
const (
	readTimeout    = 10 * time.Second // for the headers and the body together
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// Limits of a stop, from its beginning. Docker kills a process after 10 s.
const (
	keepAliveGrace = time.Second     // how long keep-alive connections may still send requests
	stallTimeout   = 5 * time.Second // when clients that stall lose their connection
	stopTimeout    = 7 * time.Second // when all requests are cut off
)

// A server responds as soon as it listens. Until the store is open, all responses but those of the
// probes are a 503.
type server struct {
	http        *http.Server
	api         api.Config // without a store
	hosts       *hostNames // nil if every Host header is accepted
	misdirected http.Handler
	// warnMisdirected logs the first refused Host header, which may be that of a reverse proxy.
	warnMisdirected sync.Once
	backend         atomic.Pointer[backend]
	stallDeadline   atomic.Pointer[time.Time] // nil until the server stops
	connections     connections

	listener net.Listener
	done     chan struct{} // closed when the server accepts no more connections
	err      error         // the reason, once done is closed
}

// A backend handles the requests: one while the store is being opened, and another one afterwards.
type backend struct {
	handler http.Handler
	ping    func(context.Context) error // returns nil while orders are accepted
}

var (
	errStarting = fmt.Errorf("%w: the database file is being opened", order.ErrUnavailable)
	errStopping = fmt.Errorf("%w: the service is stopping", order.ErrUnavailable)
)

func newServer(hosts *hostNames, logger *slog.Logger) *server {
	s := &server{hosts: hosts, done: make(chan struct{})}
	s.api = api.Config{
		Health: s.health, RequestID: requestIDs(), Now: time.Now,
		Log: logger, StoreLogs: true, Sampler: api.NewSampler(logger),
	}
	s.misdirected = api.NewRefusing(s.api, api.ErrMisdirected)
	s.backend.Store(&backend{
		handler: api.NewRefusing(s.api, errStarting),
		ping:    func(context.Context) error { return errStarting },
	})
	s.http = &http.Server{
		Handler:        s,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ConnState:      s.connections.note,
		ErrorLog:       log.New(serverLog{s}, "", 0),
	}
	return s
}

func (s *server) start(listener net.Listener) {
	s.listener = listener
	go func() {
		defer close(s.done)
		s.err = s.http.Serve(listener)
	}()
}

// open serves the API over the store, and its docs, from now on.
func (s *server) open(store *sqlite.Store) {
	cfg := s.api
	cfg.Orders, cfg.Metrics = store, store
	s.backend.Store(&backend{handler: withDocs(api.New(cfg)), ping: store.Ping})
}

func (s *server) health(ctx context.Context) error {
	if s.stallDeadline.Load() != nil {
		return errStopping
	}
	return s.backend.Load().ping(ctx)
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.connections.requests.Add(1)
	defer s.connections.requests.Add(-1)
	if deadline := s.stallDeadline.Load(); deadline != nil {
		w.Header().Set("Connection", "close")
		limit(http.NewResponseController(w), *deadline)
	}
	if s.hosts != nil && !s.hosts.contain(r.Host) {
		s.warnMisdirected.Do(func() {
			s.api.Log.Warn("a request names another host than this service answers to, and gets 421: --trusted-host adds a name")
		})
		s.misdirected.ServeHTTP(w, r)
		return
	}
	s.backend.Load().handler.ServeHTTP(w, r)
}

// stop closes the listener and waits for the requests under way. During grace, keep-alive connections
// may send further requests. It returns an error if requests do not end in time, but not for clients
// that stall.
func (s *server) stop(grace time.Duration) error {
	began := time.Now()
	deadline := began.Add(stallTimeout)
	s.stallDeadline.Store(&deadline)
	_ = s.listener.Close() // makes Serve return
	<-s.done
	s.api.Log.Info("stopping: requests under way are being answered")
	for s.connections.count() > 0 && time.Since(began) < grace {
		time.Sleep(10 * time.Millisecond)
	}
	s.connections.limit(deadline)
	if open := s.connections.count(); open > 0 {
		// A connection without a request under way may be sending one.
		s.api.Log.Info("stopping: waiting for connections to end", "connections", open, "requests_under_way", s.connections.requests.Load())
	}
	ctx, cancel := context.WithDeadline(context.Background(), began.Add(stopTimeout))
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("some requests did not end within %s: %w", stopTimeout, err), s.http.Close())
	}
	s.api.Sampler.Flush()
	return err
}

// connections has the open connections of a server, and the number of requests under way.
type connections struct {
	requests atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]bool
}

// note is the ConnState hook of the server.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	if state != http.StateNew && state != http.StateClosed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed {
		delete(c.open, conn)
		return
	}
	if c.open == nil {
		c.open = map[net.Conn]bool{}
	}
	c.open[conn] = true
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// limit sets deadlines for clients to send their requests and to read the responses.
func (c *connections) limit(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		limit(conn, deadline)
	}
}

// limit cuts off a request at the deadline, and its response a second later, so that a client with an
// incomplete request gets a response. Errors mean that the connection is gone.
func limit(conn interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}, deadline time.Time) {
	_ = conn.SetReadDeadline(deadline)
	_ = conn.SetWriteDeadline(deadline.Add(time.Second))
}

// A serverLog logs the lines of net/http. Clients can cause many of them, for example with more
// connections than the operating system allows.
type serverLog struct{ *server }

func (l serverLog) Write(line []byte) (int, error) {
	if l.api.Sampler.Allow(time.Now(), slog.LevelWarn, "net/http", 0) {
		l.api.Log.Warn(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

// requestIDs returns a function for new ids: a random prefix of this process, and a counter.
func requestIDs() func() string {
	prefix := rand.Text()[:10] + "-"
	var n atomic.Uint64
	return func() string { return prefix + strconv.FormatUint(n.Add(1), 36) }
}
