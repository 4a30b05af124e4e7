package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// A writer makes all changes to the file, in one goroutine.
//
// The fsync is the cost of a commit, so orders that wait share one transaction: hundreds under
// load. An order that comes alone is committed at once.
type writer struct {
	store *Store
	conn  *sqlite.Conn
	queue queue
	pacer pacer
	last  int64 // the highest seq so far

	fence         fence
	buffer        []byte    // for fileWatch.check
	finished      int64     // the checkpoint "finished" in the file
	checkpointDue time.Time // when to move the checkpoint
	openBefore    time.Time // the next commit moves ranges queued before to open_orders; zero for none
	reportDue     time.Time // when to log again that orders cannot be advanced
	probeDue      time.Time // when to try whether commits succeed again
	transaction   tx        // reused, to save allocations
}

// run commits groups until the store is closed or has failed. Requests that wait at that moment
// still get their result.
func (w *writer) run() {
	defer close(w.store.stopped)
	for {
		w.sleep()
		now := w.store.cfg.Now()
		finished := w.nextCheckpoint(now)
		g, err := w.store.swapGroup()
		switch {
		case err == nil:
			w.commit(g, w.queue.pop(now), finished, now)
			w.probe(now)
			time.Sleep(w.pacer.delay(len(g.creates), now, w.store.cfg.Now()))
		case errors.Is(err, errClosed):
			w.commit(g, nil, w.queue.finishedBelow(w.last+1)-1, now)
			return
		default:
			g.fail(err)
			close(g.done)
			return
		}
	}
}

// nextCheckpoint returns the checkpoint "finished" for the next commit. It moves once a second: it
// only saves a restart from reading finished orders, so it may lag.
func (w *writer) nextCheckpoint(now time.Time) int64 {
	if w.openBefore = (time.Time{}); now.Before(w.checkpointDue) {
		return w.finished
	}
	w.checkpointDue = now.Add(time.Second)
	w.openBefore = now.Add(-openAfter)
	return w.queue.finishedBelow(w.last+1) - 1
}

// sleep returns when a request waits, or a transition is due.
//
// It yields before the writer takes a group. A goroutine that is woken runs before those already
// runnable, so with GOMAXPROCS=1 the writer would otherwise commit the first order of a burst
// alone.
func (w *writer) sleep() {
	defer runtime.Gosched()
	var due <-chan time.Time
	if d, ok := w.queue.wait(w.store.cfg.Now()); ok {
		if d <= 0 {
			return
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-w.store.wake:
	case <-due:
	}
}

// commit runs one transaction of a group and the ranges that are due, if there is anything to
// commit. In any case, each request gets its result, and each range has led to its follow-ups or is
// queued again.
func (w *writer) commit(g *group, ranges []seqRange, finished int64, now time.Time) {
	defer close(g.done)
	if g.len() == 0 && len(ranges) == 0 && finished == w.finished && w.queue.toOpen(w.openBefore) == nil {
		return
	}
	w.transact(w.begin(finished, now), g, ranges)
}

func (w *writer) transact(t *tx, g *group, ranges []seqRange) {
	w.store.health.begin(t.began)
	err := t.exec(g, ranges)
	if err == nil {
		// A commit to files that were deleted or replaced is lost when the process ends, so it is
		// not acknowledged.
		err = w.store.files.check(w.buffer)
	}
	w.store.health.end()
	if err != nil {
		w.failed(t, g, ranges, err)
	} else {
		w.committed(t, len(g.creates))
	}
}

// probe tries a commit one second after the last failure: while the store reports that it accepts
// no orders, no client may send one.
func (w *writer) probe(now time.Time) {
	if !w.store.health.isFailing() || now.Before(w.probeDue) {
		return
	}
	t := w.begin(w.finished, now)
	t.probe = true
	w.transact(t, newGroup(0), nil)
}

// committed makes the state of a committed transaction the writer's own.
func (w *writer) committed(t *tx, creates int) {
	if (t.probe || t.last > w.last) && w.store.health.set(false) {
		w.store.cfg.Log.Info("writing the database file succeeds again")
	}
	w.last, w.finished = t.last, t.finished
	tally := t.tally
	w.store.tally.Store(&tally)
	w.store.keys.merged(t.merged, creates, t.last)
	for _, r := range w.queue.toOpen(t.openBefore) {
		r.open = true
	}
	w.queue.leave(t.left)
	for _, r := range t.followUps.ranges {
		w.queue.push(r, t.began, t.now)
	}
	for _, r := range t.retry {
		w.queue.retry(r, t.began)
	}
	w.report(t)
}

// report logs once a minute that orders cannot be advanced. The reason for each was logged when it
// was written to dead_letters.
func (w *writer) report(t *tx) {
	if len(t.retry) > 0 && !t.began.Before(w.reportDue) {
		w.reportDue = t.began.Add(time.Minute)
		w.store.cfg.Log.Error("advance orders: will retry, see dead_letters", "orders", len(t.retry), "first_seq", t.retry[0].first)
	}
}

// failed restores the state before the transaction.
func (w *writer) failed(t *tx, g *group, ranges []seqRange, err error) {
	stopped := w.store.failOnDamage(err)
	w.probeDue = t.began.Add(probeInterval)
	for _, id := range t.keyed {
		w.store.keys.forget(id)
	}
	for _, r := range ranges {
		w.queue.retry(r, t.began)
	}
	err = fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	g.fail(err)
	if w.store.health.set(true) && !stopped {
		w.store.cfg.Log.Error("write the database file: will retry", "err", err)
	}
}

// A pacer spaces commits out under load, so that groups grow and clients get processor time: with
// 1,000 clients, commits 4 ms apart create a quarter more orders than commits back to back. Without
// load it causes no delay.
type pacer struct {
	creates int       // in the present window
	began   time.Time // the present window
	busy    bool      // whether the last window was above busyRate
}

const (
	commitInterval = 4 * time.Millisecond
	pacerWindow    = 50 * time.Millisecond
	busyRate       = 15_000 // creates a second
)

// delay returns how long to wait after a commit of so many creates that ran from began to ended.
func (p *pacer) delay(creates int, began, ended time.Time) time.Duration {
	p.creates += creates
	if window := ended.Sub(p.began); window >= pacerWindow {
		p.busy = float64(p.creates) > busyRate*window.Seconds()
		p.creates, p.began = 0, ended
	}
	if !p.busy {
		return 0
	}
	return commitInterval - ended.Sub(began)
}

// A clock returns the times that orders get. It follows a clock that cannot be set, so that a wall
// clock which leaps ahead for a moment does not date all later orders into the future. It follows a
// step of the wall clock once the step has lasted for stepHolds.
type clock struct {
	now     func() time.Time
	elapsed func() time.Duration // if nil, the clock is the wall clock
	log     *slog.Logger

	mu    sync.Mutex
	base  time.Time     // the time at which elapsed was 0
	step  time.Duration // the difference of the wall clock, 0 if there is none
	since time.Duration // when the difference began, by elapsed
}

const (
	// stepHolds is how long a step of the wall clock must last before it is followed.
	stepHolds = 10 * time.Second
	// tolerance is the difference of two clock readings that is not a step.
	tolerance = 100 * time.Millisecond
)

func newClock(cfg Config) *clock {
	c := &clock{now: cfg.Now, elapsed: cfg.Elapsed, log: cfg.Log}
	if c.elapsed != nil {
		c.base = c.now().Round(0).Add(-c.elapsed())
	}
	return c
}

// wall returns the time for orders when the wall clock shows now.
func (c *clock) wall(now time.Time) time.Time {
	if c.elapsed == nil {
		return now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := c.elapsed()
	c.observe(now, elapsed)
	return c.base.Add(elapsed)
}

// observe follows a step of the wall clock that has lasted for stepHolds.
func (c *clock) observe(now time.Time, elapsed time.Duration) {
	step := now.Round(0).Sub(c.base.Add(elapsed))
	switch {
	case step.Abs() < tolerance:
		c.step = 0
	case (step-c.step).Abs() >= tolerance || c.step == 0:
		c.step, c.since = step, elapsed
	case elapsed-c.since >= stepHolds && isPlausible(now):
		c.log.Error("the wall clock was set: new orders follow it from now on", "by", step)
		c.base, c.step = c.base.Add(step), 0
	}
}

// isPlausible reports whether a clock may be right. A clock that was never set shows 1970.
func isPlausible(now time.Time) bool { return 2020 <= now.Year() && now.Year() < 2100 }
