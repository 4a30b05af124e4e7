package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A serviceProcess is `orders serve` as a process of its own.
type serviceProcess struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client
}

// startOn starts a command that serves, and returns once its address is printed.
func startOn(t *testing.T, cmd *exec.Cmd) *serviceProcess {
	t.Helper()
	return launch(t, cmd)()
}

// launch starts a command that serves. The function that it returns waits until the
// address is printed.
func launch(t *testing.T, cmd *exec.Cmd) (listening func() *serviceProcess) {
	t.Helper()
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() *serviceProcess {
		t.Helper()
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Fatalf("the service does not start: %v", err)
		}
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 10}}
		t.Cleanup(client.CloseIdleConnections)
		return &serviceProcess{cmd: cmd, url: addressIn(t, line), client: client}
	}
}

// end stops the service, which is to have nothing to say about that.
func (s *serviceProcess) end(t *testing.T) {
	t.Helper()
	s.client.CloseIdleConnections()
	terminate(t, s.cmd)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want exit code 0", err)
	}
}

// awaitFailure waits until the service has ended by itself, because it could not go on.
func (s *serviceProcess) awaitFailure(t *testing.T) {
	t.Helper()
	giveUp := time.AfterFunc(15*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer giveUp.Stop()
	if err := s.cmd.Wait(); s.cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("the process ended with %v, want exit code %d", err, exitFailed)
	}
}

// An answer is what the service says to a request.
type answer struct {
	status int
	header http.Header
	body   string
	id     string // of the order in it
}

func (s *serviceProcess) get(path string) (answer, error) {
	req, err := http.NewRequest(http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	return s.do(req)
}

// create asks for an order under a key.
func (s *serviceProcess) create(key string) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, s.url+"/api/orders/create/", strings.NewReader(goodOrder))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	return s.do(req)
}

func (s *serviceProcess) do(req *http.Request) (a answer, err error) {
	res, err := s.client.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	var order struct {
		ID string `json:"order_id"`
	}
	if res.StatusCode < 300 {
		_ = json.Unmarshal(body, &order) // not every answer is an order
	}
	return answer{res.StatusCode, res.Header, string(body), order.ID}, err
}

// metrics are the service's, which it is always able to tell.
func (s *serviceProcess) metrics(t *testing.T) (m struct {
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

func (s *serviceProcess) awaitCompleted(t *testing.T, orders int) {
	t.Helper()
	waitFor(t, fmt.Sprint(orders, " orders are Completed"), func() bool {
		m := s.metrics(t)
		return m.TotalOrders == orders && m.StatusCounts.Completed == orders
	})
}

// checkFile has `orders check` read the file of a service that has ended.
func checkFile(t *testing.T, check *exec.Cmd, orders int) {
	t.Helper()
	output, err := check.CombinedOutput()
	want := fmt.Sprintf("orders        %d (0 Pending, 0 Processing, %d Completed)\n", orders, orders)
	if err != nil || !strings.Contains(string(output), want) {
		t.Errorf("check: %v, %s; want %s", err, output, want)
	}
}
