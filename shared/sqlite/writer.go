package sqlite

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// A writer makes all changes to the file, a group at a time.
//
// fsync is what a commit costs, so the orders that wait share one: hundreds under
// load. When one comes alone, it is committed at once.
type writer struct {
	store *Store
	conn  *sqlite.Conn
	queue queue
	pacer pacer
	last  int64 // the highest seq given so far

	fence         fence
	buffer        []byte    // for the watch over the files
	finished      int64     // the checkpoint "finished"
	checkpointDue time.Time // when to look whether it has moved
	reportDue     time.Time // when to tell again of orders that cannot be advanced
	probeDue      time.Time // when to see whether commits succeed again
	transaction   tx        // reused, to spare the garbage collector
}

// run commits groups until the store is closed or the disk has failed. Whatever
// waits at that moment is still answered.
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

// mark is the checkpoint "finished" as it may be now. Nobody needs it sharp: it
// spares a restart from reading what is done, so once a second will do.
func (w *writer) nextCheckpoint(now time.Time) int64 {
	if now.Before(w.checkpointDue) {
		return w.finished
	}
	w.checkpointDue = now.Add(time.Second)
	return w.queue.finishedBelow(w.last+1) - 1
}

// sleep returns when there is something to do.
//
// The scheduler runs whom a goroutine wakes before all that wait already. With one
// processor, the writer would thus run at the first order of many that have come at
// once, and commit it alone: it gives way, and the others join the group.
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

// commit makes one transaction of a group and the runs that are due, and gives
// each its result. Whatever happens, nothing is forgotten: calls are answered,
// and runs have led to their successors or are queued again.
func (w *writer) commit(g *group, ranges []seqRange, finished int64, now time.Time) {
	defer close(g.done)
	if g.empty() && len(ranges) == 0 && finished == w.finished {
		return
	}
	w.transact(w.begin(finished, now), g, ranges)
}

// transact runs a transaction to its end.
func (w *writer) transact(t *tx, g *group, ranges []seqRange) {
	w.store.health.begin(t.began)
	err := t.exec(g, ranges)
	if err == nil {
		// What is committed to files that have gone is gone with the process: it is not
		// acknowledged.
		err = w.store.files.check(w.buffer)
	}
	w.store.health.end()
	if err != nil {
		w.failed(t, g, ranges, err)
	} else {
		w.committed(t, len(g.creates))
	}
}

// probe sees, a second after the last failure, whether a store whose commits fail can take
// orders again: nobody may send it any, because it says that it cannot.
func (w *writer) probe(now time.Time) {
	if !w.store.health.isFailing() || now.Before(w.probeDue) {
		return
	}
	t := w.begin(w.finished, now)
	t.probe = true
	w.transact(t, newGroup(0), nil)
}

// committed takes over what a transaction has left on the disk.
func (w *writer) committed(t *tx, creates int) {
	if (t.probe || t.last > w.last) && w.store.health.succeeded() {
		w.store.cfg.Log.Info("the database file can be written again")
	}
	w.last, w.finished = t.last, t.finished
	tally := t.tally
	w.store.tally.Store(&tally)
	w.store.keys.merged(t.merged, creates, t.last)
	for _, r := range t.next.ranges {
		w.queue.push(r, t.began, t.now)
	}
	for _, r := range t.retry {
		w.queue.retry(r, t.began)
	}
	w.report(t)
}

// report tells once a minute of orders that cannot be advanced. The reason for each was
// logged when it went into dead_letters.
func (w *writer) report(t *tx) {
	if len(t.retry) > 0 && !t.began.Before(w.reportDue) {
		w.reportDue = t.began.Add(time.Minute)
		w.store.cfg.Log.Error("orders cannot be advanced; will keep trying: see dead_letters", "orders", len(t.retry), "first_seq", t.retry[0].first)
	}
}

// failed puts everything back as it was before the transaction.
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
	if w.store.health.failed() && !stopped {
		w.store.cfg.Log.Error("the database file cannot be written; will keep trying", "err", err)
	}
}

// A pacer spaces commits out under load, so that groups grow and the processor
// is left to the clients: with 1,000 of them, commits 4 ms apart take a quarter more orders
// than commits back to back. At rest nobody waits.
type pacer struct {
	creates int       // since the window began
	began   time.Time // the window
	busy    bool      // whether the window before was
}

const (
	commitInterval = 4 * time.Millisecond
	pacerWindow    = 50 * time.Millisecond
	busyRate       = 15_000 // creates a second
)

// delay is how long to wait after a commit of so many creates that ran from began
// to ended.
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
