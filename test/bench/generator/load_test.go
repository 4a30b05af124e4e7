package generator

import (
	"bytes"
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
	var keys sync.Map
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, twice := keys.LoadOrStore(r.Header.Get("Idempotency-Key"), true); twice {
			t.Errorf("key %q was sent twice", r.Header.Get("Idempotency-Key"))
		}
		created(w)
	})
	res, err := Load{Requests: NewCreates(true), Duration: time.Minute, Limit: 3000}.Run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if res.Latencies.Count() != 3000 {
		t.Errorf("%d responses were counted, want 3000", res.Latencies.Count())
	}
}

func TestAnOpenLoopCountsTheWaitOfThoseThatWereDueDuringAStall(t *testing.T) {
	const stall = 300 * time.Millisecond
	var began time.Time
	var once sync.Once
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { began = time.Now() })
		// No response comes before the stall is over.
		time.Sleep(time.Until(began.Add(stall)))
		created(w)
	})
	res, err := Load{Requests: NewCreates(false), Rate: 5000, Duration: 2 * stall}.Run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(3000); res.Latencies.Count() != want {
		t.Errorf("%d creates were counted, want %d", res.Latencies.Count(), want)
	}
	// Half of all were due during the stall, evenly spread over it, so a
	// quarter of all waited for at least half of it.
	if got := res.Latencies.Percentile(75); got < stall*4/10 {
		t.Errorf("p75 is %s although the server stalled for %s", got, stall)
	}
}

func TestAnObserverIsToldOfEachResponse(t *testing.T) {
	const rate, duration = 5000, 400 * time.Millisecond
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { created(w) })
	var first, second atomic.Int64
	res, err := Load{Requests: NewCreates(false), Rate: rate, Duration: duration, Observe: func(due, _ time.Duration) {
		if due < duration/2 {
			first.Add(1)
		} else if due < duration {
			second.Add(1)
		}
	}}.Run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if first.Load() != 1000 || second.Load() != 1000 || res.Latencies.Count() != 2000 {
		t.Errorf("%d were due in the first half and %d in the second, want 1000 each", first.Load(), second.Load())
	}
	if res.Responded < duration*9/10 {
		t.Errorf("the last response came after %s", res.Responded)
	}
}

func TestALoadAchievesNoMoreThanTheServerDoes(t *testing.T) {
	const responseTime = 500 * time.Millisecond // so all connections make 2,000 a second
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(responseTime)
		created(w)
	})
	res, err := Load{Requests: NewCreates(false), Rate: 10_000, Duration: 300 * time.Millisecond}.Run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if res.Achieved() > 2000 {
		t.Errorf("%.0f creates a second were achieved", res.Achieved())
	}
}

func TestALoadFailsOnASingleBadResponse(t *testing.T) {
	for name, bad := range map[string]http.HandlerFunc{
		"another status": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no", http.StatusServiceUnavailable)
		},
		"no order_id": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
		},
		"connection closed": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == 1234 {
					bad(w, r)
					return
				}
				created(w)
			})
			_, err := Load{Requests: NewCreates(false), Duration: time.Minute, Limit: 3000}.Run(t.Context(), addr)
			if err == nil || !strings.Contains(err.Error(), "1 of 1000 connections failed") {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestCreatesAreRequestsThatAnyServerReads(t *testing.T) {
	var bodies sync.Map
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/orders/create/" || !bytes.HasPrefix(body, []byte(`{"user_id": `)) {
			t.Errorf("%s %s %q, %v", r.Method, r.URL, body, err)
		}
		bodies.Store(string(body), true)
		created(w)
	})
	if _, err := (Load{Requests: NewCreates(false), Duration: time.Minute, Limit: variants}).Run(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	n := 0
	bodies.Range(func(any, any) bool { n++; return true })
	if n != variants {
		t.Errorf("%d different bodies came, want %d", n, variants)
	}
}

func TestPercentilesAreAtMostAThousandthTooLong(t *testing.T) {
	l := NewLatencies()
	if l.Percentile(99) != 0 {
		t.Errorf("p99 of nothing is %s", l.Percentile(99))
	}
	for n := range 100 {
		l.Record(time.Duration(n+1) * time.Millisecond)
	}
	for p, want := range map[float64]time.Duration{50: 50 * time.Millisecond, 99: 99 * time.Millisecond, 100: 100 * time.Millisecond} {
		if got := l.Percentile(p); got < want || got > want+want/1000 {
			t.Errorf("p%v is %s, want %s or a thousandth more", p, got, want)
		}
	}
	l.Record(-time.Second) // a clock that was set back
	l.Record(time.Hour)
	if l.Count() != 102 || l.Percentile(100) < maxLatency || l.Percentile(0) != 0 {
		t.Errorf("%d latencies from %s to %s", l.Count(), l.Percentile(0), l.Percentile(100))
	}
}
