package sqlite

import (
	"context"
	"fmt"
	"time"

	"orders/shared/order"
)

// One UPDATE moves a run.
const (
	startRun = `UPDATE orders SET status = 1, started_at = ?1
		WHERE seq BETWEEN ?2 AND ?3 AND status = 0`
	completeRun = `UPDATE orders SET status = 2, completed_at = ?1
		WHERE seq BETWEEN ?2 AND ?3 AND status = 1 AND started_at = ?4`
)

// advanceRun makes the transition of all orders in a run. If the file does not
// hold exactly these orders, each in the state that the run expects, none is touched, and they
// are taken one by one: a duplicate was faster.
func (t *tx) advanceRun(r run) error {
	// The queue vouches that the time has come, though the clock on the wall
	// may have been set back meanwhile.
	now := order.Timestamp(t.now)
	if now.Before(r.notBefore) {
		now = r.notBefore
	}
	whole, err := t.updateRun(r, now)
	if err != nil {
		return err
	}
	if !whole {
		return t.advanceSingly(r, now)
	}
	for seq := r.first; seq <= r.last; seq++ {
		before := order.Order{Status: r.to - 1, CreatedAt: createdAt(seq), StartedAt: r.startedAt}
		after, err := before.Advance(r.to, now, t.w.queue.processing)
		if err != nil {
			return fmt.Errorf("advance a run: %w", err)
		}
		t.did(seq, order.Change{Old: &before, New: &after})
	}
	return nil
}

// updateRun changes the rows of a run, or none of them.
func (t *tx) updateRun(r run, now time.Time) (whole bool, err error) {
	query := startRun
	if r.to == order.Completed {
		query = completeRun
	}
	if err := t.exec("SAVEPOINT run"); err != nil {
		return false, err
	}
	stmt, err := t.conn.Prepare(query)
	if err != nil {
		return false, err
	}
	stmt.BindInt64(1, now.UnixMilli())
	stmt.BindInt64(2, r.first)
	stmt.BindInt64(3, r.last)
	if r.to == order.Completed {
		stmt.BindInt64(4, r.startedAt.UnixMilli())
	}
	if err := exec(stmt); err != nil {
		return false, err
	}
	whole = t.conn.Changes() == r.len()
	if !whole {
		if err := t.exec("ROLLBACK TO run"); err != nil {
			return false, err
		}
	}
	return whole, t.exec("RELEASE run")
}

// advanceSingly works off the messages of a run one by one. An order that cannot
// be read is tried again later, and holds up no other.
func (t *tx) advanceSingly(r run, now time.Time) error {
	for seq := r.first; seq <= r.last; seq++ {
		one := r
		one.first, one.last = seq, seq
		err := t.advanceOne(one, now)
		if isSQLite(err) {
			return err
		}
		if err != nil {
			t.w.store.cfg.Log.Error("an order cannot be advanced; will try again", "seq", seq, "err", err)
			t.again = append(t.again, one)
		}
	}
	return nil
}

func (t *tx) advanceOne(r run, now time.Time) error {
	o, err := orderAt(t.conn, r.first)
	if err != nil {
		return err
	}
	m := order.Message{OrderID: o.ID, To: r.to, NotBefore: r.notBefore}
	return t.processor().Handle(context.Background(), m, now)
}
