package sqlite

import (
	"context"
	"errors"
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
	err = exec(stmt)
	if err != nil && !t.survives(err) {
		return false, err
	}
	whole = err == nil && t.conn.Changes() == r.len()
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
		if err != nil && t.survives(err) {
			err = t.postpone(one, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// advanceOne works off one message. It can never succeed if the order's row is gone.
func (t *tx) advanceOne(r run, now time.Time) error {
	o, err := orderAt(t.conn, r.first)
	if errors.Is(err, order.ErrNotFound) {
		return t.DeadLetter(context.Background(), r.entry(), fmt.Errorf("%w: its row is gone", err))
	}
	if err != nil {
		return err
	}
	m := order.Message{OrderID: o.ID, To: r.to, NotBefore: r.notBefore}
	return t.processor().Handle(context.Background(), m, now)
}

// postpone keeps the message of an order that cannot be advanced, for reason. It is tried
// again as long as the process lives. It is in dead_letters, too: for an operator, and for
// a restart, so that the checkpoint "finished" can pass the order.
func (t *tx) postpone(one run, reason error) error {
	if one.failures == 0 {
		if err := t.DeadLetter(context.Background(), one.entry(), reason); err != nil {
			return err
		}
	}
	one.failures++
	t.again = append(t.again, one)
	return nil
}
