package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"orders/test/conformance"
)

// F25, I1, I4, I9.
func TestTerminationUnderLoadLosesNoAcknowledgedOrder(t *testing.T) {
	const clients, enough = 8, 300
	db := newPath(t)
	s := start(t, db, "--processing-time", "50ms")
	var (
		acknowledged sync.Map
		count        atomic.Int64
		terminating  atomic.Bool
		wg           sync.WaitGroup
	)
	reached := make(chan struct{})
	for range clients {
		wg.Go(func() {
			for {
				res, err := s.create("")
				if err != nil || res.status != http.StatusCreated {
					if !terminating.Load() {
						t.Errorf("before the signal: %d %s, %v", res.status, res.body, err)
					}
					return
				}
				acknowledged.Store(res.id, true)
				if count.Add(1) == enough {
					close(reached)
				}
			}
		})
	}
	<-reached
	terminating.Store(true)
	s.signal()
	wg.Wait()
	s.awaitEnd(t)

	s = startHere(t, db)
	acknowledged.Range(func(id, _ any) bool { s.checkOrder(t, id.(string)); return true })
	s.stop(t)
	ordersIn(t, db)
}

// A rawConnection is a connection on which a test writes its own requests.
type rawConnection struct {
	net.Conn
	in *bufio.Reader
}

// send sends a request, or a part of it, and returns the status of the next response, and whether it
// closes the connection.
func (c *rawConnection) send(t *testing.T, request string) (status int, closes bool) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Close
}

// sendHalf sends a create whose headers the service has read, and whose body it waits for.
func (s *service) sendHalf(t *testing.T) *rawConnection {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	half := &rawConnection{conn, bufio.NewReader(conn)}
	// The service asks for the body when its handler begins to read it.
	status, _ := half.send(t, fmt.Sprintf("POST /api/orders/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(goodOrder)))
	if status != http.StatusContinue {
		t.Fatalf("status %d, want 100", status)
	}
	return half
}

// awaitClosed returns when the service accepts no more connections.
func (s *service) awaitClosed(t *testing.T) {
	t.Helper()
	waitFor(t, "the service accepts no more connections", func() bool {
		conn, err := net.Dial("tcp", s.addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

// F25, I1.
func TestRequestUnderWayIsAnsweredAfterTheSignal(t *testing.T) {
	s := start(t, newPath(t))
	half := s.sendHalf(t)
	s.signal()
	s.awaitClosed(t)
	if status, _ := half.send(t, goodOrder); status != http.StatusCreated {
		t.Errorf("status %d, want 201", status)
	}
	s.awaitEnd(t)
}

// F25.
func TestSecondSignalEndsTheProcessAtOnce(t *testing.T) {
	s := start(t, newPath(t))
	_ = s.sendHalf(t) // a first signal waits for it
	s.signal()
	s.awaitClosed(t)
	s.signal()
	err := <-s.ended
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("the process ended with %v, want death by SIGTERM", err)
	}
}

// F25: a signal while the file is being opened is not a failure.
func TestASignalAtTheStartEndsTheProcessWell(t *testing.T) {
	db := goodFile(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout bytes.Buffer
	logs := &conformance.LogBuffer{}
	err := run(ctx, []string{"serve", "--addr", "127.0.0.1:0", "--db", db}, func(string) string { return "" }, &stdout, logs)
	if err != nil || stdout.Len() > 0 || !strings.Contains(string(logs.Bytes()), "stopping before the database is open") {
		t.Errorf("error %v; it printed %q and logged\n%s", err, &stdout, logs.Bytes())
	}
	ordersIn(t, db)
}

const readyRequest = "GET /readyz HTTP/1.1\r\nHost: orders\r\n\r\n"

var createRequest = "POST /api/orders/ HTTP/1.1\r\nHost: orders\r\nContent-Type: application/json\r\n" +
	fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(goodOrder), goodOrder)

// F25: a load balancer learns that it must send requests elsewhere, and requests that it has sent
// already are answered.
func TestAStoppingServiceIsNotReadyAndAnswersKeptConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server, network := openInMemory(t, slog.New(slog.DiscardHandler))
		var kept []*rawConnection
		for range 3 {
			k := network.dialRaw()
			if status, closes := k.send(t, readyRequest); status != http.StatusOK || closes {
				t.Fatalf("before the stop: /readyz: %d, close %t", status, closes)
			}
			kept = append(kept, k)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- server.stop(keepAliveGrace) }()
		synctest.Wait()
		for i, want := range map[int]struct {
			request string
			status  int
		}{0: {readyRequest, 503}, 1: {createRequest, 201}, 2: {strings.Replace(readyRequest, "readyz", "livez", 1), 200}} {
			status, closes := kept[i].send(t, want.request)
			if _, err := kept[i].in.ReadByte(); status != want.status || !closes || err != io.EOF {
				t.Errorf("%q: %d, close %t, and then %v; want %d and a closed connection", want.request, status, closes, err, want.status)
			}
		}
		began := time.Now()
		if err := <-stopped; err != nil || time.Since(began) >= keepAliveGrace {
			t.Errorf("stopped with %v, %s after the last connection", err, time.Since(began))
		}
		if tally, _ := store.Metrics(t.Context()); tally.Total() != 1 {
			t.Errorf("%d orders are stored, want 1", tally.Total())
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// F25, F26: a client that stalls delays the end for a few seconds, and the service exits with 0. A
// client whose body is incomplete gets a response.
func TestClientsThatStallDoNotHoldUpTheEnd(t *testing.T) {
	for _, slow := range slowClients {
		t.Run(slow.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs := &conformance.LogBuffer{}
				store, server, network := openInMemory(t, slog.New(slog.NewTextHandler(logs, nil)))
				conn := network.dial()
				var client sync.WaitGroup
				var received bytes.Buffer
				client.Go(func() {
					_, _ = io.WriteString(conn, slow.sends)
					if slow.drips != "" {
						client.Go(func() { drip(conn, slow.drips) })
					}
					if slow.reads {
						_, _ = io.Copy(&received, conn)
					}
				})
				synctest.Wait()
				began := time.Now()
				if err := server.stop(keepAliveGrace); err != nil {
					t.Errorf("stop: %v", err)
				}
				if took := time.Since(began); took > 8*time.Second {
					t.Errorf("it took %s to stop", took)
				}
				if err := store.Close(); err != nil {
					t.Error(err)
				}
				if text := string(logs.Bytes()); !strings.Contains(text, "connections=1 requests_under_way=") {
					t.Errorf("logged\n%s\nwhich does not say that it waits for a connection", text)
				}
				_ = conn.Close()
				client.Wait()
				if slow.sends == halfOrder && !strings.HasPrefix(received.String(), "HTTP/1.1 408 ") {
					t.Errorf("received %q, want 408", received.String())
				}
			})
		})
	}
}

func TestARequestThatDoesNotEndIsCutOffAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server, network := openInMemory(t, slog.New(slog.DiscardHandler))
		end := make(chan struct{})
		defer close(end)
		server.backend.Store(&backend{handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end })})
		conn := network.dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, readyRequest); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		err := server.stop(keepAliveGrace)
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "some requests did not end within 7s") || took > 8*time.Second {
			t.Errorf("stopped after %s with %v", took, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Clients can make net/http log thousands of lines a second.
func TestAFloodOfTheServersOwnLinesIsCounted(t *testing.T) {
	logs := &conformance.LogBuffer{}
	s := newServer(nil, slog.New(slog.NewTextHandler(logs, nil)))
	const flood = 1000
	for range flood {
		s.http.ErrorLog.Print("http: Accept error: too many open files; retrying in 5ms")
	}
	s.api.Sampler.Flush()
	// The lines may fall into several seconds.
	written := strings.Count(string(logs.Bytes()), "Accept error")
	if written < 10 || written > flood/10 || !strings.Contains(string(logs.Bytes()), `route=net/http status=0 count=`) {
		t.Errorf("%d lines of %d were written:\n%s", written, flood, logs.Bytes())
	}
}

// F23: the store logs once that it accepts no orders, however many are refused then.
func TestCreatesThatTheStoreRefusesAreNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &conformance.LogBuffer{}
		store, server, network := openInMemory(t, slog.New(slog.NewTextHandler(logs, nil)))
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		client := network.dialRaw()
		defer client.Close()
		if status, _ := client.send(t, createRequest); status != http.StatusServiceUnavailable {
			t.Errorf("a create with a closed store: %d, want 503", status)
		}
		if text := string(logs.Bytes()); text != "" {
			t.Errorf("it logged %s", text)
		}
		if err := server.stop(0); err != nil {
			t.Error(err)
		}
	})
}
