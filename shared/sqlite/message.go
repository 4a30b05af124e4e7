package sqlite

import (
	"context"
	"encoding/json/v2"
	"math"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

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
	stmt.BindInt64(2, timeColumn(&after, after.StartedAt))
	stmt.BindInt64(3, timeColumn(&after, after.CompletedAt))
	stmt.BindInt64(4, seq)
	if err := exec(stmt); err != nil {
		return err
	}
	t.did(seq, order.Change{Old: &before, New: &after})
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
func (r run) entry() []byte {
	body, err := json.Marshal(seqEntry{r.first, r.to.String()})
	if err != nil {
		panic(err) // a number and a plain string always have a JSON form
	}
	return body
}

// postponed are the seqs of the orders that could not be advanced, by dead_letters.
func postponed(conn *sqlite.Conn) (map[int64]bool, error) {
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
