package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"orders/test/conformance"
)

// startProcess runs `orders serve` as a process of its own, and returns once its
// address is printed.
func startProcess(t *testing.T, db string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd = program(t, "serve", "--addr", "127.0.0.1:0", "--db", db, "--processing-time", "50ms")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the service does not start: %v", err)
	}
	return cmd, addressIn(t, line)
}

func terminate(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// F25, I1, I4, I9.
func TestTerminationUnderLoadLosesNoAcknowledgedOrder(t *testing.T) {
	const clients, enough = 8, 300
	db := filepath.Join(t.TempDir(), "orders.db")
	cmd, url := startProcess(t, db)
	var (
		acknowledged sync.Map
		count        atomic.Int64
		terminating  atomic.Bool
		wg           sync.WaitGroup
	)
	reached := make(chan struct{})
	for range clients {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				id, err := post(client, url)
				if err != nil {
					if !terminating.Load() {
						t.Errorf("before the end: %v", err)
					}
					return
				}
				acknowledged.Store(id, true)
				if count.Add(1) == enough {
					close(reached)
				}
			}
		})
	}
	<-reached
	terminating.Store(true)
	terminate(t, cmd)
	wg.Wait()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want exit code 0", err)
	}

	s := startService(t, "--addr", "127.0.0.1:0", "--db", db)
	acknowledged.Range(func(id, _ any) bool {
		res, err := s.client.Get(fmt.Sprintf("%s/api/orders/%s/", s.url, id))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("order %s: %v, %v", id, res, err)
			return false
		}
		return res.Body.Close() == nil
	})
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if code, stdout, stderr := invoke(t, nil, "check", "--db", db); code != exitOK {
		t.Errorf("check: exit code %d\n%s%s", code, stdout, stderr)
	}
}

// A halfRequest is a create whose headers the service has read and whose body it
// waits for.
type halfRequest struct {
	conn net.Conn
	in   *bufio.Reader
}

func sendHalf(t *testing.T, url string) *halfRequest {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "POST /api/orders/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(goodOrder))
	h := &halfRequest{conn, bufio.NewReader(conn)}
	// The service asks for the body when its handler has begun to read it.
	if status := h.status(t); status != http.StatusContinue {
		t.Fatalf("status %d, want 100", status)
	}
	return h
}

func (h *halfRequest) status(t *testing.T) int {
	t.Helper()
	res, err := http.ReadResponse(h.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// waitUntilClosed returns when the service takes no more connections.
func waitUntilClosed(t *testing.T, url string) {
	t.Helper()
	waitFor(t, "the service takes no more connections", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

// F25, I1.
func TestRequestUnderWayIsAnsweredAfterTheSignal(t *testing.T) {
	cmd, url := startProcess(t, filepath.Join(t.TempDir(), "orders.db"))
	half := sendHalf(t, url)
	terminate(t, cmd)
	waitUntilClosed(t, url)
	fmt.Fprint(half.conn, goodOrder)
	if status := half.status(t); status != http.StatusCreated {
		t.Errorf("status %d, want 201", status)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want exit code 0", err)
	}
}

// F25.
func TestSecondSignalEndsTheProcessAtOnce(t *testing.T) {
	cmd, url := startProcess(t, filepath.Join(t.TempDir(), "orders.db"))
	_ = sendHalf(t, url) // for which a first signal waits
	terminate(t, cmd)
	waitUntilClosed(t, url)
	terminate(t, cmd)
	err := cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("the process ended with %v, want death by SIGTERM", err)
	}
}

// F25: the service was not open yet, and has nothing to complain of.
func TestASignalAtTheStartEndsTheProcessWell(t *testing.T) {
	db := goodFile(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout bytes.Buffer
	logs := &conformance.LogBuffer{}
	err := run(ctx, []string{"serve", "--addr", "127.0.0.1:0", "--db", db}, func(string) string { return "" }, &stdout, logs)
	if err != nil || stdout.Len() > 0 || !strings.Contains(string(logs.Bytes()), "stopping before the database is open") {
		t.Errorf("error %v; it has printed %q and logged\n%s", err, &stdout, logs.Bytes())
	}
	if code, _, stderr := invoke(t, nil, "check", "--db", db); code != exitOK {
		t.Errorf("check: exit code %d\n%s", code, stderr)
	}
}
