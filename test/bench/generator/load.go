// Package generator puts creates on a server over many connections at once, and costs little itself:
// client and server share the processors. Every response is checked.
package generator

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Connections is how many keep-alive connections every load has.
const Connections = 1000

// A Load is creates on many connections at once.
type Load struct {
	// Keyed gives each create an Idempotency-Key of its own.
	Keyed bool
	// Rate is how many creates a second are due, whatever the server does (an open loop). With 0, each
	// connection sends when it has its response (a closed loop).
	Rate int
	// WarmUp comes before the time that is measured, which is Duration.
	WarmUp, Duration time.Duration
	// Limit ends the load after so many creates, warm-up included; 0 is none.
	Limit int64
	// CancelEvery is among how many creates of a connection one is cancelled, a tenth as many creates
	// later; 0 is none. Cancels are not measured.
	CancelEvery int
	// Observe, if it is set, is told of the latency of each response that is measured. It is called by
	// many goroutines at once.
	Observe func(latency time.Duration)
}

// A Result is the result of a load in which every response was right. Its latencies count from when
// each create was due. In an open loop it is sent later than that when all connections are busy or the
// client is late.
type Result struct {
	*Latencies
	elapsed time.Duration // from the end of the warm-up until the last response
}

// PerSecond is responses a second: the rate of an open loop, unless the server did not keep it.
func (r Result) PerSecond() float64 { return float64(r.Count()) / r.elapsed.Seconds() }

// A loadRun is a load under way.
type loadRun struct {
	Load
	bodies              []string
	latencies           *Latencies
	next                atomic.Int64 // the number of the next create
	begin, counted, end time.Time

	mu   sync.Mutex
	last time.Time // when the last response came
}

// responseTimeout is how long after its end a load waits for the last responses.
const responseTimeout = 30 * time.Second

// Run puts the load on the server at addr. One bad response or broken connection ends it with an error.
func (l Load) Run(ctx context.Context, addr string) (Result, error) {
	conns := make([]*Conn, Connections)
	for i := range conns {
		c, err := Dial(ctx, addr)
		if err != nil {
			return Result{}, err
		}
		defer c.Close()
		conns[i] = c
	}
	r := &loadRun{Load: l, bodies: createBodies(), latencies: NewLatencies(), begin: time.Now()}
	r.counted = r.begin.Add(l.WarmUp)
	r.end = r.counted.Add(l.Duration)
	g, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() {
		for _, c := range conns {
			_ = c.Close() // ends the load early
		}
	})()
	for i, c := range conns {
		g.Go(func() error { return r.work(c, i) })
	}
	err := g.Wait()
	if err == nil && r.last.IsZero() {
		err = errors.New("the load was over before its warm-up")
	}
	return Result{r.latencies, r.last.Sub(r.counted)}, err
}

// due is when the nth create is to be sent; ok is false when the load is over.
func (r *loadRun) due(n int64) (at time.Time, ok bool) {
	at = time.Now()
	if r.Rate > 0 {
		at = r.begin.Add(time.Duration(n) * time.Second / time.Duration(r.Rate))
	}
	return at, at.Before(r.end) && (r.Limit == 0 || n < r.Limit)
}

// work sends creates on one connection, whose number spreads the cancels of all.
func (r *loadRun) work(c *Conn, number int) error {
	if err := c.SetDeadline(r.end.Add(responseTimeout)); err != nil {
		return err
	}
	var request []byte
	var responded time.Time
	var unwanted []byte // the id of the order to cancel
	for turn := number; ; turn++ {
		n := r.next.Add(1) - 1
		due, ok := r.due(n)
		if !ok {
			break
		}
		time.Sleep(time.Until(due)) // not at all in a closed loop
		request = r.appendCreate(request[:0], n)
		if err := c.Do(request, CheckCreated); err != nil {
			return err
		}
		if !due.Before(r.counted) {
			responded = r.record(due)
		}
		switch {
		case r.CancelEvery == 0:
		case turn%r.CancelEvery == 0:
			unwanted = append(unwanted[:0], orderID(c.body)...)
		case turn%r.CancelEvery == r.CancelEvery/10 && len(unwanted) > 0:
			if err := c.Do(Cancel(unwanted), CheckOK); err != nil {
				return err
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if responded.After(r.last) {
		r.last = responded
	}
	return nil
}

// record notes that the response to a create has come.
func (r *loadRun) record(due time.Time) (now time.Time) {
	now = time.Now()
	r.latencies.Record(now.Sub(due))
	if r.Observe != nil {
		r.Observe(now.Sub(due))
	}
	return now
}
