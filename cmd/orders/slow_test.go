package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// slowClients are clients that stall, and when they must lose their connection.
var slowClients = []struct {
	name  string
	sends string // at once
	drips string // a byte of it each second
	reads bool   // whether they read responses
	gone  time.Duration
}{
	{"send nothing", "", "", true, readTimeout},
	{"never end their headers", "POST /api/orders/ HTTP/1.1\r\nHost: orders\r\n", "", true, readTimeout},
	{"never end their body", halfOrder, "", true, readTimeout},
	{"send a byte of their headers a second", "POST /api/orders/ HTTP/1.1\r\nX-Slow: ", "z", true, readTimeout},
	{"send a byte of their body a second", halfOrder, " ", true, readTimeout},
	{"never read", "GET /api/metrics/ HTTP/1.1\r\nHost: orders\r\n\r\n", "", false, writeTimeout},
	{"have nothing more to ask", "GET /api/metrics/ HTTP/1.1\r\nHost: orders\r\n\r\n", "", true, idleTimeout},
}

const halfOrder = "POST /api/orders/ HTTP/1.1\r\nHost: orders\r\nContent-Type: application/json\r\n" +
	"Content-Length: 100\r\n\r\n" + `{"user_id":645,`

// F26, I16: the clock of a synctest bubble jumps ahead when all goroutines wait. The bubble fails the
// test if a goroutine is left at its end.
func TestSlowClientsLoseTheirConnectionAndDisturbNobody(t *testing.T) {
	const clients = 1000
	for _, slow := range slowClients {
		t.Run(slow.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, network := serveInMemory(t)
				began := time.Now()
				gone := make(chan time.Duration, clients)
				var dripping sync.WaitGroup
				for range clients {
					conn := network.dial()
					go func() {
						defer conn.Close()
						_, _ = io.WriteString(conn, slow.sends)
						if slow.drips != "" {
							dripping.Go(func() { drip(conn, slow.drips) })
						}
						if !slow.reads {
							time.Sleep(slow.gone + time.Millisecond)
						}
						n, err := io.Copy(io.Discard, conn)
						if err != nil || !slow.reads && n > 0 {
							t.Errorf("read %d bytes and %v; want a closed connection", n, err)
						}
						gone <- time.Since(began)
					}()
				}
				synctest.Wait()
				before := time.Now()
				other := network.dialRaw()
				defer other.Close()
				if status, _ := other.send(t, createRequest); status != http.StatusCreated || time.Since(before) > time.Second {
					t.Errorf("another client got a %d after %s", status, time.Since(before))
				}
				giveUp := time.After(slow.gone + time.Minute)
				for range clients {
					select {
					case after := <-gone:
						// net/http gives a client half a second to read the last response.
						if after < slow.gone || after > slow.gone+time.Second {
							t.Fatalf("gone after %s, want %s", after, slow.gone)
						}
					case <-giveUp:
						t.Fatalf("still connected after %s, want %s", time.Since(began), slow.gone)
					}
				}
				dripping.Wait()
				if tally, _ := store.Metrics(t.Context()); tally.Total() != 1 {
					t.Errorf("%d orders are stored; want only that of the other client", tally.Total())
				}
			})
		})
	}
}

// drip sends a byte a second until the connection is gone.
func drip(conn net.Conn, bytes string) {
	for err := error(nil); err == nil; _, err = io.WriteString(conn, bytes) {
		time.Sleep(time.Second)
	}
}

// serveInMemory serves a real store on a network in memory until the end of the bubble.
func serveInMemory(t *testing.T) (*sqlite.Store, *memoryNetwork) {
	t.Helper()
	store, server, network := openInMemory(t, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := errors.Join(server.stop(0), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return store, network
}

// openInMemory is serveInMemory, but leaves it to the caller to stop the server.
func openInMemory(t *testing.T, log *slog.Logger) (*sqlite.Store, *server, *memoryNetwork) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{
		Path: newPath(t), Fulfilment: order.Timer(order.MaxProcessingTime),
		Now: laterThanTheBubble, Random: rand.Reader, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	network := &memoryNetwork{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := newServer(nil, log)
	server.start(network)
	server.open(store)
	return store, server, network
}

// laterThanTheBubble is a clock for the store, which refuses that of a bubble: it begins in the year
// 2000.
func laterThanTheBubble() time.Time { return time.Now().Add(30 * 365 * 24 * time.Hour) }

// A memoryNetwork is a net.Listener whose connections are pipes. Unlike sockets they let the clock of
// a bubble jump.
type memoryNetwork struct {
	conns  chan net.Conn
	closed chan struct{}
	close  sync.Once
}

func (m *memoryNetwork) dial() net.Conn {
	client, server := net.Pipe()
	m.conns <- server
	return client
}

func (m *memoryNetwork) dialRaw() *rawConnection {
	conn := m.dial()
	return &rawConnection{conn, bufio.NewReader(conn)}
}

func (m *memoryNetwork) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memoryNetwork) Close() error   { m.close.Do(func() { close(m.closed) }); return nil }
func (m *memoryNetwork) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

const (
	// A large response has 400 KB. The buffers of both sockets hold less than 16 of them.
	manyResponses = 16
	largeRequest  = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"
	// cutOffBy is longer than every limit of the server together.
	cutOffBy = writeTimeout + 20*time.Second
)

// F26, I16: the sockets are real, and so are the process and the time that this takes.
func TestProcessServesOthersUntilEverySlowClientIsCutOff(t *testing.T) {
	t.Parallel() // it waits for the limits, and hardly works meanwhile
	s := start(t, newPath(t))
	const (
		silent, dripping = 490, 490
		unreading        = 20 // each fills some megabytes of the kernel's memory
		clients          = silent + dripping + unreading
	)
	ended := make(chan error, clients)
	for _, kind := range []struct {
		clients int
		isSlow  func(net.Conn) error // returns nil once the connection is lost
	}{
		{silent, sendNothing},
		{dripping, func(conn net.Conn) error {
			return sendSlowly(conn, "GET /api/metrics/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: "+strings.Repeat("z", 100))
		}},
		{unreading, func(conn net.Conn) error {
			if _, err := io.WriteString(conn, strings.Repeat(largeRequest, manyResponses)); err != nil {
				return err
			}
			return sendSlowly(conn, largeRequest)
		}},
	} {
		for range kind.clients {
			conn := s.dialSlow(t)
			go func() { ended <- kind.isSlow(conn) }()
		}
	}
	s.client.Timeout = cutOffBy
	others := time.NewTicker(100 * time.Millisecond)
	defer others.Stop()
	for left := clients; left > 0; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("a slow client: %v", err)
			}
			left--
		case <-others.C:
			s.mustCreate(t)
		}
	}
	s.stop(t)
}

func (s *service) dialSlow(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr())
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(cutOffBy))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func sendNothing(conn net.Conn) error {
	n, err := conn.Read(make([]byte, 1))
	if n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("it has %d bytes, and %w", n, err)
	}
	return nil
}

// sendSlowly sends a byte a second, and reads nothing.
func sendSlowly(conn net.Conn, text string) error {
	for began, n := time.Now(), 0; time.Since(began) < cutOffBy; n++ {
		if _, err := conn.Write([]byte{text[n%len(text)]}); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		time.Sleep(time.Second)
	}
	return errors.New("it is still connected")
}
