package sqlite

import (
	"fmt"
	"maps"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// loadFenced loads within a transaction, so that no commit of another program comes between what
// is loaded and the first look of the fence.
func (w *writer) loadFenced() (err error) {
	if err := sqlitex.ExecuteTransient(w.conn, "BEGIN IMMEDIATE", nil); err != nil {
		return err
	}
	defer func() { err = firstError(err, sqlitex.ExecuteTransient(w.conn, "ROLLBACK", nil)) }()
	if err := w.fence.check(w.conn); err != nil {
		return err
	}
	return w.load()
}

// load reads into memory what the process before has left: the tally, the
// recent idempotency keys, and the messages of the orders that are not finished.
func (w *writer) load() (err error) {
	tally, err := loadTally(w.conn)
	if err != nil {
		return err
	}
	w.store.tally.Store(&tally)
	if w.finished, err = checkpoint(w.conn, finishedMark); err != nil {
		return err
	}
	if err := w.loadKeys(); err != nil {
		return err
	}
	if err := w.loadSeqs(); err != nil {
		return err
	}
	return w.loadQueue()
}

// loadSeqs finds the highest seq given so far. The order that had it may be gone; those to
// come must not get a seq at or below a checkpoint.
func (w *writer) loadSeqs() error {
	newest, err := queryInt(w.conn, "SELECT max(seq) FROM orders")
	if err != nil {
		return err
	}
	w.last = max(newest, w.finished, w.store.keys.stored)
	foreign, err := queryInt(w.conn, "SELECT count(*) FROM orders WHERE seq <= 0")
	if err == nil && foreign > 0 {
		w.store.cfg.Log.Error("rows of the table orders are left alone, because no order of this program has a seq below 1", "rows", foreign)
	}
	return err
}

func (w *writer) loadKeys() (err error) {
	k := w.store.keys
	if k.stored, err = checkpoint(w.conn, keysMark); err != nil {
		return err
	}
	k.through = k.stored
	return eachRow(w.conn, "SELECT seq, id FROM orders WHERE seq > ?", k.stored, func(row *sqlite.Stmt) {
		k.orders++
		seq, id := row.ColumnInt64(0), order.ID(idPrefix+row.ColumnText(1))
		if seqOf(id) != seq {
			k.recent[id] = seq
		}
	})
}

// loadQueue asks every order above the checkpoint what it waits for, and those below it
// that could not be advanced.
func (w *writer) loadQueue() error {
	failed, err := postponed(w.conn)
	if err != nil {
		return err
	}
	var fresh, again runBuilder
	load := func(row *sqlite.Stmt) {
		seq := row.ColumnInt64(0)
		o := order.Order{CreatedAt: createdAt(seq), StartedAt: timeOf(row.ColumnInt64(2))}
		// An order whose status is none is loaded as Pending, which advancing it finds out.
		if status := row.ColumnInt64(1); isStatus(status) {
			o.Status = order.Status(status)
		}
		b := &fresh
		if failed[seq] {
			b = &again
		}
		b.add(seq, &o, order.Change{New: &o}.FollowUps(w.queue.processing))
	}
	const query = "SELECT seq, status, started_at FROM orders WHERE seq "
	err = eachRow(w.conn, query+"> ?", w.finished, load)
	for _, seq := range slices.Sorted(maps.Keys(failed)) {
		if seq <= w.finished {
			err = firstError(err, eachRow(w.conn, query+"= ?", seq, load))
		}
	}
	for i := range again.runs {
		again.runs[i].failures = 1
	}
	now := w.store.cfg.Now()
	for _, r := range slices.Concat(fresh.runs, again.runs) {
		w.queue.push(r, now, w.store.clock.wall(now))
	}
	return err
}

// eachRow calls do with each row of a query that takes one number.
func eachRow(conn *sqlite.Conn, query string, arg int64, do func(row *sqlite.Stmt)) (err error) {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, arg)
	defer func() { err = firstError(err, stmt.Reset()) }()
	for {
		row, err := stmt.Step()
		if err != nil || !row {
			return err
		}
		do(stmt)
	}
}

func queryInt(conn *sqlite.Conn, query string) (int64, error) {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return 0, fmt.Errorf("prepare: %w", err)
	}
	return optionalInt(stmt)
}
