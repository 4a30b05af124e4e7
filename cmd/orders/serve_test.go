package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite/sqlitex"
)

// A service is `orders serve` that runs in this process.
type service struct {
	url     string
	started string // the line that it has printed
	client  *http.Client
	cancel  context.CancelFunc
	ended   <-chan error
}

// startService returns once the address is printed.
func startService(t *testing.T, args ...string) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, printed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"serve"}, args...), func(string) string { return "" }, printed, t.Output())
		_ = printed.CloseWithError(errors.Join(err, io.EOF))
		ended <- err
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		cancel()
		t.Fatalf("the service does not start: %v", err)
	}
	return &service{
		url: addressIn(t, line), started: line, client: &http.Client{Transport: &http.Transport{}},
		cancel: cancel, ended: ended,
	}
}

// stop ends the service and returns what it has to say about that.
func (s *service) stop() error {
	s.cancel()
	s.client.CloseIdleConnections()
	return <-s.ended
}

var startLine = regexp.MustCompile(`^orders dev listens on (http://127\.0\.0\.1:[1-9][0-9]*) \(database \S+, API page /docs/\)\n$`)

func addressIn(t *testing.T, line string) string {
	t.Helper()
	match := startLine.FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("the start-up line is %q", line)
	}
	return match[1]
}

const goodOrder = `{"user_id":645,"item_ids":[1,2],"total_amount":1650.78}`

// post creates an order and returns its id.
func post(client *http.Client, url string) (id string, err error) {
	res, err := client.Post(url+"/api/orders/create/", "application/json", strings.NewReader(goodOrder))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return strings.Split(string(body)+`"""`, `"`)[3], err
}

func TestServiceSaysWhereItListensAndEndsWithoutATrace(t *testing.T) {
	defer goleak.VerifyNone(t)
	db := filepath.Join(t.TempDir(), "orders.db")
	s := startService(t, "--addr", "127.0.0.1:0", "--db", db)
	if !strings.Contains(s.started, db) {
		t.Errorf("the start-up line %q does not name the database", s.started)
	}
	if _, err := post(s.client, s.url); err != nil {
		t.Error(err)
	}
	if err := s.stop(); err != nil {
		t.Errorf("after a stop: %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		t.Error("it still listens")
	}
	code, stdout, stderr := invoke(t, nil, "check", "--db", db)
	if code != exitOK || !strings.HasSuffix(stdout, "\nok\n") {
		t.Errorf("check: exit code %d, %s%s", code, stdout, stderr)
	}
}

// F23, I5.
func TestSecondServiceOnAFileIsRefused(t *testing.T) {
	db := filepath.Join(t.TempDir(), "orders.db")
	s := startService(t, "--addr", "127.0.0.1:0", "--db", db)
	for _, command := range []string{"serve", "check"} {
		cmd := program(t, command, "--db", db)
		cmd.Env = append(cmd.Env, "ORDERS_ADDR=127.0.0.1:0")
		output, _ := cmd.CombinedOutput()
		want := fmt.Sprintf("orders: %s: is in use by another process\n", db)
		if cmd.ProcessState.ExitCode() != exitFailed || string(output) != want {
			t.Errorf("orders %s: %v, %q; want exit code 1 and %q", command, cmd.ProcessState, output, want)
		}
	}
	if _, err := post(s.client, s.url); err != nil {
		t.Errorf("the first service is disturbed: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestPortInUseLeavesNoFileAndAnOldOneFree(t *testing.T) {
	defer goleak.VerifyNone(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	addr := listener.Addr().String()
	old, fresh := goodFile(t), filepath.Join(t.TempDir(), "orders.db")
	for _, db := range []string{old, fresh} {
		code, stdout, stderr := invoke(t, nil, "serve", "--addr", addr, "--db", db)
		want := fmt.Sprintf("orders: listen tcp4 %s: bind: address already in use\n", addr)
		if code != exitFailed || stdout != "" || stderr != want {
			t.Errorf("exit code %d, %q, %q; want 1 and %q", code, stdout, stderr, want)
		}
	}
	if code, _, stderr := invoke(t, nil, "check", "--db", old); code != exitOK {
		t.Errorf("check: exit code %d, %s", code, stderr)
	}
	if left, err := os.ReadDir(filepath.Dir(fresh)); err != nil || len(left) > 0 {
		t.Errorf("a service that could not listen has left %v, %v", left, err)
	}
}

// F10, F22, I4.
func TestServiceGoesOnWithOrdersOfTheOneBefore(t *testing.T) {
	db := filepath.Join(t.TempDir(), "orders.db")
	s := startService(t, "--addr", "127.0.0.1:0", "--db", db, "--processing-time", "100ms")
	id, err := post(s.client, s.url)
	if err := errors.Join(err, s.stop()); err != nil {
		t.Fatal(err)
	}
	s = startService(t, "--addr", "127.0.0.1:0", "--db", db, "--processing-time", "100ms")
	waitFor(t, "the order is Completed", func() bool {
		res, err := s.client.Get(s.url + "/api/orders/" + id + "/status/")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return strings.Contains(string(body), `"Completed"`)
	})
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// waitFor returns when the condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// A load balancer asks from the first moment, and a file of millions of orders takes a while.
func TestServiceAnswersWhileItOpensItsFile(t *testing.T) {
	db := goodFile(t)
	for deadline := time.Now().Add(15 * time.Second); !startOnLockedFile(t, db); {
		if time.Now().After(deadline) {
			t.Fatal("the service was never seen while it opened its file")
		}
	}
}

// startOnLockedFile starts a service that has to wait for its file, and frees the file once the
// service has answered. It returns false when the service has given up before.
func startOnLockedFile(t *testing.T, db string) (seen bool) {
	t.Helper()
	addr := freeAddr(t)
	lock := connect(t, db)
	if err := sqlitex.ExecScript(lock, "PRAGMA locking_mode = EXCLUSIVE; UPDATE tally SET pending = pending"); err != nil {
		t.Fatal(err)
	}
	free := sync.OnceValue(lock.Close)
	defer func() { _ = free() }()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, printed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"serve", "--addr", addr, "--db", db}, func(string) string { return "" }, printed, t.Output())
		_ = printed.CloseWithError(errors.Join(err, io.EOF))
		ended <- err
	}()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	status := func(method, path string) int {
		req, err := http.NewRequest(method, "http://"+addr+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			return 0
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	for status(http.MethodGet, "/livez") == 0 {
		select {
		case err := <-ended:
			t.Log("it gave up:", err)
			return false
		default:
			time.Sleep(time.Millisecond)
		}
	}
	for _, r := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/livez", 200}, {"GET", "/readyz", 503}, {"GET", "/healthz", 503},
		{"POST", "/api/orders/", 503}, {"GET", "/api/metrics/", 503}, {"GET", "/docs/", 503},
	} {
		if got := status(r.method, r.path); got != r.status && got != 0 {
			t.Errorf("while it opens its file: %s %s is answered %d, want %d", r.method, r.path, got, r.status)
		}
	}
	if err := free(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		return false
	}
	if got := status(http.MethodGet, "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz is answered %d once the file is open", got)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return true
}

// freeAddr is an address on which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
