package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// A tx is one transaction of the writer. It holds the writer's state as it will be after the
// commit, so a transaction that fails changes nothing in memory. It implements order.Advancer and
// order.Queue within the transaction.
type tx struct {
	w     *writer
	conn  *sqlite.Conn
	now   time.Time // the time that the orders get
	began time.Time // monotonic
	tally order.Tally
	last  int64

	finished   int64     // the checkpoint "finished"
	openBefore time.Time // writer.openBefore
	left       []int64   // orders that wait for their message no longer

	merged    int          // how many ids were moved from memory to the table keys
	keyed     []order.ID   // ids of the keyed orders created
	followUps rangeBuilder // messages that follow from the changes
	retry     []seqRange   // orders that could not be advanced
	probe     bool         // whether to write as much as the largest order takes
}

func (w *writer) begin(finished int64, now time.Time) *tx {
	t := &w.transaction
	*t = tx{
		w: w, conn: w.conn, now: w.store.clock.wall(now), began: now,
		tally: *w.store.tally.Load(), last: w.last, finished: max(finished, w.finished),
		openBefore: w.openBefore, left: t.left[:0],
		keyed:     t.keyed[:0],
		followUps: rangeBuilder{ranges: t.followUps.ranges[:0]},
	}
	return t
}

// exec runs the whole transaction. After an error the file has no part of it, unless the error is a
// brokenError.
func (t *tx) exec(g *group, ranges []seqRange) (err error) {
	if err := execute(t.conn, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if !t.conn.AutocommitEnabled() {
			err = errors.Join(err, execute(t.conn, "ROLLBACK"))
		}
	}()
	if err := t.w.fence.check(t.conn); err != nil {
		return err
	}
	if err := t.write(g, ranges); err != nil {
		return err
	}
	err = commitError(execute(t.conn, "COMMIT"))
	t.w.fence.committed = err == nil
	return err
}

func (t *tx) write(g *group, ranges []seqRange) error {
	for _, c := range g.creates {
		if c.err = t.create(c); c.err != nil && !t.canContinue(c.err) {
			return c.err
		}
	}
	for _, r := range ranges {
		if err := t.advanceRange(r); err != nil {
			return err
		}
	}
	for _, r := range g.transitions {
		if r.err = t.transition(r); r.err != nil && !t.canContinue(r.err) {
			return r.err
		}
	}
	return t.writeTotals(len(g.creates))
}

// canContinue reports whether err concerns one request or order alone, so that the transaction can
// continue. It cannot after an error of SQLite, because SQLite may have rolled back the
// transaction; but a violated constraint undoes its own statement only.
func (t *tx) canContinue(err error) bool {
	constraint := sqlite.ErrCode(err).ToPrimary() == sqlite.ResultConstraint
	return (constraint || !isSQLite(err)) && !t.conn.AutocommitEnabled()
}

// commitError returns a brokenError if it is not known whether the commit happened. SQLite reports
// a full disk or a locked file before it changes anything, but after a failed write or fsync the
// commit may be on the disk or not.
func commitError(err error) error {
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultIOErr {
		return &brokenError{"the disk failed during a commit", err}
	}
	return err
}

// writeTotals writes the keys, the tally and the checkpoint of the transaction.
func (t *tx) writeTotals(creates int) (err error) {
	if t.merged, err = t.w.store.keys.merge(t.conn, creates); err != nil {
		return err
	}
	if clamped := clampTally(t.tally); t.tally != clamped {
		t.tally = clamped
		t.w.store.cfg.Log.Error("metrics contradict the orders, which another program has changed: run orders check")
	}
	if t.tally != *t.w.store.tally.Load() {
		if err := setTally(t.conn, t.tally); err != nil {
			return err
		}
	}
	if t.finished != t.w.finished {
		err = setCheckpoint(t.conn, finishedCheckpoint, t.finished)
	}
	if err == nil {
		err = t.open()
	}
	if err == nil && t.probe {
		err = execute(t.conn, writeProbe)
	}
	return err
}

// clampTally raises negative numbers to zero. A row that was changed by hand was counted as what it
// was before, so its transition may subtract more than was added. The table refuses negative
// numbers, and would fail the commit of all other orders.
func clampTally(t order.Tally) order.Tally {
	for s := range t.ByStatus {
		t.ByStatus[s] = max(t.ByStatus[s], 0)
	}
	t.DurationSumMillis = max(t.DurationSumMillis, 0)
	return t
}

// record adds a change that the transaction has made to the tally, and its follow-ups to the queue.
func (t *tx) record(seq int64, c order.Change) {
	t.tally.Add(c.Tally())
	t.followUps.add(seq, c.New, c.FollowUps(t.w.queue.fulfilment))
}

// create creates the order, or finds the one that its key has created before. After an error the
// transaction has no part of it.
func (t *tx) create(c *createRequest) error {
	if c.draft.Key != "" {
		seq, err := t.w.store.keys.find(t.conn, c.draft.Key)
		if err != nil {
			return err
		}
		if seq != 0 {
			return t.replay(c, seq)
		}
	}
	seq := max(t.now.UnixMilli()<<counterBits, t.last+1)
	id, err := t.newID(c.draft.Key, seq)
	if err != nil {
		return err
	}
	o := order.New(c.draft, id, createdAt(seq))
	stmt, err := t.conn.Prepare(insertOrder)
	if err != nil {
		return err
	}
	bindOrder(stmt, seq, &o, c.itemIDs)
	if err := exec(stmt); err != nil {
		return fmt.Errorf("store order: %w", err)
	}
	c.order, t.last = o, seq
	if c.draft.Key != "" {
		t.w.store.keys.add(id, seq)
		t.keyed = append(t.keyed, id)
	}
	t.record(seq, order.Change{New: &c.order})
	return nil
}

func (t *tx) newID(key order.ID, seq int64) (order.ID, error) {
	if key != "" {
		return key, nil
	}
	var random [8]byte
	if _, err := io.ReadFull(t.w.store.cfg.Random, random[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return newID(seq, binary.NativeEndian.Uint64(random[:])), nil
}

// replay answers a request with the order that its key has created, at seq.
//
// If that order is not at seq, another program has deleted or changed its row. The order was
// acknowledged, so the key does not create a second one.
func (t *tx) replay(c *createRequest, seq int64) error {
	o, err := orderAt(t.conn, seq)
	switch {
	case errors.Is(err, order.ErrNotFound), err == nil && o.ID != c.draft.Key:
		return fmt.Errorf("find the order of the idempotency key: its row, at seq %d, was deleted or changed", seq)
	case err != nil:
		return err
	case o.Fingerprint != c.draft.Fingerprint:
		return order.ErrKeyReused
	}
	c.order, c.replayed = o, true
	return nil
}

// One UPDATE advances a range.
const (
	startRange = `UPDATE orders SET status = 1, started_at = ?1
		WHERE seq BETWEEN ?2 AND ?3 AND status = 0`
	completeRange = `UPDATE orders SET status = 2, completed_at = ?1
		WHERE seq BETWEEN ?2 AND ?3 AND status = 1 AND started_at = ?4`
)

// advanceRange makes the transition of all orders in a range with one statement. If the rows are
// not exactly these orders, each in the expected state, it changes none of them and advances the
// orders one by one: a message may be a duplicate, or a row may have been changed.
func (t *tx) advanceRange(r seqRange) error {
	// The queue ensures that the range is due, even if the wall clock was set back since.
	now := order.Timestamp(t.now)
	if now.Before(r.notBefore) {
		now = r.notBefore
	}
	if r.version != 0 {
		return t.advanceUnfinished(r, now)
	}
	whole, err := t.updateRange(r, now)
	if err != nil {
		return err
	}
	if !whole {
		return t.advanceSingly(r, now)
	}
	if r.open { // the service ran with another fulfilment before
		if err := execute(t.conn, "DELETE FROM open_orders WHERE seq BETWEEN ? AND ?", r.first, r.last); err != nil {
			return err
		}
	}
	for seq := r.first; seq <= r.last; seq++ {
		before := order.Order{Status: r.transition().From()[0], CreatedAt: createdAt(seq), StartedAt: r.startedAt}
		after, err := before.Advance(order.Message{To: r.to}, now, t.w.queue.fulfilment)
		if err != nil {
			return fmt.Errorf("advance the order at seq %d: %w", seq, err)
		}
		t.record(seq, order.Change{Old: &before, New: &after})
	}
	return nil
}

func (t *tx) updateRange(r seqRange, now time.Time) (whole bool, err error) {
	if err := execute(t.conn, "SAVEPOINT seq_range"); err != nil {
		return false, err
	}
	if r.to == order.Completed {
		err = execute(t.conn, completeRange, now.UnixMilli(), r.first, r.last, r.startedAt.UnixMilli())
	} else {
		err = execute(t.conn, startRange, now.UnixMilli(), r.first, r.last)
	}
	if err != nil && !t.canContinue(err) {
		return false, err
	}
	whole = err == nil && t.conn.Changes() == r.len()
	if !whole {
		if err := execute(t.conn, "ROLLBACK TO seq_range"); err != nil {
			return false, err
		}
	}
	return whole, execute(t.conn, "RELEASE seq_range")
}

// advanceSingly advances the orders of a range one by one. An order that cannot be read is retried
// later, and delays no other.
func (t *tx) advanceSingly(r seqRange, now time.Time) error {
	for seq := r.first; seq <= r.last; seq++ {
		one := r
		one.first, one.last = seq, seq
		err := t.advanceOne(one, now)
		if err != nil && t.canContinue(err) {
			err = t.postpone(one, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// advanceOne processes the message of a range of one order. If the row of the order was deleted,
// the message can never succeed.
func (t *tx) advanceOne(r seqRange, now time.Time) error {
	o, err := orderAt(t.conn, r.first)
	if errors.Is(err, order.ErrNotFound) {
		return t.DeadLetter(context.Background(), r.deadLetter(), fmt.Errorf("%w: its row was deleted", err))
	}
	if err != nil {
		return err
	}
	m := order.Message{OrderID: o.ID, To: r.to, Version: r.version, NotBefore: r.notBefore}
	return order.Processor{Orders: t, Queue: t}.Handle(context.Background(), m, now)
}

// postpone retries the message of an order that cannot be advanced, as long as the process runs.
// The first time it writes the message to dead_letters: for an operator, and for a restart, so that
// the checkpoint "finished" can pass the order.
func (t *tx) postpone(one seqRange, reason error) error {
	if one.failures == 0 {
		if err := t.DeadLetter(context.Background(), one.deadLetter(), reason); err != nil {
			return err
		}
	}
	one.failures++
	t.retry = append(t.retry, one)
	return nil
}

// Advance implements order.Advancer. Only the writer changes the file, so no change can come
// between the read and the write.
func (t *tx) Advance(_ context.Context, m order.Message, now time.Time) error {
	seq, before, err := find(t.conn, t.w.store.keys, m.OrderID)
	if err != nil {
		return err
	}
	after, err := before.Advance(m, now, t.w.queue.fulfilment)
	if err != nil {
		return err
	}
	return t.update(seq, &before, &after)
}

// Send implements order.Queue. The messages are queued with the commit.
func (t *tx) Send(_ context.Context, messages ...order.Message) error {
	for _, m := range messages {
		seq, o, err := find(t.conn, t.w.store.keys, m.OrderID)
		if err != nil {
			return err
		}
		t.followUps.add(seq, &o, []order.Message{m})
	}
	return nil
}

// DeadLetter implements order.Queue.
func (t *tx) DeadLetter(_ context.Context, body []byte, reason error) error {
	stmt, err := prepare(t.conn, "INSERT INTO dead_letters (dead_lettered_at, body, reason) VALUES (?, ?, ?)", t.now.UnixMilli())
	if err != nil {
		return err
	}
	stmt.BindBytes(2, body)
	stmt.BindText(3, reason.Error())
	t.w.store.cfg.Log.Warn("moved a message to dead_letters", "reason", reason)
	return exec(stmt)
}
