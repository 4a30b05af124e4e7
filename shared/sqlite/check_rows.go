package sqlite

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"math"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

func (c *checker) checkpoints() (err error) {
	last, err := queryInt(c.conn, "SELECT coalesce(max(seq), 0) FROM orders")
	if err != nil {
		return err
	}
	if c.finished, err = checkpoint(c.conn, finishedMark); err != nil {
		return err
	}
	if c.keyed, err = checkpoint(c.conn, keysMark); err != nil {
		return err
	}
	if c.postponed, err = postponed(c.conn); err != nil {
		return err
	}
	if c.finished > last || c.keyed > last {
		c.find("a checkpoint (finished %d, keys %d) lies beyond the last order (%d)", c.finished, c.keyed, last)
	}
	return nil
}

// orders reads every order, in the order of creation.
func (c *checker) orders() error {
	const query = `SELECT seq, id, status, started_at, completed_at, item_ids, length(fingerprint), total_amount
		FROM orders WHERE seq >= ? ORDER BY seq`
	var failed error
	err := eachRow(c.conn, query, math.MinInt64, func(row *sqlite.Stmt) {
		seq, status := row.ColumnInt64(0), row.ColumnInt64(2)
		if seq <= 0 {
			c.find("there is a row at seq %d, where no order of this program can be", seq)
			return
		}
		if !isStatus(status) {
			// SQLite does not look at CHECK constraints when it only reads.
			c.find("the order at seq %d has the status %d, which there is not", seq, status)
			return
		}
		startedAt, completedAt := row.ColumnInt64(3), row.ColumnInt64(4)
		o := order.Order{
			ID:          order.ID(idPrefix + row.ColumnText(1)),
			Status:      order.Status(status),
			CreatedAt:   createdAt(seq),
			StartedAt:   timeOf(startedAt),
			CompletedAt: timeOf(completedAt),
		}
		counted := o
		if o.Status != order.Completed {
			counted.CompletedAt = time.Time{} // the order's status counts, whatever its times say
		}
		c.report.Tally.Add(order.Change{New: &counted}.Tally())
		if startedAt != timeColumn(&o, o.StartedAt) || completedAt != timeColumn(&o, o.CompletedAt) {
			c.find("%s has a time that is neither set nor marked as unset", o.ID)
		}
		if err := json.Unmarshal([]byte(row.ColumnText(5)), &o.ItemIDs); err != nil {
			c.find("%s has item_ids that cannot be read: %v", o.ID, err)
		}
		if row.ColumnInt64(6) != int64(len(o.Fingerprint)) {
			c.find("%s has a fingerprint of the wrong length", o.ID)
		}
		if amount := row.ColumnInt64(7); amount < 0 || amount > int64(order.MaxAmount) {
			c.find("%s has a total_amount that no order can have", o.ID)
		}
		failed = firstError(failed, c.order(seq, &o))
	})
	return firstError(err, failed)
}

// order checks one order by itself, and against the checkpoints and keys.
func (c *checker) order(seq int64, o *order.Order) error {
	if fault := lifeFault(o); fault != "" {
		c.find("%s %s", o.ID, fault)
	}
	if o.Status != order.Completed && seq <= c.finished && !c.postponed[seq] {
		c.find("%s is %s, but the checkpoint %q says that it is done", o.ID, o.Status, finishedMark)
	}
	if _, err := order.ParseID(string(o.ID)); err != nil {
		c.find("%q, at seq %d, does not have the form of an id", o.ID, seq)
		return nil
	}
	if seqOf(o.ID) == seq {
		return nil
	}
	at, err := c.keySeq(o.ID)
	switch {
	case err != nil:
		return err
	case at == 0 && seq <= c.keyed:
		c.find("%s is missing in keys, but the checkpoint %q says that it is there", o.ID, keysMark)
	case at != 0 && at != seq:
		c.find("%s is at seq %d, but keys leads to seq %d", o.ID, seq, at)
	}
	return nil
}

// keySeq is the seq to which keys leads from that id, 0 when it is not there.
func (c *checker) keySeq(id order.ID) (int64, error) {
	stmt, err := c.conn.Prepare("SELECT seq FROM keys WHERE id = ?")
	if err != nil {
		return 0, err
	}
	stmt.BindText(1, string(id[len(idPrefix):]))
	return optionalInt(stmt)
}

// lifeFault says which rule of an order's life is broken, "" when none is. An
// order taken over as Completed has neither of the later times.
func lifeFault(o *order.Order) string {
	started, completed := !o.StartedAt.IsZero(), !o.CompletedAt.IsZero()
	switch {
	case o.Status == order.Pending && (started || completed),
		o.Status == order.Processing && (!started || completed),
		o.Status == order.Completed && started != completed:
		return fmt.Sprintf("is %s, which its times deny (started: %t, completed: %t)", o.Status, started, completed)
	case started && o.StartedAt.Before(o.CreatedAt):
		return "was started before it was created"
	case completed && o.CompletedAt.Before(o.StartedAt):
		return "was completed before it was started"
	}
	return ""
}

// tally holds the stored tally to the recount.
func (c *checker) tally() error {
	stored, err := loadTally(c.conn)
	if errors.Is(err, errNoTally) {
		c.find("%v", err)
		return nil
	}
	if err != nil || stored == c.report.Tally {
		return err
	}
	missing := ""
	if c.report.Missing = max(stored.Total()-c.report.Tally.Total(), 0); c.report.Missing > 0 {
		missing = fmt.Sprintf(": %d orders that were acknowledged are missing", c.report.Missing)
	}
	c.find("the tally has %s, but a recount gives %s%s", tallyText(stored), tallyText(c.report.Tally), missing)
	return err
}

func tallyText(t order.Tally) string {
	return fmt.Sprintf("%d Pending, %d Processing, %d Completed (%d of them timed, %d ms)",
		t.ByStatus[order.Pending], t.ByStatus[order.Processing], t.ByStatus[order.Completed], t.CompletedCount, t.DurationSumMillis)
}

// duplicates looks for ids that two orders have. Up to the checkpoint, keys
// shows them; there are few orders above it.
func (c *checker) duplicates() error {
	const query = "SELECT id, count(*) FROM orders WHERE seq > ? GROUP BY id HAVING count(*) > 1"
	return eachRow(c.conn, query, c.keyed, func(row *sqlite.Stmt) {
		c.find("%s%s is the id of %d orders", idPrefix, row.ColumnText(0), row.ColumnInt64(1))
	})
}

// keyRows looks at keys from the other side: each row leads to its order.
func (c *checker) keyRows() error {
	const query = `SELECT keys.id, keys.seq, orders.id IS keys.id
		FROM keys LEFT JOIN orders USING (seq) WHERE keys.seq >= ?`
	return eachRow(c.conn, query, math.MinInt64, func(row *sqlite.Stmt) {
		c.report.Keys++
		if !row.ColumnBool(2) {
			c.find("keys leads from %s%s to seq %d, where that order is not", idPrefix, row.ColumnText(0), row.ColumnInt64(1))
		}
	})
}
