package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many keep-alive connections every load has.
const connections = 1000

// A load is creates on many connections at once.
type load struct {
	requests *creates
	// rate is how many creates a second are due, whatever the server does (an
	// open loop). With 0, each connection sends when it has its answer (a closed
	// loop).
	rate int
	// warmUp comes before what is counted, duration is counted.
	warmUp, duration time.Duration
	// limit ends the load after so many creates, warm-up included; 0 is none.
	limit int64
	// observe, if it is set, is told of each answer that counts when its create was
	// due, since the load began, and its latency. It is called from many goroutines
	// at once. The result has no latencies then, so that a load may last for hours.
	observe func(due, latency time.Duration)
}

// A result is what came of a load in which every create was answered as it
// should be.
type result struct {
	// elapsed is from the end of the warm-up until the last create was due, answered
	// until the last answer came.
	elapsed, answered time.Duration
	// latencies count from when each create was due. In an open loop it is sent
	// later than that when all connections are busy or the client is late.
	latencies latencies
}

func (r result) perSecond() float64 { return float64(len(r.latencies)) / r.elapsed.Seconds() }

// achieved is how many creates a second were answered: the rate of an open loop,
// unless the server did not keep it.
func (r result) achieved() float64 { return float64(len(r.latencies)) / r.answered.Seconds() }

// A loadRun is a load under way.
type loadRun struct {
	load
	next                atomic.Int64 // the number of the next create
	begin, counted, end time.Time
}

// answerTimeout is how long after its end a load waits for the last answers.
const answerTimeout = 30 * time.Second

// run puts the load on the server at addr. One bad answer or broken connection
// makes it return an error.
func (l load) run(ctx context.Context, addr string) (result, error) {
	workers := make([]worker, connections)
	for i := range workers {
		c, err := dial(ctx, addr)
		if err != nil {
			return result{}, err
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

	r := &loadRun{load: l, begin: time.Now()}
	r.counted = r.begin.Add(l.warmUp)
	r.end = r.counted.Add(l.duration)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { workers[i].err = workers[i].work(r) })
	}
	wg.Wait()
	return r.result(workers)
}

// due is when the nth create is to be sent; ok is false when the load is over.
func (r *loadRun) due(n int64) (at time.Time, ok bool) {
	if r.limit > 0 && n >= r.limit {
		return at, false
	}
	at = time.Now()
	if r.rate > 0 {
		at = r.begin.Add(time.Duration(n) * time.Second / time.Duration(r.rate))
	}
	return at, at.Before(r.end)
}

// A worker sends creates on one connection.
type worker struct {
	conn     *conn
	request  []byte
	samples  []time.Duration
	last     time.Time // when the last one was due
	answered time.Time // when the last one was answered
	err      error
}

func (w *worker) work(r *loadRun) error {
	if err := w.conn.SetDeadline(r.end.Add(answerTimeout)); err != nil {
		return err
	}
	for {
		n := r.next.Add(1) - 1
		due, ok := r.due(n)
		if !ok {
			return nil
		}
		time.Sleep(time.Until(due)) // not at all in a closed loop
		w.request = r.requests.append(w.request[:0], n)
		a, err := w.conn.do(w.request)
		if err != nil {
			return err
		}
		if err := checkCreated(a); err != nil {
			return err
		}
		if !due.Before(r.counted) {
			w.last, w.answered = due, time.Now()
			if latency := w.answered.Sub(due); r.observe == nil {
				w.samples = append(w.samples, latency)
			} else {
				r.observe(due.Sub(r.begin), latency)
			}
		}
	}
}

func (r *loadRun) result(workers []worker) (result, error) {
	var samples [][]time.Duration
	var failed []error
	last, answered := r.counted, r.counted
	for _, w := range workers {
		samples = append(samples, w.samples)
		if w.last.After(last) {
			last = w.last
		}
		if w.answered.After(answered) {
			answered = w.answered
		}
		if w.err != nil {
			failed = append(failed, w.err)
		}
	}
	if len(failed) > 0 {
		return result{}, fmt.Errorf("%d of %d connections failed, one with: %w", len(failed), len(workers), failed[0])
	}
	res := result{elapsed: last.Sub(r.counted), answered: answered.Sub(r.counted), latencies: newLatencies(samples...)}
	if res.answered == 0 {
		return result{}, errors.New("the load was over before its warm-up")
	}
	return res, nil
}
