package generator

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serve returns the address of a server that handles creates with handle.
func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func created(w http.ResponseWriter) {
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"order_id":"ORD","status":"Pending"}`)
}

func TestAClosedLoopSendsEveryRequestOnceAndCountsEachResponse(t *testing.T) {
	const creates = 3 * variants
	var requests, bodies sync.Map
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/orders/create/" || !strings.HasPrefix(string(body), `{"user_id": `) {
			t.Errorf("%s %s %q, %v", r.Method, r.URL, body, err)
		}
		if _, twice := requests.LoadOrStore(r.Header.Get("Idempotency-Key"), true); twice {
			t.Errorf("key %q was sent twice", r.Header.Get("Idempotency-Key"))
		}
		bodies.Store(string(body), true)
		created(w)
	})
	var observed atomic.Int64
	l := Load{Keyed: true, Duration: time.Minute, Limit: creates, Observe: func(time.Duration) { observed.Add(1) }}
	res, err := l.Run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if res.Count() != creates || observed.Load() != creates {
		t.Errorf("%d responses were counted and %d observed, want %d", res.Count(), observed.Load(), creates)
	}
	different := 0
	bodies.Range(func(any, any) bool { different++; return true })
	if different != variants {
		t.Errorf("%d different bodies came, want %d", different, variants)
	}
}

func TestAnOpenLoopCountsTheWaitOfThoseThatWereDueDuringAStall(t *testing.T) {
	const rate, stall = 5000, 300 * time.Millisecond
	var began time.Time
	var once sync.Once
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { began = time.Now() })
		// No response comes before the stall is over.
		time.Sleep(time.Until(began.Add(stall)))
		created(w)
	})
	res, err := Load{Rate: rate, Duration: 2 * stall}.Run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(3000); res.Count() != want || res.PerSecond() > rate*1.01 {
		t.Errorf("%d creates were counted, %.0f a second, want %d and %d", res.Count(), res.PerSecond(), want, rate)
	}
	// Half of all were due during the stall, evenly spread over it, so a quarter of all waited for at
	// least half of it.
	if got := res.Milliseconds(75); got < 300*0.4 {
		t.Errorf("p75 is %.0f ms although the server stalled for %s", got, stall)
	}
}

func TestALoadFailsOnASingleBadResponse(t *testing.T) {
	for name, bad := range map[string]http.HandlerFunc{
		"503":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
		"201 \"": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) },
		"EOF":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		var n atomic.Int64
		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1234 {
				bad(w, r)
				return
			}
			created(w)
		})
		_, err := Load{Duration: time.Minute, Limit: 3000}.Run(t.Context(), addr)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want %s", err, name)
		}
	}
}

func TestOneInSoManyCreatesIsCancelledOnce(t *testing.T) {
	const creates, every = 40 * Connections, 20
	var next, missing atomic.Int64
	var cancelled sync.Map
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id, isCancel := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/api/orders/"), "/cancel/")
		if !isCancel {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"order_id":"ORD%d","status":"Pending"}`, next.Add(1))
			return
		}
		if _, twice := cancelled.LoadOrStore(id, true); twice || !strings.HasPrefix(id, "ORD") {
			missing.Add(1)
		}
		_, _ = io.WriteString(w, `{"order_id":"ORD","status":"Cancelled"}`)
	})
	l := Load{Duration: time.Minute, Limit: creates, CancelEvery: every}
	if _, err := l.Run(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	n := 0
	cancelled.Range(func(any, any) bool { n++; return true })
	if missing.Load() > 0 || n < creates/every-Connections || n > creates/every+Connections {
		t.Errorf("%d orders of %d were cancelled, want about %d; %d cancels named no order, or one again", n, creates, creates/every, missing.Load())
	}
}
