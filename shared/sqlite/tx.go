package sqlite

import (
	"context"
	"errors"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// A tx is one transaction of the writer. It holds what will be true once it is
// committed, and can be dropped without a trace until then.
type tx struct {
	w     *writer
	conn  *sqlite.Conn
	now   time.Time // what the orders are dated by
	began time.Time // by the process's own clock
	tally order.Tally
	last  int64

	finished int64      // the checkpoint "finished" to be
	merged   int        // how many ids went from memory to the table keys
	keyed    []order.ID // keyed orders made
	next     runBuilder // what follows
	again    []run      // orders that could not be advanced: tried again
	probe    bool       // whether it is there to see that the disk has room
}

func (w *writer) begin(mark int64, now time.Time) *tx {
	t := &w.transaction
	*t = tx{
		w: w, conn: w.conn, now: w.store.clock.wall(now), began: now,
		tally: *w.store.tally.Load(), last: w.last, finished: max(mark, w.finished),
		keyed: t.keyed[:0],
		next:  runBuilder{runs: t.next.runs[:0]},
	}
	return t
}

// do runs the whole transaction. After an error nothing of it is in the file,
// unless that is a brokenError.
func (t *tx) do(g *group, runs []run) (err error) {
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if !t.conn.AutocommitEnabled() {
			err = errors.Join(err, t.exec("ROLLBACK"))
		}
	}()
	if err := t.w.fence.check(t.conn); err != nil {
		return err
	}
	if err := t.write(g, runs); err != nil {
		return err
	}
	err = commitError(t.exec("COMMIT"))
	t.w.fence.own = err == nil
	return err
}

// write makes all changes of the transaction.
func (t *tx) write(g *group, runs []run) error {
	for _, c := range g.creations {
		if c.err = t.create(c); c.err != nil && !t.survives(c.err) {
			return c.err
		}
	}
	for _, d := range g.deliveries {
		if d.err = t.processor().Process(context.Background(), d.body, t.now); d.err != nil && !t.survives(d.err) {
			return d.err
		}
	}
	for _, r := range runs {
		if err := t.advanceRun(r); err != nil {
			return err
		}
	}
	return t.bookkeeping(len(g.creations))
}

// survives reports whether the transaction can go on after an error of one of its parts,
// which then belongs to that part alone. After an error of SQLite's it cannot, because
// SQLite may have rolled everything back; but a violated constraint undoes its own
// statement only.
func (t *tx) survives(err error) bool {
	constraint := sqlite.ErrCode(err).ToPrimary() == sqlite.ResultConstraint
	return (constraint || !isSQLite(err)) && !t.conn.AutocommitEnabled()
}

// commitError tells a commit that has not happened from one of which nobody
// knows: SQLite reports a full disk or a locked file before it changes anything, but after a
// failed write or fsync the commit may be on the disk or not.
func commitError(err error) error {
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultIOErr {
		return &brokenError{"the disk failed during a commit", err}
	}
	return err
}

// bookkeeping writes what the transaction adds up to.
func (t *tx) bookkeeping(creates int) (err error) {
	if t.merged, err = t.w.store.keys.merge(t.conn, creates); err != nil {
		return err
	}
	if possible := possibleTally(t.tally); t.tally != possible {
		t.tally = possible
		t.w.store.cfg.Log.Error("the metrics do not fit the orders, which somebody else has changed: orders check tells more")
	}
	if t.tally != *t.w.store.tally.Load() {
		if err := setTally(t.conn, t.tally); err != nil {
			return err
		}
	}
	if t.finished != t.w.finished {
		err = setCheckpoint(t.conn, finishedMark, t.finished)
	}
	if err == nil && t.probe {
		err = t.exec(writeProbe)
	}
	return err
}

// possibleTally raises what lies below zero in a tally to zero. A row that was changed by
// hand is counted as what it was before, so its transition may take away more than there
// is. The table does not take that, and would fail the commit of all others.
func possibleTally(t order.Tally) order.Tally {
	for s := range t.ByStatus {
		t.ByStatus[s] = max(t.ByStatus[s], 0)
	}
	t.DurationSumMillis = max(t.DurationSumMillis, 0)
	return t
}

// did notes a change that is now in the transaction: what it adds to the metrics
// and what follows from it.
func (t *tx) did(seq int64, c order.Change) {
	t.tally.Add(c.Tally())
	t.next.add(seq, c.New, c.FollowUps(t.w.queue.processing))
}

func (t *tx) exec(query string) error {
	stmt, err := t.conn.Prepare(query)
	if err != nil {
		return err
	}
	return exec(stmt)
}
