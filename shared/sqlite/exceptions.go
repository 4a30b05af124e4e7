package sqlite

import (
	"cmp"
	"encoding/json/v2"
	"errors"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// transition makes the transition of a request, or finds that it was made before. After an error the
// transaction has no part of it.
func (t *tx) transition(r *transitionRequest) error {
	seq, before, err := find(t.conn, t.w.store.keys, r.id)
	if err != nil {
		return err
	}
	r.order, err = before.Transition(r.request, t.now, t.w.queue.fulfilment)
	if errors.Is(err, order.ErrAlreadyDone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.update(seq, &before, &r.order); err != nil {
		return err
	}
	// A time-out reads which orders still wait, so these need not be remembered.
	external := t.w.queue.fulfilment.External && before.Status == order.Processing
	if before.Exception == nil && !external {
		t.left = append(t.left, seq)
	}
	return nil
}

// update writes an order after a transition, and what follows from it. Either all of it is in the
// transaction or, after an error, nothing.
func (t *tx) update(seq int64, before, after *order.Order) (err error) {
	if err := execute(t.conn, "SAVEPOINT one_order"); err != nil {
		return err
	}
	err = t.updateRows(seq, after)
	if err != nil {
		if !t.canContinue(err) {
			return err
		}
		err = errors.Join(err, execute(t.conn, "ROLLBACK TO one_order"))
	}
	if err = cmp.Or(err, execute(t.conn, "RELEASE one_order")); err == nil {
		t.record(seq, order.Change{Old: before, New: after})
	}
	return err
}

// updateRows writes the rows of an order. An unfinished order that has left the main path may lie
// below the checkpoint "finished", so open_orders has it.
func (t *tx) updateRows(seq int64, o *order.Order) error {
	err := execute(t.conn, "UPDATE orders SET status = ?, started_at = ?, completed_at = ? WHERE seq = ?",
		int64(o.Status), encodeTime(o, o.StartedAt), encodeTime(o, o.CompletedAt), seq)
	if err == nil && o.Exception != nil {
		err = t.writeException(seq, o)
	}
	switch unfinished := o.Status < order.Completed; {
	case err != nil:
		return err
	case !unfinished:
		return execute(t.conn, "DELETE FROM open_orders WHERE seq = ?", seq)
	case o.Exception != nil:
		return execute(t.conn, "INSERT INTO open_orders (seq) VALUES (?) ON CONFLICT DO NOTHING", seq)
	}
	return nil
}

func (t *tx) writeException(seq int64, o *order.Order) error {
	e := o.Exception
	history, err := json.Marshal(e.History)
	if err != nil {
		return err
	}
	stmt, err := prepare(t.conn, `INSERT OR REPLACE INTO exceptions
		(seq, status, version, attempt, failed_at, cancelled_at, reason, history) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		seq, int64(o.Status), int64(e.Version), int64(e.Attempt), encodeOptionalTime(e.FailedAt), encodeOptionalTime(e.CancelledAt))
	if err != nil {
		return err
	}
	stmt.BindText(7, e.Reason)
	stmt.BindText(8, string(history))
	return exec(stmt)
}

func encodeOptionalTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// decodeException decodes exceptionColumns, of which the first is column at. It returns nil for an
// order on the main path, and describes what this program cannot have written.
func decodeException(stmt *sqlite.Stmt, at int, s order.Status) (_ *order.Exception, damage string) {
	if stmt.ColumnType(at) == sqlite.TypeNull {
		if s > order.Completed {
			return nil, "its row in exceptions is missing"
		}
		return nil, ""
	}
	e := order.Exception{
		Version: int(stmt.ColumnInt64(at)), Attempt: int(stmt.ColumnInt64(at + 1)), Reason: stmt.ColumnText(at + 2),
		FailedAt: decodeTime(stmt.ColumnInt64(at + 3)), CancelledAt: decodeTime(stmt.ColumnInt64(at + 4)),
	}
	if json.Unmarshal([]byte(stmt.ColumnText(at+5)), &e.History) != nil {
		return nil, "history is not a JSON array of transitions"
	}
	return &e, ""
}

// advanceUnfinished advances the orders of a range that are still unfinished: requests may have
// finished or changed any of them. If a row is missing, each order gets what a message without its
// order gets.
func (t *tx) advanceUnfinished(r seqRange, now time.Time) error {
	var unfinished []int64
	rows := 0
	err := eachRow(t.conn, "SELECT seq, status FROM orders WHERE seq BETWEEN ? AND ?", func(row *sqlite.Stmt) {
		rows++
		if status := row.ColumnInt64(1); !isStatus(status) || order.Status(status) < order.Completed {
			unfinished = append(unfinished, row.ColumnInt64(0))
		}
	}, r.first, r.last)
	if err != nil {
		return err
	}
	if rows < r.len() {
		return t.advanceSingly(r, now)
	}
	for _, seq := range unfinished {
		one := r
		one.first, one.last = seq, seq
		if err := t.advanceSingly(one, now); err != nil {
			return err
		}
	}
	return nil
}

// open moves the orders that have waited long for a worker to open_orders, so that they do not hold
// the checkpoint "finished". A message that comes early, for a version that its order will have, moves
// nothing.
func (t *tx) open() error {
	for _, r := range t.w.queue.toOpen(t.openBefore) {
		err := execute(t.conn, `INSERT INTO open_orders (seq) SELECT orders.seq FROM orders LEFT JOIN exceptions USING (seq)
			WHERE orders.seq BETWEEN ? AND ? AND orders.status = 1 AND coalesce(version, 2) = ?
			ON CONFLICT DO NOTHING`, r.first, r.last, int64(r.version))
		if err != nil {
			return err
		}
	}
	return nil
}
