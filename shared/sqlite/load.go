package sqlite

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// load reads into memory what the process before has left: the tally, the
// recent idempotency keys, and the messages of the orders that are not finished.
func (w *writer) load() (err error) {
	tally, err := loadTally(w.conn)
	if err != nil {
		return err
	}
	w.store.tally.Store(&tally)
	if w.last, err = queryInt(w.conn, "SELECT coalesce(max(seq), 0) FROM orders"); err != nil {
		return err
	}
	if w.finished, err = checkpoint(w.conn, finishedMark); err != nil {
		return err
	}
	if err := w.loadKeys(); err != nil {
		return err
	}
	return w.loadQueue()
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

// loadQueue asks every order above the checkpoint what it waits for.
func (w *writer) loadQueue() error {
	var b runBuilder
	const query = "SELECT seq, status, started_at FROM orders WHERE seq > ?"
	err := eachRow(w.conn, query, w.finished, func(row *sqlite.Stmt) {
		seq := row.ColumnInt64(0)
		o := order.Order{
			Status:    order.Status(row.ColumnInt64(1)),
			CreatedAt: createdAt(seq),
			StartedAt: timeOf(row.ColumnInt64(2)),
		}
		b.add(seq, &o, order.Change{New: &o}.Next(w.queue.processing))
	})
	now := w.store.cfg.Now()
	for _, r := range b.runs {
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
