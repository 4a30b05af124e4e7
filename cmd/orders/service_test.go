package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram is the variable that makes the test binary run main, for tests that need a process of
// their own.
const asProgram = "ORDERS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program returns a command that runs orders with these arguments as a process.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// serveProgram is program for `orders serve` on a database and any free port.
func serveProgram(t *testing.T, db string, flags ...string) *exec.Cmd {
	t.Helper()
	return program(t, append([]string{"serve", "--addr", "127.0.0.1:0", "--db", db}, flags...)...)
}

// invoke runs orders in this process.
func invoke(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = exitCode(run(t.Context(), args, func(name string) string { return env[name] }, &out, &errs), &errs)
	return code, out.String(), errs.String()
}

// checkCompleted fails the test unless the check, a command, finds so many orders, all Completed.
func checkCompleted(t *testing.T, check *exec.Cmd, orders int) {
	t.Helper()
	output, err := check.CombinedOutput()
	want := fmt.Sprintf("orders        %d (0 Pending, 0 Processing, %d Completed, 0 Failed, 0 Cancelled)\n", orders, orders)
	if err != nil || !strings.Contains(string(output), want) {
		t.Errorf("check: %v, %s; want %s", err, output, want)
	}
}

// checkRefused runs a command that must fail with one line, which has the prefix and the text.
func checkRefused(t *testing.T, cmd *exec.Cmd, prefix, text string) {
	t.Helper()
	output, _ := cmd.CombinedOutput()
	line := string(output)
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(line, prefix) || !strings.Contains(line, text) || strings.Count(line, "\n") != 1 {
		t.Errorf("%v, output %q; want exit code 1 and one line: %s%s", cmd.ProcessState, line, prefix, text)
	}
}

// A service is `orders serve`, in this process or in one of its own.
type service struct {
	url    string // once it is ready
	client *http.Client
	cmd    *exec.Cmd     // nil in this process
	stdout *bufio.Reader // the address comes first
	signal func()        // asks it to stop
	ended  chan error    // gets the result, once
}

// launchHere runs orders in this process.
func launchHere(t *testing.T, logs io.Writer, args ...string) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, printed := io.Pipe()
	s := &service{client: newClient(t), stdout: bufio.NewReader(stdout), signal: cancel, ended: make(chan error, 1)}
	go func() {
		err := run(ctx, args, func(string) string { return "" }, printed, logs)
		_ = printed.CloseWithError(errors.Join(err, io.EOF))
		s.ended <- err
	}()
	return s
}

// launch starts a command that serves.
func launch(t *testing.T, cmd *exec.Cmd) *service {
	t.Helper()
	if cmd.Stderr == nil {
		cmd.Stderr = t.Output()
	}
	stdout, printed := io.Pipe()
	cmd.Stdout = printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &service{client: newClient(t), cmd: cmd, stdout: bufio.NewReader(stdout), ended: make(chan error, 1)}
	s.signal = func() { _ = cmd.Process.Signal(syscall.SIGTERM) } // unless it has ended
	go func() {
		err := cmd.Wait()
		_ = printed.CloseWithError(errors.Join(err, io.EOF))
		s.ended <- err
	}()
	return s
}

func newClient(t *testing.T) *http.Client {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 10}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// startHere runs `orders serve` in this process, on a database and any free port.
func startHere(t *testing.T, db string, flags ...string) *service {
	t.Helper()
	return launchHere(t, t.Output(), append([]string{"serve", "--addr", "127.0.0.1:0", "--db", db}, flags...)...).ready(t, db)
}

// start runs `orders serve` as a process, on a database and any free port.
func start(t *testing.T, db string, flags ...string) *service {
	t.Helper()
	return launch(t, serveProgram(t, db, flags...)).ready(t, db)
}

var startLine = regexp.MustCompile(`^orders dev listens on (http://127\.0\.0\.1:[1-9][0-9]*) \(database (\S+), API page /docs/\)\n$`)

// ready returns the service once its address is printed.
func (s *service) ready(t *testing.T, db string) *service {
	t.Helper()
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("the service does not start: %v", err)
	}
	match := startLine.FindStringSubmatch(line)
	if match == nil || match[2] != db {
		t.Fatalf("the service on %s starts with %q", db, line)
	}
	s.url = match[1]
	return s
}

// addr is the address without a scheme.
func (s *service) addr() string { return strings.TrimPrefix(s.url, "http://") }

// stop stops the service, which must not fail.
func (s *service) stop(t *testing.T) {
	t.Helper()
	s.client.CloseIdleConnections()
	s.signal()
	s.awaitEnd(t)
}

// awaitEnd waits until the service has ended without an error.
func (s *service) awaitEnd(t *testing.T) {
	t.Helper()
	if err := <-s.ended; err != nil {
		t.Errorf("the service ended with %v, want no error", err)
	}
}

// awaitFailure waits until a process has ended by itself with exit code 1.
func (s *service) awaitFailure(t *testing.T) {
	t.Helper()
	giveUp := time.AfterFunc(15*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer giveUp.Stop()
	if err := <-s.ended; s.cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("the process ended with %v, want exit code %d", err, exitFailed)
	}
}

// kill kills the process.
func (s *service) kill(t *testing.T) {
	t.Helper()
	s.client.CloseIdleConnections()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-s.ended; err == nil {
		t.Fatal("the process had ended before")
	}
}

// A response is what the service sends.
type response struct {
	status int
	header http.Header
	body   string
	id     string // of the order in it
}

func (s *service) send(method, path, body string, header ...string) (response, error) {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Host = req.Header.Get("Host")
	res, err := s.client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	var order struct {
		ID string `json:"order_id"`
	}
	if res.StatusCode < 300 {
		_ = json.Unmarshal(content, &order) // not every response is an order
	}
	return response{res.StatusCode, res.Header, string(content), order.ID}, err
}

func (s *service) get(path string) (response, error) { return s.send("GET", path, "") }

const goodOrder = `{"user_id":645,"item_ids":[1,2],"total_amount":1650.78}`

// create sends an order, with an idempotency key unless it is "".
func (s *service) create(key string) (response, error) {
	header := []string{"Content-Type", "application/json"}
	if key != "" {
		header = append(header, "Idempotency-Key", key)
	}
	return s.send("POST", "/api/orders/create/", goodOrder, header...)
}

// mustCreate is create for an order that must be accepted.
func (s *service) mustCreate(t *testing.T) (id string) {
	t.Helper()
	res, err := s.create("")
	if err != nil || res.status != http.StatusCreated {
		t.Fatalf("create: %d %s %v", res.status, res.body, err)
	}
	return res.id
}

// checkOrder fails the test unless the service has the order.
func (s *service) checkOrder(t *testing.T, id string) {
	t.Helper()
	if res, err := s.get("/api/orders/" + id + "/"); err != nil || res.status != http.StatusOK || res.id != id {
		t.Errorf("order %s: %d %s, %v", id, res.status, res.body, err)
	}
}

// metrics returns the metrics, which the service must always be able to read.
func (s *service) metrics(t *testing.T) (m struct {
	TotalOrders  int                                          `json:"total_orders"`
	StatusCounts struct{ Pending, Processing, Completed int } `json:"status_counts"`
}) {
	t.Helper()
	res, err := s.get("/api/metrics/")
	if err == nil {
		err = json.Unmarshal([]byte(res.body), &m)
	}
	if err != nil || res.status != http.StatusOK {
		t.Fatalf("metrics: %d %s, %v", res.status, res.body, err)
	}
	return m
}

func (s *service) awaitCompleted(t *testing.T, orders int) {
	t.Helper()
	waitFor(t, fmt.Sprint(orders, " orders are Completed"), func() bool {
		m := s.metrics(t)
		return m.TotalOrders == orders && m.StatusCounts.Completed == orders
	})
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

// newPath returns the path of a database that does not exist yet.
func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "orders.db") }
