package main

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

// serve returns the address of a server that answers creates with handle.
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

func TestAClosedLoopSendsEveryRequestOnceAndCountsEachAnswer(t *testing.T) {
	var keys sync.Map
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, twice := keys.LoadOrStore(r.Header.Get("Idempotency-Key"), true); twice {
			t.Errorf("key %q was sent twice", r.Header.Get("Idempotency-Key"))
		}
		created(w)
	})
	res, err := load{requests: newCreates(true), duration: time.Minute, limit: 3000}.run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.latencies) != 3000 {
		t.Errorf("%d answers were counted, want 3000", len(res.latencies))
	}
}

func TestAnOpenLoopCountsTheWaitOfThoseThatWereDueDuringAStall(t *testing.T) {
	const stall = 300 * time.Millisecond
	var began time.Time
	var once sync.Once
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { began = time.Now() })
		// Nobody is answered before the stall is over.
		time.Sleep(time.Until(began.Add(stall)))
		created(w)
	})
	res, err := load{requests: newCreates(false), rate: 5000, duration: 2 * stall}.run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if want := 3000; len(res.latencies) != want {
		t.Errorf("%d creates were counted, want %d", len(res.latencies), want)
	}
	// Half of all were due while nobody was answered, evenly spread over it, so a
	// quarter of all waited for at least half of it.
	if got := res.latencies.percentile(75); got < stall*4/10 {
		t.Errorf("p75 is %s although the server stalled for %s", got, stall)
	}
}

func TestAnObservedLoadTellsEachAnswerAndKeepsNone(t *testing.T) {
	const rate, duration = 5000, 400 * time.Millisecond
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { created(w) })
	var latencies histogram
	var first, second atomic.Int64
	res, err := load{requests: newCreates(false), rate: rate, duration: duration, observe: func(due, latency time.Duration) {
		latencies.add(latency)
		if due < duration/2 {
			first.Add(1)
		} else if due < duration {
			second.Add(1)
		}
	}}.run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if first.Load() != 1000 || second.Load() != 1000 || latencies.count() != 2000 || len(res.latencies) != 0 {
		t.Errorf("%d were due in the first half and %d in the second, want 1000 each; the result keeps %d",
			first.Load(), second.Load(), len(res.latencies))
	}
	if res.answered < duration*9/10 {
		t.Errorf("the last of them was answered after %s", res.answered)
	}
}

func TestALoadFailsOnASingleBadAnswer(t *testing.T) {
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
			_, err := load{requests: newCreates(false), duration: time.Minute, limit: 3000}.run(t.Context(), addr)
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
	if _, err := (load{requests: newCreates(false), duration: time.Minute, limit: variants}).run(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	n := 0
	bodies.Range(func(any, any) bool { n++; return true })
	if n != variants {
		t.Errorf("%d different bodies came, want %d", n, variants)
	}
}
