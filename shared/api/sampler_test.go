package api_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/order"
)

// A logRecorder is a handler with a manual clock and a recorded log.
type logRecorder struct {
	http.Handler
	clock   time.Time
	logs    bytes.Buffer
	sampler *api.Sampler
}

func newLogRecorder(f failing, level slog.Level, storeLogs bool) *logRecorder {
	w := &logRecorder{clock: time.Unix(1_700_000_000, 0)}
	log := slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: level}))
	w.sampler = api.NewSampler(log)
	w.Handler = api.New(api.Config{
		Orders: f, Metrics: f, Health: f.Health, Now: func() time.Time { return w.clock },
		RequestID: func() string { return "the-request" }, Log: log, Sampler: w.sampler, StoreLogs: storeLogs,
	})
	return w
}

// send sends a request so many times, and returns the lines that were logged.
func (w *logRecorder) send(times int, method, target, body string) (logged string) {
	for range times {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w.ServeHTTP(httptest.NewRecorder(), r)
	}
	return w.logged()
}

func (w *logRecorder) logged() string {
	defer w.logs.Reset()
	return w.logs.String()
}

func TestAFloodOfBadRequestsLogsTenLinesASecondAndACount(t *testing.T) {
	const flood = 1000
	w := newLogRecorder(failing{}, slog.LevelInfo, false)
	if logs := w.send(flood, "POST", "/api/orders/", "{"); strings.Count(logs, "\n") != 10 || strings.Count(logs, "status=400") != 10 {
		t.Errorf("%d bad requests in a second logged\n%s\nnot 10 lines", flood, logs)
	}
	if logs := w.send(1, "GET", "/nowhere", ""); !strings.Contains(logs, "status=404") {
		t.Errorf("another kind of request logged %q", logs)
	}
	const count = `level=INFO msg="more lines of this kind were not logged" route=/api/orders status=400 count=990` + "\n"
	w.clock = w.clock.Add(time.Second)
	if logs := w.send(1, "GET", "/api/metrics/", ""); !strings.HasSuffix(logs, count) || strings.Count(logs, "\n") != 1 {
		t.Errorf("a good request in the next second logged\n%s\nnot %s", logs, count)
	}
	if logs := w.send(flood, "POST", "/api/orders/", "{"); strings.Count(logs, "\n") != 10 {
		t.Errorf("%d bad requests in the next second logged\n%s\nnot 10 lines", flood, logs)
	}
	w.sampler.Flush()
	if logs := w.logged(); !strings.HasSuffix(logs, count) {
		t.Errorf("at the end %q is logged, not %s", logs, count)
	}
	w.sampler.Flush()
	if logs := w.logged(); logs != "" {
		t.Errorf("a second Flush logs %s", logs)
	}
}

func TestLinesOfAnotherLevelRouteOrStatusAreCountedApart(t *testing.T) {
	s := api.NewSampler(slog.New(slog.DiscardHandler))
	now := time.Unix(1_700_000_000, 0)
	for n := range 11 {
		if got := s.Allow(now, slog.LevelInfo, "/a", 400); got != (n < 10) {
			t.Errorf("line %d is allowed: %t", n, got)
		}
	}
	if !s.Allow(now, slog.LevelWarn, "/a", 400) || !s.Allow(now, slog.LevelInfo, "/b", 400) || !s.Allow(now, slog.LevelInfo, "/a", 404) {
		t.Error("a line of another kind is not allowed")
	}
	if !s.Allow(now.Add(time.Second), slog.LevelInfo, "/a", 400) {
		t.Error("a line in the next second is not allowed")
	}
}

func TestAtLevelDebugEveryRequestIsLogged(t *testing.T) {
	w := newLogRecorder(failing{}, slog.LevelDebug, false)
	if logs := w.send(100, "GET", "/nowhere", ""); strings.Count(logs, "\n") != 100 {
		t.Errorf("100 requests logged\n%s", logs)
	}
}

func TestSamplingAllocatesNothing(t *testing.T) {
	s := api.NewSampler(slog.New(slog.DiscardHandler))
	now := time.Unix(1_700_000_000, 0)
	if n := testing.AllocsPerRun(100, func() { s.Allow(now, slog.LevelInfo, "/api/orders", 400) }); n > 0 {
		t.Errorf("%v allocations a line", n)
	}
}

// The store logs once that it cannot write, and then refuses thousands of creates a second.
func TestRefusedCreatesAreNotLoggedIfTheStoreLogs(t *testing.T) {
	full := failing{err: fmt.Errorf("%w: the disk is full", order.ErrUnavailable)}
	const create, read = "/api/orders/create/", "/api/orders/ids/"
	for _, tt := range []struct {
		storeLogs      bool
		method, target string
		lines          int
	}{
		{true, "POST", create, 0},
		{false, "POST", create, 1}, // on AWS no store logs
		{true, "GET", read, 1},
	} {
		logs := newLogRecorder(full, slog.LevelInfo, tt.storeLogs).send(1, tt.method, tt.target, `{"user_id": 1, "item_ids": [1], "total_amount": 1}`)
		if strings.Count(logs, "level=WARN") != tt.lines || strings.Count(logs, "\n") != tt.lines {
			t.Errorf("%s %s, StoreLogs %t: logged %q, want %d lines", tt.method, tt.target, tt.storeLogs, logs, tt.lines)
		}
	}
	broken := newLogRecorder(failing{err: fmt.Errorf("a bug")}, slog.LevelInfo, true)
	if logs := broken.send(1, "POST", create, `{"user_id": 1, "item_ids": [1], "total_amount": 1}`); !strings.Contains(logs, "level=ERROR") {
		t.Errorf("a create that fails because of a bug logged %q", logs)
	}
}

// send sends one request to a handler.
func send(h http.Handler, method, target string) *httptest.ResponseRecorder {
	res := httptest.NewRecorder()
	h.ServeHTTP(res, httptest.NewRequest(method, target, nil))
	return res
}

func TestLivezReportsTheProcessAndReadyzTheStore(t *testing.T) {
	for _, tt := range []struct {
		health error
		ready  int
	}{{nil, 200}, {fmt.Errorf("a commit has been under way for 6 s"), 503}} {
		w := newLogRecorder(failing{err: tt.health}, slog.LevelInfo, false)
		for target, status := range map[string]int{"/livez": 200, "/livez/": 200, "/readyz": tt.ready, "/readyz/": tt.ready, "/healthz": tt.ready} {
			res := send(w, "GET", target)
			if res.Code != status || status == 200 && res.Body.String() != `{"status":"ok"}` || status == 503 && res.Header().Get("Retry-After") != "1" {
				t.Errorf("health %v: %s: %d %v %s, want %d", tt.health, target, res.Code, res.Header(), res.Body, status)
			}
		}
	}
}

func TestARefusingHandlerServesOnlyTheProbes(t *testing.T) {
	for err, want := range map[error]struct {
		status int
		code   string
	}{
		api.ErrMisdirected: {421, "misdirected_request"},
		fmt.Errorf("%w: the database file is being opened", order.ErrUnavailable): {503, "unavailable"},
	} {
		h := api.NewRefusing(api.Config{
			Health: func(context.Context) error { return nil },
			Now:    time.Now, RequestID: func() string { return "the-request" }, Log: slog.New(slog.DiscardHandler),
		}, err)
		for _, target := range []string{"/livez", "/readyz", "/healthz"} {
			if res := send(h, "GET", target); res.Code != 200 {
				t.Errorf("%v: %s: %d", err, target, res.Code)
			}
		}
		for _, r := range append(everyRoute, struct{ method, target string }{"DELETE", "/nowhere"}) {
			checkFailure(t, send(h, r.method, r.target), want.status, want.code)
		}
	}
}
