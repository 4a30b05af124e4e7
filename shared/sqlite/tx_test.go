package sqlite

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
	"orders/test/chaos"
)

// F15, I4, I13, I14: the deleted order delays no other.
func TestTheMessageOfADeletedOrderIsADeadLetterOnce(t *testing.T) {
	now := epoch
	s, w := openByHand(t, newPath(t), &now)
	c := together(w, now, keyed(""), keyed(""))
	alter(t, w.conn, "DELETE FROM orders WHERE seq = n", decodeSeq(c[0].order.ID))
	work(w, now)
	if o, err := s.Get(t.Context(), c[1].order.ID); err != nil || o.Status != order.Processing {
		t.Errorf("the other order is %+v, error %v", o, err)
	}
	for range 3 {
		now = now.Add(historyProcessing)
		work(w, now)
	}
	want := fmt.Sprintf(`{"seq":%d,"to":"Processing"}`, decodeSeq(c[0].order.ID))
	if got := entries(t, w.conn); len(got) != 1 || !strings.HasPrefix(got[0], want+" order not found: ") {
		t.Errorf("dead_letters has %q, want %s once", got, want)
	}
	if len(w.queue.waiting) != 0 || w.finished != w.last {
		t.Errorf("%d ranges wait, and the checkpoint is at %d of %d", len(w.queue.waiting), w.finished, w.last)
	}
	release(t, s)
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
	now, log := epoch, &bytes.Buffer{}
	s, w := openByHand(t, newPath(t), &now)
	s.cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	c := together(w, now, keyed(""))
	alter(t, w.conn, noStatus, decodeSeq(c[0].order.ID))
	attempts := 0
	for end := now.Add(time.Hour); now.Before(end); attempts++ {
		work(w, now)
		wait, ok := w.queue.wait(now)
		if !ok {
			t.Fatal("the order is forgotten")
		}
		now = now.Add(wait)
	}
	if attempts < 60 || attempts > 66 {
		t.Errorf("%d attempts in an hour, not one a minute", attempts)
	}
	if lines := strings.Count(log.String(), "\n"); lines < 60 || lines > 62 {
		t.Errorf("%d lines in an hour, not one a minute:\n%s", lines, log)
	}
	if got := entries(t, w.conn); len(got) != 1 || !strings.Contains(got[0], "status is unknown") {
		t.Errorf("dead_letters has %q, not the one order", got)
	}
	release(t, s)
}

// F10, F15, I4, I13: the checkpoint passes an order that cannot be read, so that a restart does not
// read all later orders again. A restart finds the order nevertheless, and processes it after its
// row was corrected.
func TestTheCheckpointPassesAnOrderThatCannotBeReadAndARestartFindsIt(t *testing.T) {
	path, now := newPath(t), epoch
	s, w := openByHand(t, path, &now)
	bad := together(w, now, keyed(""))[0].order.ID
	alter(t, w.conn, noStatus, decodeSeq(bad))
	together(w, now, keyed(""), keyed(""))
	restart := func() {
		t.Helper()
		w.commit(newGroup(0), nil, w.queue.finishedBelow(w.last+1)-1, now)
		release(t, s)
		s, w = openByHand(t, path, &now)
		if w.finished != w.last {
			t.Errorf("a restart reads all orders from %d to %d again", w.finished, w.last)
		}
	}
	// The first restart finds it with later orders, the others find it alone.
	for range 3 {
		work(w, now)
		now = now.Add(historyProcessing)
		work(w, now)
		restart()
		if len(w.queue.waiting) != 1 || len(entries(t, w.conn)) != 1 {
			t.Fatalf("after a restart %d ranges wait, and dead_letters has %q", len(w.queue.waiting), entries(t, w.conn))
		}
	}

	release(t, s)
	alterFile(t, path, "UPDATE orders SET status = 0 WHERE seq = n", decodeSeq(bad))
	hold(t, path, 3)
	s, w = openByHand(t, path, &now)
	for range 2 {
		work(w, now)
		restart() // in between, which finds the checkpoint where it was
		now = now.Add(historyProcessing)
	}
	if o, err := s.Get(t.Context(), bad); err != nil || o.Status != order.Completed {
		t.Errorf("the mended order is %+v, error %v", o, err)
	}
	if len(w.queue.waiting) != 0 {
		t.Errorf("%+v waits when all is done", w.queue.waiting)
	}
	release(t, s)
	hold(t, path, 3)
}

// F15, F23, I4, I12, I13, I14: whatever another program has written into a row, a start succeeds,
// processes all other orders, and reports the order that it cannot process.
func TestAStartSucceedsWithBadRows(t *testing.T) {
	for _, bad := range badRows {
		t.Run(bad.name, func(t *testing.T) {
			path, now := newPath(t), epoch
			s, w := openByHand(t, path, &now)
			c := together(w, now, keyed(""), keyed("bad"), keyed(""))
			release(t, s)
			alterFile(t, path, bad.plan, decodeSeq(c[0].order.ID)+1)
			s, w = openByHand(t, path, &now)
			for range 3 {
				work(w, now)
				now = now.Add(historyProcessing)
			}
			for _, i := range []int{0, 2} {
				if o, err := s.Get(t.Context(), c[i].order.ID); err != nil || o.Status != order.Completed {
					t.Errorf("order %d is %+v, error %v", i, o, err)
				}
			}
			if _, err := s.Get(t.Context(), c[1].order.ID); err == nil {
				t.Error("the bad row can be read")
			}
			if got, waits := entries(t, w.conn), len(w.queue.waiting); len(got) != waits {
				t.Errorf("%d orders wait, and dead_letters has %q", waits, got)
			}
			release(t, s)
		})
	}
}

// F15, I12: such a row is not in the list, and is logged.
func TestRowsWithoutAValidSeqAreIgnored(t *testing.T) {
	path, now := newPath(t), epoch
	s, w := openByHand(t, path, &now)
	good := together(w, now, keyed(""))[0].order.ID
	release(t, s)
	alterFile(t, path, "INSERT INTO orders SELECT -1, 'A', '', '', '[]', 0, fingerprint, 0, 0, 0 FROM orders WHERE seq = n", decodeSeq(good))
	s, log := openLogging(t, byHand(path, &now))
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
	path, now := newPath(t), epoch
	s, w := openByHand(t, path, &now)
	changed := together(w, now, keyed(""))[0].order.ID
	work(w, now)
	release(t, s)
	alterFile(t, path, "UPDATE orders SET status = 0, started_at = -(seq >> 15) WHERE seq = n", decodeSeq(changed))

	s, w = openByHand(t, path, &now)
	for range 3 {
		work(w, now)
		if tally, err := s.Metrics(t.Context()); err != nil || min(tally.ByStatus[0], tally.ByStatus[1], tally.ByStatus[2]) < 0 {
			t.Errorf("metrics %+v, error %v", tally, err)
		}
		now = now.Add(historyProcessing)
	}
	if o, err := s.Get(t.Context(), changed); err != nil || o.Status != order.Completed {
		t.Errorf("the order is %+v, error %v", o, err)
	}
	release(t, s)
}

// F20, F22, I3, I4, I13: the newest order was deleted, and the clock was set back. New orders do
// not get a seq at or below a checkpoint.
func TestNoOrderFallsBehindACheckpointThoughTheNewestWasDeleted(t *testing.T) {
	path, now := newPath(t), epoch
	s, w := openByHand(t, path, &now)
	d := keyed("")
	d.InitialStatus = order.Completed
	newest := together(w, now, d)[0].order.ID
	w.commit(newGroup(0), nil, w.last, now)
	release(t, s)
	alterFile(t, path, "DELETE FROM orders WHERE seq = n", decodeSeq(newest))
	now = now.Add(-time.Hour)

	s, w = openByHand(t, path, &now)
	together(w, now, keyed("k"))
	release(t, s)
	s, w = openByHand(t, path, &now)
	if len(w.queue.waiting) != 1 || !together(w, now, keyed("k"))[0].replayed {
		t.Errorf("after a restart %d orders wait, not 1, or their key is forgotten", len(w.queue.waiting))
	}
	release(t, s)
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
