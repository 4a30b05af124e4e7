// Package generator puts creates on a server over many connections at once, and costs little itself:
// client and server share the processors. Every response is checked.
package generator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Connections is how many keep-alive connections every load has.
const Connections = 1000

// A Load is creates on many connections at once.
type Load struct {
	Requests *Creates
	// Rate is how many creates a second are due, whatever the server does (an open loop). With 0, each
	// connection sends when it has its response (a closed loop).
	Rate int
	// WarmUp comes before the time that is measured, which is Duration.
	WarmUp, Duration time.Duration
	// Limit ends the load after so many creates, warm-up included; 0 is none.
	Limit int64
	// Observe, if it is set, is told of each response that is measured: when its create was due, since
	// the load began, and its latency. It is called by many goroutines at once.
	Observe func(due, latency time.Duration)
}

// A Result is the result of a load in which every response was right.
type Result struct {
	// Elapsed is from the end of the warm-up until the last create was due, Responded until the last
	// response came.
	Elapsed, Responded time.Duration
	// Latencies count from when each create was due. In an open loop it is sent later than that when all
	// connections are busy or the client is late.
	Latencies *Latencies
}

// PerSecond is creates a second.
func (r Result) PerSecond() float64 { return float64(r.Latencies.Count()) / r.Elapsed.Seconds() }

// Achieved is responses a second: the rate of an open loop, unless the server did not keep it.
func (r Result) Achieved() float64 { return float64(r.Latencies.Count()) / r.Responded.Seconds() }

// A loadRun is a load under way.
type loadRun struct {
	Load
	latencies           *Latencies
	next                atomic.Int64 // the number of the next create
	begin, counted, end time.Time
}

// responseTimeout is how long after its end a load waits for the last responses.
const responseTimeout = 30 * time.Second

// Run puts the load on the server at addr. One bad response or broken connection makes it return an
// error.
func (l Load) Run(ctx context.Context, addr string) (Result, error) {
	workers := make([]worker, Connections)
	for i := range workers {
		c, err := Dial(ctx, addr)
		if err != nil {
			return Result{}, err
		}
		workers[i].conn = c
		defer c.Close()
	}
	// Closing the connections is what ends a load early.
	stop := context.AfterFunc(ctx, func() {
		for i := range workers {
			_ = workers[i].conn.Close()
		}
	})
	defer stop()

	r := &loadRun{Load: l, latencies: NewLatencies(), begin: time.Now()}
	r.counted = r.begin.Add(l.WarmUp)
	r.end = r.counted.Add(l.Duration)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { workers[i].err = workers[i].work(r) })
	}
	wg.Wait()
	return r.result(workers)
}

// due is when the nth create is to be sent; ok is false when the load is over.
func (r *loadRun) due(n int64) (at time.Time, ok bool) {
	if r.Limit > 0 && n >= r.Limit {
		return at, false
	}
	at = time.Now()
	if r.Rate > 0 {
		at = r.begin.Add(time.Duration(n) * time.Second / time.Duration(r.Rate))
	}
	return at, at.Before(r.end)
}

// A worker sends creates on one connection.
type worker struct {
	conn      *Conn
	request   []byte
	last      time.Time // when the last one was due
	responded time.Time // when the last response came
	err       error
}

func (w *worker) work(r *loadRun) error {
	if err := w.conn.SetDeadline(r.end.Add(responseTimeout)); err != nil {
		return err
	}
	for {
		n := r.next.Add(1) - 1
		due, ok := r.due(n)
		if !ok {
			return nil
		}
		time.Sleep(time.Until(due)) // not at all in a closed loop
		w.request = r.Requests.Append(w.request[:0], n)
		response, err := w.conn.Do(w.request)
		if err != nil {
			return err
		}
		if err := CheckCreated(response); err != nil {
			return err
		}
		if due.Before(r.counted) {
			continue
		}
		w.last, w.responded = due, time.Now()
		latency := w.responded.Sub(due)
		r.latencies.Record(latency)
		if r.Observe != nil {
			r.Observe(due.Sub(r.begin), latency)
		}
	}
}

func (r *loadRun) result(workers []worker) (Result, error) {
	var failed []error
	last, responded := r.counted, r.counted
	for _, w := range workers {
		if w.last.After(last) {
			last = w.last
		}
		if w.responded.After(responded) {
			responded = w.responded
		}
		if w.err != nil {
			failed = append(failed, w.err)
		}
	}
	if len(failed) > 0 {
		return Result{}, fmt.Errorf("%d of %d connections failed, one with: %w", len(failed), len(workers), failed[0])
	}
	if responded.Equal(r.counted) {
		return Result{}, errors.New("the load was over before its warm-up")
	}
	return Result{Elapsed: last.Sub(r.counted), Responded: responded.Sub(r.counted), Latencies: r.latencies}, nil
}
