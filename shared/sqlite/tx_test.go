package sqlite

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
	"orders/test/chaos"
)

// F15, I4, I13, I14: the deleted order delays no other.
func TestTheMessageOfADeletedOrderIsADeadLetterOnce(t *testing.T) {
	r := newRig(t)
	c := r.create(keyed(""), keyed(""))
	deleted := decodeSeq(c[0].order.ID)
	alter(t, r.w.conn, "DELETE FROM orders WHERE seq = n", deleted)
	work(r.w, r.now)
	r.has(c[1].order.ID, order.Processing)
	r.work(4)
	r.waits(0, 1)
	want := fmt.Sprintf(`{"seq":%d,"to":"Processing"} order not found: `, deleted)
	if got := entries(t, r.w.conn)[0]; !strings.HasPrefix(got, want) || r.w.finished != r.w.last {
		t.Errorf("dead_letters has %q, not %s, and the checkpoint is at %d of %d", got, want, r.w.finished, r.w.last)
	}
}

// entries returns the rows of dead_letters: each body with its reason.
func entries(t chaos.T, conn *sqlite.Conn) (all []string) {
	t.Helper()
	const query = "SELECT CAST(body AS TEXT), reason FROM dead_letters ORDER BY number"
	if err := eachRow(conn, query, func(row *sqlite.Stmt) {
		all = append(all, row.ColumnText(0)+" "+row.ColumnText(1))
	}); err != nil {
		t.Fatalf("%v", err)
	}
	return all
}

// F15, I13, I16: a row that cannot be read is retried at a growing interval. It causes one dead
// letter, two lines in the log, and then a line a minute.
func TestAnOrderThatCannotBeReadIsRetriedAndLoggedOnceAMinute(t *testing.T) {
	r, log := newRig(t), &bytes.Buffer{}
	r.store.cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	alter(t, r.w.conn, noStatus, decodeSeq(r.createOne()))
	attempts := 0
	for end := r.now.Add(time.Hour); r.now.Before(end); attempts++ {
		work(r.w, r.now)
		wait, ok := r.w.queue.wait(r.now)
		if !ok {
			t.Fatal("the order is forgotten")
		}
		r.now = r.now.Add(wait)
	}
	if lines := strings.Count(log.String(), "\n"); attempts < 60 || attempts > 66 || lines < 60 || lines > 62 {
		t.Errorf("%d attempts and %d lines in an hour, not one a minute:\n%s", attempts, lines, log)
	}
	if got := entries(t, r.w.conn); len(got) != 1 || !strings.Contains(got[0], "status is unknown") {
		t.Errorf("dead_letters has %q, not the one order", got)
	}
}

// F10, F15, I4, I13: the checkpoint passes an order that cannot be read, so that a restart does not
// read all later orders again. A restart finds the order nevertheless, and processes it after its
// row was corrected.
func TestTheCheckpointPassesAnOrderThatCannotBeReadAndARestartFindsIt(t *testing.T) {
	r := newRig(t)
	bad := r.createOne()
	alter(t, r.w.conn, noStatus, decodeSeq(bad))
	r.create(keyed(""), keyed(""))
	restart := func() {
		t.Helper()
		r.w.commit(newGroup(0), nil, r.w.queue.finishedBelow(r.w.last+1)-1, r.now)
		r.close()
		r.open()
		if r.w.finished != r.w.last {
			t.Errorf("a restart reads all orders from %d to %d again", r.w.finished, r.w.last)
		}
	}
	// The first restart finds it with later orders, the others find it alone.
	for range 3 {
		r.work(1)
		work(r.w, r.now)
		restart()
		r.waits(1, 1)
	}
	r.edit("UPDATE orders SET status = 0 WHERE seq = n", decodeSeq(bad))
	for range 2 {
		r.work(1)
		restart() // in between, which finds the checkpoint where it was
	}
	r.has(bad, order.Completed)
	r.waits(0, 1)
	r.close()
	hold(t, r.path, 3)
}

// F15, F23, I4, I12, I13, I14: whatever another program has written into a row, a start succeeds,
// processes all other orders, and reports the order that it cannot process.
func TestAStartSucceedsWithBadRows(t *testing.T) {
	for _, bad := range badRows {
		t.Run(bad.name, func(t *testing.T) {
			r := newRig(t)
			c := r.create(keyed(""), keyed("bad"), keyed(""))
			r.edit(bad.plan, decodeSeq(c[0].order.ID)+1)
			r.work(3)
			r.has(c[0].order.ID, order.Completed)
			r.has(c[2].order.ID, order.Completed)
			if _, err := r.store.Get(t.Context(), c[1].order.ID); err == nil {
				t.Error("the bad row can be read")
			}
			r.waits(len(entries(t, r.w.conn)), len(r.w.queue.waiting))
		})
	}
}

// F15, I12: such a row is not in the list, and is logged.
func TestRowsWithoutAValidSeqAreIgnored(t *testing.T) {
	r := newRig(t)
	good := r.createOne()
	r.edit("INSERT INTO orders SELECT -1, 'A', '', '', '[]', 0, fingerprint, 0, 0, 0 FROM orders WHERE seq = n", decodeSeq(good))
	r.close()
	s, log := openLogging(t, byHand(r.path, &r.now))
	if page, err := s.List(t.Context(), 1, ""); err != nil || page.Next != "" || len(page.IDs) != 1 || page.IDs[0] != good {
		t.Errorf("the list is %+v, error %v", page, err)
	}
	closeStore(t, s)
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "rows=1") {
		t.Errorf("the log does not tell: %s", log)
	}
}

// F15, I9, I10, I14: an order whose status was set back by hand subtracts from the metrics what
// was never added. No commit fails.
func TestAStatusChangedByHandFailsNoCommit(t *testing.T) {
	r := newRig(t)
	changed := r.createOne()
	work(r.w, r.now)
	r.edit("UPDATE orders SET status = 0, started_at = -(seq >> 15) WHERE seq = n", decodeSeq(changed))
	for range 3 {
		r.work(1)
		if tally, err := r.store.Metrics(t.Context()); err != nil || slices.Min(tally.ByStatus[:]) < 0 {
			t.Errorf("metrics %+v, error %v", tally, err)
		}
	}
	r.has(changed, order.Completed)
}

// F20, F22, I3, I4, I13: the newest order was deleted, and the clock was set back. New orders do
// not get a seq at or below a checkpoint.
func TestNoOrderFallsBehindACheckpointThoughTheNewestWasDeleted(t *testing.T) {
	r := newRig(t)
	newest := r.create(completed)[0].order.ID
	r.w.commit(newGroup(0), nil, r.w.last, r.now)
	r.now = r.now.Add(-time.Hour)
	r.edit("DELETE FROM orders WHERE seq = n", decodeSeq(newest))
	r.create(keyed("k"))
	r.close()
	r.open()
	r.waits(1, 0)
	if !r.create(keyed("k"))[0].replayed {
		t.Error("after a restart the key is forgotten")
	}
}

// I4, I5: an order that was retried is due with others, and is at a version of its own.
func TestARangeIsOfOneVersion(t *testing.T) {
	var b rangeBuilder
	for i, version := range []int{2, 2, 5, 0} {
		b.add(int64(i), &order.Order{}, []order.Message{{To: order.Processing, Version: version, NotBefore: epoch}})
	}
	if len(b.ranges) != 3 || b.ranges[0].len() != 2 || b.ranges[0].version != 2 || b.ranges[1].version != 5 || b.ranges[2].version != 0 {
		t.Errorf("%+v", b.ranges)
	}
}

// I5: a range has no gaps.
func TestARangeHasNoGaps(t *testing.T) {
	var b rangeBuilder
	o := order.Order{StartedAt: epoch}
	m := []order.Message{{To: order.Completed, NotBefore: epoch.Add(historyProcessing)}}
	for _, seq := range []int64{5, 6, 8, 3, 4} {
		b.add(seq, &o, m)
	}
	want := [][2]int64{{5, 6}, {8, 8}, {3, 4}}
	for i, r := range b.ranges {
		if len(b.ranges) != len(want) || r.first != want[i][0] || r.last != want[i][1] {
			t.Fatalf("runs %+v, not %v", b.ranges, want)
		}
	}
}
