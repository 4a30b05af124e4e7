package api_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/order"
)

func TestARequestIsLoggedOnceAtTheLevelOfItsResult(t *testing.T) {
	for _, tt := range []struct {
		method, target string
		err            error
		want           []string
	}{
		{http.MethodPost, "/api/orders/", nil, []string{"level=DEBUG", "method=POST", "route=/api/orders ", "status=201", "order_id=" + string(anID)}},
		{http.MethodGet, "/api/orders/x%0a/status", nil, []string{"level=INFO", "method=GET", "route=/api/orders/{order_id}/status", "status=404", `err="order not found"`}},
		{http.MethodGet, "/api/metrics", order.ErrUnavailable, []string{"level=WARN", "route=/api/metrics", "status=503"}},
		{"SMUGGLE", "/nowhere", nil, []string{"level=INFO", "method=other", "route=none", "status=404"}},
	} {
		s := newService(failing{err: tt.err}, slog.LevelDebug)
		s.step = 1_234_567 * time.Microsecond
		_, logs := s.send(newRequest(tt.method, tt.target))
		for _, want := range append(tt.want, "duration_ms=1234.567 ", "request_id=the-request") {
			if !strings.Contains(logs, want) {
				t.Errorf("%s %s logs %s, without %s", tt.method, tt.target, logs, want)
			}
		}
		if strings.Count(logs, "\n") != 1 || strings.Contains(logs, "secret") || strings.Contains(logs, "nowhere") ||
			strings.Contains(logs, "order_id=") != (tt.method == http.MethodPost) {
			t.Errorf("%s %s logs %s", tt.method, tt.target, logs)
		}
	}
}

func TestAnExceededDeadlineIsAWarningAndACanceledRequestIsNot(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	exceeded, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for ctx, want := range map[context.Context]string{canceled: "level=DEBUG", exceeded: "level=WARN"} {
		s := newService(failing{err: ctx.Err()}, slog.LevelDebug)
		if _, logs := s.send(newRequest(http.MethodGet, "/api/metrics/").WithContext(ctx)); !strings.Contains(logs, want) {
			t.Errorf("%v: logged %s", ctx.Err(), logs)
		}
	}
}

// A host can keep its own id of a request in the context, for the slog handler.
func TestTheLogGetsTheContextOfTheRequest(t *testing.T) {
	s := newService(failing{}, slog.LevelInfo)
	seen := contextHandler{slog.DiscardHandler, new(context.Context)}
	s.Log = slog.New(seen)
	s.Handler = api.New(s.Config)
	r := newRequest(http.MethodGet, "/nowhere")
	s.send(r.WithContext(context.WithValue(t.Context(), contextHandler{}, "the id of the host")))
	if got := (*seen.last).Value(contextHandler{}); got != "the id of the host" {
		t.Errorf("the log got a context with %v", got)
	}
}

// A contextHandler keeps the context of the last line.
type contextHandler struct {
	slog.Handler
	last *context.Context
}

func (h contextHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h contextHandler) Handle(ctx context.Context, _ slog.Record) error {
	*h.last = ctx
	return nil
}

// flood sends so many GETs, and returns the lines that were logged.
func (s *service) flood(times int, target string) (logged string) {
	for range times {
		_, logs := s.send(newRequest(http.MethodGet, target))
		logged += logs
	}
	return logged
}

func TestAFloodOfBadRequestsLogsTenLinesASecondAndACount(t *testing.T) {
	const flood, bad = 1000, "/api/orders/ids/?limit=0"
	s := newService(failing{}, slog.LevelInfo)
	if logs := s.flood(flood, bad); strings.Count(logs, "\n") != 10 || strings.Count(logs, "status=400") != 10 {
		t.Errorf("%d bad requests in a second logged\n%s\nnot 10 lines", flood, logs)
	}
	if logs := s.flood(1, "/nowhere"); !strings.Contains(logs, "status=404") {
		t.Errorf("another kind of request logged %q", logs)
	}
	const count = `level=INFO msg="more lines of this kind were not logged" route=/api/orders/ids status=400 count=990` + "\n"
	s.clock = s.clock.Add(time.Second)
	if logs := s.flood(1, "/api/metrics/"); !strings.HasSuffix(logs, count) || strings.Count(logs, "\n") != 1 {
		t.Errorf("a good request in the next second logged\n%s\nnot %s", logs, count)
	}
	if logs := s.flood(flood, bad); strings.Count(logs, "\n") != 10 {
		t.Errorf("%d bad requests in the next second logged\n%s\nnot 10 lines", flood, logs)
	}
	s.Sampler.Flush()
	if logs := s.logs.String(); !strings.HasSuffix(logs, count) {
		t.Errorf("at the end %q is logged, not %s", logs, count)
	}
	s.logs.Reset()
	s.flood(10, bad)
	s.logs.Reset()
	s.Sampler.Flush()
	if logs := s.logs.String(); logs != "" {
		t.Errorf("ten lines are counted: %s", logs)
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
	if n := testing.AllocsPerRun(100, func() { s.Allow(now, slog.LevelInfo, "/a", 400) }); n > 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func TestAtLevelDebugEveryRequestIsLogged(t *testing.T) {
	if logs := newService(failing{}, slog.LevelDebug).flood(100, "/nowhere"); strings.Count(logs, "\n") != 100 {
		t.Errorf("100 requests logged\n%s", logs)
	}
}

// The store logs once that it cannot write, and then refuses thousands of creates a second.
func TestRefusedCreatesAreNotLoggedIfTheStoreLogs(t *testing.T) {
	full, bug := fmt.Errorf("%w: the disk is full", order.ErrUnavailable), fmt.Errorf("a bug")
	const create, read = "/api/orders/create/", "/api/orders/ids/"
	for _, tt := range []struct {
		err            error
		storeLogs      bool
		method, target string
		want           string
	}{
		{full, true, "POST", create, ""},
		{full, false, "POST", create, "level=WARN"}, // on AWS no store logs
		{full, true, "GET", read, "level=WARN"},
		{bug, true, "POST", create, "level=ERROR"},
	} {
		s := newService(failing{err: tt.err}, slog.LevelInfo)
		s.StoreLogs = tt.storeLogs
		s.Handler = api.New(s.Config)
		if _, logs := s.send(newRequest(tt.method, tt.target)); !strings.Contains(logs, tt.want) || (logs == "") != (tt.want == "") {
			t.Errorf("%v: %s %s, StoreLogs %t: logged %q, want %q", tt.err, tt.method, tt.target, tt.storeLogs, logs, tt.want)
		}
	}
}
