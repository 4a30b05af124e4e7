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

	finished    int64     // the checkpoint "finished"
	nextMark    time.Time // when to look whether it has moved
	nextReport  time.Time // when to tell again of orders that cannot be advanced
	failing     bool      // whether the last commit failed: log the first only
	transaction tx        // reused, to spare the garbage collector
}

// run commits groups until the store is closed or the disk has failed. Whatever
// waits at that moment is still answered.
func (w *writer) run() {
	defer close(w.store.stopped)
	for {
		w.sleep()
		now := w.store.cfg.Now()
		mark := w.mark(now)
		g, err := w.store.take()
		switch {
		case err == nil:
			w.commit(g, w.queue.pop(now), mark, now)
			time.Sleep(w.pacer.delay(len(g.creations), now, w.store.cfg.Now()))
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
// spares a restart from reading what is done, so once a second will do. As often it
// looks whether the files are still in their place.
func (w *writer) mark(now time.Time) int64 {
	if now.Before(w.nextMark) {
		return w.finished
	}
	w.nextMark = now.Add(time.Second)
	w.store.stopIf(w.store.files.gone())
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
func (w *writer) commit(g *group, runs []run, mark int64, now time.Time) {
	defer close(g.done)
	if g.empty() && len(runs) == 0 && mark == w.finished {
		return
	}
	t := w.begin(mark, now)
	if err := t.do(g, runs); err != nil {
		w.failed(t, g, runs, err)
	} else {
		w.committed(t, len(g.creations))
	}
}

// committed takes over what a transaction has left on the disk.
func (w *writer) committed(t *tx, creates int) {
	w.last, w.finished = t.last, t.finished
	tally := t.tally
	w.store.tally.Store(&tally)
	w.store.keys.merged(t.merged, creates, t.last)
	for _, r := range t.next.runs {
		w.queue.push(r, t.now)
	}
	for _, r := range t.again {
		w.queue.retry(r, t.now)
	}
	w.report(t)
	if w.failing {
		w.failing = false
		w.store.cfg.Log.Info("the database file can be written again")
	}
}

// report tells once a minute of orders that cannot be advanced. The reason for each was
// logged when it went into dead_letters.
func (w *writer) report(t *tx) {
	if len(t.again) > 0 && !t.now.Before(w.nextReport) {
		w.nextReport = t.now.Add(time.Minute)
		w.store.cfg.Log.Error("orders cannot be advanced; will keep trying: see dead_letters", "orders", len(t.again), "first_seq", t.again[0].first)
	}
}

// failed puts everything back as it was before the transaction.
func (w *writer) failed(t *tx, g *group, runs []run, err error) {
	stopped := w.store.stopIf(err)
	for _, id := range t.keyed {
		w.store.keys.forget(id)
	}
	for _, r := range runs {
		w.queue.retry(r, t.now)
	}
	err = fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	g.fail(err)
	if !stopped && !w.failing {
		w.failing = true
		w.store.cfg.Log.Error("the database file cannot be written; will keep trying", "err", err)
	}
}
