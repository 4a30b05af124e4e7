package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orders/test/conformance"
)

// A keptConnection is one that a client keeps open for its next request.
type keptConnection struct {
	conn net.Conn
	in   *bufio.Reader
}

// ask returns the status of the answer, and whether it closes the connection.
func (k *keptConnection) ask(t *testing.T, request string) (status int, closes bool) {
	t.Helper()
	if _, err := io.WriteString(k.conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(k.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Close
}

const askReady = "GET /readyz HTTP/1.1\r\nHost: orders\r\n\r\n"

// F25: a load balancer is told to go elsewhere, and what it has sent meanwhile is answered.
func TestAStoppingServiceIsNotReadyAndAnswersKeptConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server, network := openInMemory(t, slog.New(slog.DiscardHandler))
		var kept []*keptConnection
		for range 3 {
			conn := network.dial()
			k := &keptConnection{conn, bufio.NewReader(conn)}
			if status, closes := k.ask(t, askReady); status != http.StatusOK || closes {
				t.Fatalf("before the stop: /readyz answers %d, close %t", status, closes)
			}
			kept = append(kept, k)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- server.stop(keepAliveGrace) }()
		synctest.Wait()
		create := "POST /api/orders/ HTTP/1.1\r\nHost: orders\r\nContent-Type: application/json\r\n" +
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(goodOrder), goodOrder)
		for i, want := range map[int]struct {
			request string
			status  int
		}{0: {askReady, 503}, 1: {create, 201}, 2: {strings.Replace(askReady, "readyz", "livez", 1), 200}} {
			status, closes := kept[i].ask(t, want.request)
			if _, err := kept[i].in.ReadByte(); status != want.status || !closes || err != io.EOF {
				t.Errorf("%q is answered %d, close %t, and then %v; want %d and a closed connection", want.request, status, closes, err, want.status)
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

// F25, F26: a client that stalls holds up the end for a few seconds, and is no fault of the
// service's.
func TestClientsThatStallDoNotHoldUpTheEnd(t *testing.T) {
	for _, slow := range slowClients {
		t.Run(slow.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs := &conformance.LogBuffer{}
				store, server, network := openInMemory(t, slog.New(slog.NewTextHandler(logs, nil)))
				conn := network.dial()
				var client sync.WaitGroup
				client.Go(func() {
					_, _ = io.WriteString(conn, slow.sends)
					if slow.drips != "" {
						client.Go(func() { drip(conn, slow.drips) })
					}
					if slow.reads {
						_, _ = io.Copy(io.Discard, conn)
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
			})
		})
	}
}

func TestARequestThatDoesNotEndIsCutOffAndSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server, network := openInMemory(t, slog.New(slog.DiscardHandler))
		end := make(chan struct{})
		defer close(end)
		server.backend.Store(&backend{handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end })})
		conn := network.dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, askReady); err != nil {
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

// F25.
func TestProcessEndsWellWithAHalfRequest(t *testing.T) {
	t.Parallel() // it waits for the client
	cmd, url := startProcess(t, filepath.Join(t.TempDir(), "orders.db"))
	half := sendHalf(t, url)
	terminate(t, cmd)
	if status := half.status(t); status != http.StatusRequestTimeout {
		t.Errorf("the half request is answered %d, want 408", status)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want exit code 0", err)
	}
}

// What net/http logs can be caused by clients, thousands of times a second.
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

// F23: the store says once that it takes no orders, however many are refused meanwhile.
func TestCreatesThatTheStoreRefusesLeaveNoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &conformance.LogBuffer{}
		store, server, network := openInMemory(t, slog.New(slog.NewTextHandler(logs, nil)))
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := placeOrder(network); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("a create with a closed store: %v, want 503", err)
		}
		if text := string(logs.Bytes()); text != "" {
			t.Errorf("it logged %s", text)
		}
		if err := server.stop(0); err != nil {
			t.Error(err)
		}
	})
}
