package sqlite

import (
	"context"
	"encoding/binary"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"math"
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

	finished int64        // the checkpoint "finished" to be
	merged   int          // how many ids went from memory to the table keys
	keyed    []order.ID   // keyed orders made
	next     rangeBuilder // what follows
	retry    []seqRange   // orders that could not be advanced: tried again
	probe    bool         // whether it is there to see that the disk has room
}

func (w *writer) begin(finished int64, now time.Time) *tx {
	t := &w.transaction
	*t = tx{
		w: w, conn: w.conn, now: w.store.clock.wall(now), began: now,
		tally: *w.store.tally.Load(), last: w.last, finished: max(finished, w.finished),
		keyed: t.keyed[:0],
		next:  rangeBuilder{ranges: t.next.ranges[:0]},
	}
	return t
}

// do runs the whole transaction. After an error nothing of it is in the file,
// unless that is a brokenError.
func (t *tx) exec(g *group, ranges []seqRange) (err error) {
	if err := t.execSQL("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if !t.conn.AutocommitEnabled() {
			err = errors.Join(err, t.execSQL("ROLLBACK"))
		}
	}()
	if err := t.w.fence.check(t.conn); err != nil {
		return err
	}
	if err := t.write(g, ranges); err != nil {
		return err
	}
	err = commitError(t.execSQL("COMMIT"))
	t.w.fence.committed = err == nil
	return err
}

// write makes all changes of the transaction.
func (t *tx) write(g *group, ranges []seqRange) error {
	for _, c := range g.creates {
		if c.err = t.create(c); c.err != nil && !t.canContinue(c.err) {
			return c.err
		}
	}
	for _, d := range g.deliveries {
		if d.err = t.processor().Process(context.Background(), d.body, t.now); d.err != nil && !t.canContinue(d.err) {
			return d.err
		}
	}
	for _, r := range ranges {
		if err := t.advanceRange(r); err != nil {
			return err
		}
	}
	return t.bookkeeping(len(g.creates))
}

// survives reports whether the transaction can go on after an error of one of its parts,
// which then belongs to that part alone. After an error of SQLite's it cannot, because
// SQLite may have rolled everything back; but a violated constraint undoes its own
// statement only.
func (t *tx) canContinue(err error) bool {
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
	if possible := clampTally(t.tally); t.tally != possible {
		t.tally = possible
		t.w.store.cfg.Log.Error("the metrics do not fit the orders, which somebody else has changed: orders check tells more")
	}
	if t.tally != *t.w.store.tally.Load() {
		if err := setTally(t.conn, t.tally); err != nil {
			return err
		}
	}
	if t.finished != t.w.finished {
		err = setCheckpoint(t.conn, finishedCheckpoint, t.finished)
	}
	if err == nil && t.probe {
		err = t.execSQL(writeProbe)
	}
	return err
}

// possibleTally raises what lies below zero in a tally to zero. A row that was changed by
// hand is counted as what it was before, so its transition may take away more than there
// is. The table does not take that, and would fail the commit of all others.
func clampTally(t order.Tally) order.Tally {
	for s := range t.ByStatus {
		t.ByStatus[s] = max(t.ByStatus[s], 0)
	}
	t.DurationSumMillis = max(t.DurationSumMillis, 0)
	return t
}

// did notes a change that is now in the transaction: what it adds to the metrics
// and what follows from it.
func (t *tx) record(seq int64, c order.Change) {
	t.tally.Add(c.Tally())
	t.next.add(seq, c.New, c.FollowUps(t.w.queue.processing))
}

func (t *tx) execSQL(query string) error {
	stmt, err := t.conn.Prepare(query)
	if err != nil {
		return err
	}
	return exec(stmt)
}

// create makes the order, or finds that its key has made it before. After an error
// nothing of it is in the transaction.
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

// replay answers a creation with the order that its key names.
//
// If that order is no longer where the key leads, somebody has deleted or changed its row.
// The key made an order that was acknowledged, so it does not make a second one.
func (t *tx) replay(c *createRequest, seq int64) error {
	o, err := orderAt(t.conn, seq)
	switch {
	case errors.Is(err, order.ErrNotFound), err == nil && o.ID != c.draft.Key:
		return fmt.Errorf("the order of the idempotency key is gone: its row was at seq %d", seq)
	case err != nil:
		return err
	case o.Fingerprint != c.draft.Fingerprint:
		return order.ErrKeyReused
	}
	c.order, c.replayed = o, true
	return nil
}

// One UPDATE moves a run.
const (
	startRange = `UPDATE orders SET status = 1, started_at = ?1
		WHERE seq BETWEEN ?2 AND ?3 AND status = 0`
	completeRange = `UPDATE orders SET status = 2, completed_at = ?1
		WHERE seq BETWEEN ?2 AND ?3 AND status = 1 AND started_at = ?4`
)

// advanceRun makes the transition of all orders in a run. If the file does not
// hold exactly these orders, each in the state that the run expects, none is touched, and they
// are taken one by one: a duplicate was faster.
func (t *tx) advanceRange(r seqRange) error {
	// The queue vouches that the time has come, though the clock on the wall
	// may have been set back meanwhile.
	now := order.Timestamp(t.now)
	if now.Before(r.notBefore) {
		now = r.notBefore
	}
	whole, err := t.updateRange(r, now)
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
		t.record(seq, order.Change{Old: &before, New: &after})
	}
	return nil
}

// updateRun changes the rows of a run, or none of them.
func (t *tx) updateRange(r seqRange, now time.Time) (whole bool, err error) {
	query := startRange
	if r.to == order.Completed {
		query = completeRange
	}
	if err := t.execSQL("SAVEPOINT seq_range"); err != nil {
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
	if err != nil && !t.canContinue(err) {
		return false, err
	}
	whole = err == nil && t.conn.Changes() == r.len()
	if !whole {
		if err := t.execSQL("ROLLBACK TO seq_range"); err != nil {
			return false, err
		}
	}
	return whole, t.execSQL("RELEASE seq_range")
}

// advanceSingly works off the messages of a run one by one. An order that cannot
// be read is tried again later, and holds up no other.
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

// advanceOne works off one message. It can never succeed if the order's row is gone.
func (t *tx) advanceOne(r seqRange, now time.Time) error {
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
func (t *tx) postpone(one seqRange, reason error) error {
	if one.failures == 0 {
		if err := t.DeadLetter(context.Background(), one.entry(), reason); err != nil {
			return err
		}
	}
	one.failures++
	t.retry = append(t.retry, one)
	return nil
}

// processor works off single messages within the transaction: what it does, the
// removal of the message included, happens with the commit or not at all.
func (t *tx) processor() order.Processor { return order.Processor{Orders: t, Queue: t} }

// Advance implements order.Advancer. The writer is alone, so nothing can come
// between the reading and the writing.
func (t *tx) Advance(_ context.Context, id order.ID, to order.Status, now time.Time) error {
	seq, before, err := find(t.conn, t.w.store.keys, id)
	if err != nil {
		return err
	}
	after, err := before.Advance(to, now, t.w.queue.processing)
	if err != nil {
		return err
	}
	stmt, err := t.conn.Prepare(`UPDATE orders SET status = ?, started_at = ?, completed_at = ? WHERE seq = ?`)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(after.Status))
	stmt.BindInt64(2, encodeTime(&after, after.StartedAt))
	stmt.BindInt64(3, encodeTime(&after, after.CompletedAt))
	stmt.BindInt64(4, seq)
	if err := exec(stmt); err != nil {
		return err
	}
	t.record(seq, order.Change{Old: &before, New: &after})
	return nil
}

// Send implements order.Queue: the messages wait from the commit on.
func (t *tx) Send(_ context.Context, messages ...order.Message) error {
	for _, m := range messages {
		seq, o, err := find(t.conn, t.w.store.keys, m.OrderID)
		if err != nil {
			return err
		}
		t.next.add(seq, &o, []order.Message{m})
	}
	return nil
}

// A seqEntry is the body in dead_letters of a run's message: the id of an order that
// cannot be read is not known.
type seqEntry struct {
	Seq int64  `json:"seq"`
	To  string `json:"to"`
}

// entry is the message of a run of one order for dead_letters.
func (r seqRange) entry() []byte {
	body, err := json.Marshal(seqEntry{r.first, r.to.String()})
	if err != nil {
		panic(err) // a number and a plain string always have a JSON form
	}
	return body
}

// postponed are the seqs of the orders that could not be advanced, by dead_letters.
func loadPostponed(conn *sqlite.Conn) (map[int64]bool, error) {
	seqs := map[int64]bool{}
	err := eachRow(conn, "SELECT body FROM dead_letters WHERE number >= ?", math.MinInt64, func(row *sqlite.Stmt) {
		var entry seqEntry
		if json.UnmarshalRead(row.ColumnReader(0), &entry) == nil && entry.Seq > 0 {
			seqs[entry.Seq] = true
		}
	})
	return seqs, err
}

// DeadLetter implements order.Queue.
func (t *tx) DeadLetter(_ context.Context, body []byte, reason error) error {
	stmt, err := t.conn.Prepare(`INSERT INTO dead_letters (buried_at, body, reason) VALUES (?, ?, ?)`)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, t.now.UnixMilli())
	stmt.BindBytes(2, body)
	stmt.BindText(3, reason.Error())
	t.w.store.cfg.Log.Warn("message buried in dead_letters", "reason", reason)
	return exec(stmt)
}
