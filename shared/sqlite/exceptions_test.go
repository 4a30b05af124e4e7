package sqlite

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// workers is a fulfilment whose workers have longer than an order may hold the checkpoint.
var workers = order.Fulfilment{External: true, AttemptTimeout: 5 * time.Minute, MaxAttempts: 2}

// I5.
func TestTheSameCallAgainIsDoneAndARefusedCallChangesNothing(t *testing.T) {
	r := newRig(t)
	id := r.createOne()
	first, err := r.ask(id, order.Cancel, 1)
	if err != nil || first.Status != order.Cancelled {
		t.Fatalf("cancelled as %+v, error %v", first, err)
	}
	for _, version := range []int{0, 1} {
		if again, err := r.ask(id, order.Cancel, version); err != nil || again.Version() != 2 {
			t.Errorf("again at version %d: %+v, error %v", version, again, err)
		}
	}
	if _, err := r.ask(id, order.Retry, 2); !isConflict(err) {
		t.Errorf("a retry of a cancelled order: %v", err)
	}
	r.has(id, order.Cancelled)
	if tally := *r.store.tally.Load(); tally.ByStatus != (order.Counts{order.Cancelled: 1}) {
		t.Errorf("the tally is %+v", tally)
	}
}

func isConflict(err error) bool {
	_, ok := errors.AsType[*order.ConflictError](err)
	return ok
}

// F15, I5, I14: a row of exceptions cannot be written.
func TestACallThatCannotBeWrittenChangesNothingAndFailsAlone(t *testing.T) {
	r := newRig(t)
	id := r.createOne()
	const trigger = "CREATE TRIGGER no BEFORE INSERT ON exceptions BEGIN SELECT RAISE(ABORT, 'no'); END"
	if err := sqlitex.ExecuteTransient(r.w.conn, trigger, nil); err != nil {
		t.Fatal(err)
	}
	g := newGroup(0)
	g.transitions = append(g.transitions, &transitionRequest{id: id, request: order.TransitionRequest{Transition: order.Cancel}})
	g.creates = append(g.creates, &createRequest{draft: keyed(""), itemIDs: []byte("[]")})
	r.w.commit(g, nil, r.w.finished, r.now)
	if g.transitions[0].err == nil || g.creates[0].err != nil {
		t.Fatalf("the call has the error %v, a create beside it %v", g.transitions[0].err, g.creates[0].err)
	}
	r.has(id, order.Pending)
	if tally := *r.store.tally.Load(); tally.ByStatus != (order.Counts{order.Pending: 2}) {
		t.Errorf("the tally is %+v", tally)
	}
	r.work(2)
	r.has(id, order.Completed)
}

// I4, I13: orders leave a range, whose others are advanced by one UPDATE.
func TestOrdersThatHaveLeftARangeAreHolesInIt(t *testing.T) {
	r := newRig(t)
	c := r.create(keyed(""), keyed(""), keyed(""))
	r.work(1)
	cancelled, failed, other := c[0].order.ID, c[1].order.ID, c[2].order.ID
	r.now = r.now.Add(-historyProcessing)
	r.make(cancelled, order.Cancel)
	r.make(failed, order.Fail, order.Retry)
	if len(r.w.queue.left) != 2 {
		t.Errorf("%v have left, not two orders", r.w.queue.left)
	}
	r.work(1) // starts the retried order, whose message on the main path still waits
	if o, err := r.store.Get(t.Context(), failed); err != nil || o.Version() != 5 || o.Status != order.Processing {
		t.Errorf("the retried order is %+v, error %v", o, err)
	}
	if due := r.w.queue.pop(r.now); len(due) != 2 || due[0].first != decodeSeq(other) || due[0].len() != 1 {
		t.Errorf("due are %+v, not the order that has not left and the retried one", due)
	} else {
		r.w.commit(newGroup(0), due, r.w.finished, r.now)
	}
	if len(r.w.queue.left) != 0 {
		t.Errorf("%v have still left", r.w.queue.left)
	}
	r.has(cancelled, order.Cancelled)
	r.has(failed, order.Completed)
	r.has(other, order.Completed)
	r.waits(0, 0)
}

// No memory is kept of an order that no range of the main path has.
func TestOnlyOrdersOfTheMainPathLeaveARange(t *testing.T) {
	r := newRigWith(t, workers)
	id := r.createOne()
	r.work(1)
	r.make(id, order.Fail, order.Cancel)
	if len(r.w.queue.left) != 0 {
		t.Errorf("%v have left", r.w.queue.left)
	}
}

func TestPartsOfARangeBetweenHoles(t *testing.T) {
	for name, tt := range map[string]struct {
		left []int64
		want [][2]int64
	}{
		"none":            {nil, [][2]int64{{3, 6}}},
		"of other ranges": {[]int64{2, 7}, [][2]int64{{3, 6}}},
		"the first":       {[]int64{3}, [][2]int64{{4, 6}}},
		"the last":        {[]int64{6}, [][2]int64{{3, 5}}},
		"in between":      {[]int64{4}, [][2]int64{{3, 3}, {5, 6}}},
		"neighbours":      {[]int64{4, 5}, [][2]int64{{3, 3}, {6, 6}}},
		"all":             {[]int64{3, 4, 5, 6}, nil},
	} {
		q := queue{left: map[int64]struct{}{}}
		q.leave(tt.left)
		var got [][2]int64
		for _, r := range q.appendWithoutLeft(nil, seqRange{first: 3, last: 6}) {
			got = append(got, [2]int64{r.first, r.last})
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, not %v", name, got, tt.want)
		}
	}
}

// F22, I4, I13: the checkpoint has passed the order.
func TestARestartFindsARetriedOrderBelowTheCheckpoint(t *testing.T) {
	r := newRig(t)
	id, other := r.createOne(), r.createOne()
	r.work(1)
	r.now = r.now.Add(-historyProcessing)
	r.make(id, order.Fail)
	r.work(3)
	if r.has(other, order.Completed); r.w.finished < decodeSeq(other) {
		t.Fatalf("the checkpoint is %d, below %d", r.w.finished, decodeSeq(other))
	}
	r.opened()
	r.make(id, order.Retry)
	r.opened(id)
	if finished := r.w.queue.finishedBelow(r.w.last + 1); finished <= r.w.last {
		t.Errorf("a retried order holds the checkpoint at %d", finished)
	}
	r.reopen(r.works)
	r.waits(1, 0)
	r.work(1)
	r.opened(id)
	r.reopen(r.works)
	r.waits(1, 0)
	r.work(1)
	r.has(id, order.Completed)
	r.opened()
	r.waits(0, 0)
}

// An order of open_orders is also above the checkpoint.
func TestARestartFindsARetriedOrderOnce(t *testing.T) {
	r := newRig(t)
	id := r.createOne()
	r.work(1)
	r.now = r.now.Add(-historyProcessing)
	r.make(id, order.Fail, order.Retry)
	r.reopen(r.works)
	r.waits(1, 0)
}

// F22, I4, I13: workers take longer than a minute.
func TestOrdersThatWaitForAWorkerDoNotHoldTheCheckpoint(t *testing.T) {
	r := newRigWith(t, workers)
	c := r.create(keyed(""), keyed(""), keyed(""), keyed(""))
	ids := make([]order.ID, len(c))
	for i := range c {
		ids[i] = c[i].order.ID
	}
	work(r.w, r.now)
	r.make(ids[1], order.Complete)
	for _, step := range []struct {
		after time.Duration
		open  []order.ID
	}{{openAfter, nil}, {time.Second, []order.ID{ids[0], ids[2], ids[3]}}} {
		r.now = r.now.Add(step.after)
		work(r.w, r.now)
		r.opened(step.open...)
		if r.w.finished >= decodeSeq(ids[0]) {
			t.Fatalf("after %s the checkpoint is %d", step.after, r.w.finished)
		}
	}
	r.now = r.now.Add(time.Second)
	work(r.w, r.now)
	if r.w.finished != decodeSeq(ids[3]) {
		t.Errorf("the checkpoint is %d, not %d", r.w.finished, decodeSeq(ids[3]))
	}
	r.make(ids[2], order.Complete)
	r.opened(ids[0], ids[3])
	r.reopen(workers) // the range is two now
	r.waits(2, 0)
	if finished := r.w.queue.finishedBelow(r.w.last + 1); finished <= decodeSeq(ids[3]) {
		t.Errorf("after a restart the checkpoint is below %d", finished)
	}
	r.now = r.now.Add(workers.AttemptTimeout)
	work(r.w, r.now)
	for _, id := range []order.ID{ids[0], ids[3]} {
		if o, err := r.store.Get(t.Context(), id); err != nil || o.Status != order.Processing || o.Attempt() != 2 {
			t.Errorf("after the first time-out the order is %+v, error %v", o, err)
		}
	}
	r.now = r.now.Add(workers.AttemptTimeout)
	work(r.w, r.now)
	r.has(ids[0], order.Failed)
	r.has(ids[1], order.Completed)
	r.has(ids[2], order.Completed)
	r.opened()
	r.waits(0, 0)
}

// I4: a time-out of a range whose orders workers have answered in part.
func TestATimeOutIsOfTheOrdersWithoutAnAnswer(t *testing.T) {
	r := newRigWith(t, workers)
	c := r.create(keyed(""), keyed(""), keyed(""))
	work(r.w, r.now)
	r.make(c[0].order.ID, order.Complete)
	r.make(c[1].order.ID, order.Fail)
	for attempt := 2; attempt >= 1; attempt-- {
		r.now = r.now.Add(workers.AttemptTimeout)
		work(r.w, r.now)
	}
	for i, want := range []order.Status{order.Completed, order.Failed, order.Failed} {
		r.has(c[i].order.ID, want)
	}
	if o, err := r.store.Get(t.Context(), c[2].order.ID); err != nil || o.Exception.Reason != "no answer in 2 attempts" {
		t.Errorf("without an answer the order is %+v, error %v", o, err)
	}
	r.waits(0, 0)
}

// F15, I13, I14: another program has deleted or damaged one order of a range.
func TestATimeOutOfARangeMeetsBadRows(t *testing.T) {
	for name, script := range map[string]string{
		"deleted":        "DELETE FROM orders WHERE seq = n",
		"unknown status": "UPDATE orders SET status = 9 WHERE seq = n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigWith(t, workers)
			c := r.create(keyed(""), keyed(""))
			work(r.w, r.now)
			if err := pragma(r.w.conn, "ignore_check_constraints = ON"); err != nil {
				t.Fatal(err)
			}
			alter(t, r.w.conn, script, decodeSeq(c[0].order.ID))
			r.now = r.now.Add(workers.AttemptTimeout)
			work(r.w, r.now)
			if got := entries(r, r.w.conn); len(got) != 1 {
				t.Errorf("dead_letters has %q, not the bad row", got)
			}
			if o, err := r.store.Get(t.Context(), c[1].order.ID); err != nil || o.Attempt() != 2 {
				t.Errorf("the good order is %+v, error %v", o, err)
			}
		})
	}
}

// F15: another program has deleted the row of open_orders.
func TestTheTableDecidesWhichOrdersHoldTheCheckpoint(t *testing.T) {
	r := newRig(t)
	id := r.createOne()
	r.work(1)
	r.now = r.now.Add(-historyProcessing)
	r.make(id, order.Fail, order.Retry)
	r.edit("DELETE FROM open_orders WHERE seq = n", decodeSeq(id))
	if finished := r.w.queue.finishedBelow(r.w.last + 1); finished > decodeSeq(id) {
		t.Errorf("no order waits below %d, and the one at %d does", finished, decodeSeq(id))
	}
}

// A store without requests moves orders to open_orders, too.
func TestTheCheckpointPassesOrdersOfWorkersWithoutAnyRequest(t *testing.T) {
	r := newRigWith(t, workers)
	id := r.createOne()
	work(r.w, r.now)
	r.now = r.now.Add(openAfter + time.Second)
	work(r.w, r.now)
	r.opened(id)
	waiting := slices.Clone(r.w.queue.waiting)
	if len(waiting) != 1 || !waiting[0].open {
		t.Errorf("waiting are %+v, not one open range", waiting)
	}
}

func TestOnlyRangesThatHaveWaitedLongForAWorkerAreOpened(t *testing.T) {
	r := seqRange{version: 2, queuedAt: epoch}
	for name, tt := range map[string]struct {
		change func(*seqRange)
		before time.Time
		want   int
	}{
		"long":                 {func(*seqRange) {}, epoch.Add(1), 1},
		"not long enough":      {func(*seqRange) {}, epoch, 0},
		"at no time":           {func(r *seqRange) { r.queuedAt = time.Time{}.Add(-1) }, time.Time{}, 0},
		"for a timer":          {func(r *seqRange) { r.version = 0 }, epoch.Add(1), 0},
		"and is open":          {func(r *seqRange) { r.open = true }, epoch.Add(1), 0},
		"and is a dead letter": {func(r *seqRange) { r.failures = 1 }, epoch.Add(1), 0},
	} {
		one := r
		tt.change(&one)
		q := queue{waiting: rangeHeap{one}, fulfilment: workers}
		if got := len(q.toOpen(tt.before)); got != tt.want {
			t.Errorf("a range that waits %s: %d are opened, not %d", name, got, tt.want)
		}
	}
	q := queue{waiting: rangeHeap{r}, fulfilment: order.Timer(time.Minute)}
	if got := len(q.toOpen(epoch.Add(1))); got != 0 {
		t.Errorf("%d ranges are opened by a service with a timer", got)
	}
}

// F22, I4: a file of a service with workers is opened with a timer.
func TestATimerCompletesWhatWorkersHaveLeft(t *testing.T) {
	r := newRigWith(t, workers)
	c := r.create(keyed(""), keyed(""))
	work(r.w, r.now)
	r.now = r.now.Add(openAfter + time.Second)
	work(r.w, r.now)
	r.opened(c[0].order.ID, c[1].order.ID)
	r.reopen(order.Timer(historyProcessing))
	r.now = r.now.Add(historyProcessing)
	work(r.w, r.now)
	r.has(c[0].order.ID, order.Completed)
	r.has(c[1].order.ID, order.Completed)
	r.opened()
	r.waits(0, 0)
}

// F15: another program has damaged or deleted the row of an order in exceptions.
func TestADamagedExceptionIsReported(t *testing.T) {
	for name, script := range map[string]string{
		"deleted":    "DELETE FROM exceptions WHERE seq = n",
		"no status":  noStatus,
		"no history": "UPDATE exceptions SET history = '[{}' WHERE seq = n",
	} {
		r := newRig(t)
		id := r.createOne()
		r.make(id, order.Cancel)
		alter(t, r.w.conn, script, decodeSeq(id))
		if o, err := r.store.Get(t.Context(), id); err == nil || errors.Is(err, order.ErrNotFound) {
			t.Errorf("%s: read as %+v, error %v", name, o, err)
		}
	}
}

// offTheMainPath makes a file of five orders. The first three are Cancelled, Failed, and Pending again
// after a failure; the fourth is Completed; the fifth is in its second attempt.
func offTheMainPath(t *testing.T) (path string, ids []order.ID) {
	t.Helper()
	r := newRigWith(t, workers)
	for _, c := range r.create(keyed(""), keyed("key"), keyed(""), keyed(""), keyed("")) {
		ids = append(ids, c.order.ID)
	}
	work(r.w, r.now)
	r.make(ids[0], order.Cancel)
	r.make(ids[1], order.Fail)
	r.make(ids[3], order.Complete)
	r.now = r.now.Add(workers.AttemptTimeout)
	work(r.w, r.now)
	r.make(ids[2], order.Fail, order.Retry)
	for range 2 { // opens the last order, and moves the checkpoint
		r.now = r.now.Add(openAfter + time.Second)
		r.w.commit(newGroup(0), nil, r.w.nextCheckpoint(r.now), r.now)
	}
	if r.opened(ids[2], ids[4]); r.w.finished != decodeSeq(ids[4]) {
		t.Fatalf("the checkpoint is %d, not %d", r.w.finished, decodeSeq(ids[4]))
	}
	r.close()
	hold(t, r.path, 5)
	return r.path, ids
}

// F15, F23, I9, I17. A repair mends what follows from the orders.
func TestCheckFindsDamageOffTheMainPathAndRepairMendsIt(t *testing.T) {
	path, _ := offTheMainPath(t)
	good := read(t, path)
	for _, tt := range []struct {
		name, script string
		finding      string
		change       string // of a repair, "" if it can change nothing
	}{
		{"a history without an order", "DELETE FROM orders WHERE seq = n1; UPDATE tally SET cancelled = 0", "exceptions has seq", "exceptions: 1 that belong to no such order removed"},
		{"an open order that is not there", "INSERT INTO open_orders VALUES (7)", "open_orders has seq 7, where there is no such order", "open_orders: 1 that belong to no such order removed"},
		{"an open order that is Failed", "INSERT INTO open_orders VALUES (n2)", "open_orders has seq", "open_orders: 1 that belong to no such order removed"},
		{"an open order that is Completed", "INSERT INTO open_orders VALUES (n4)", "open_orders has seq", "open_orders: 1 that belong to no such order removed"},
		{"another status in exceptions", "UPDATE exceptions SET status = 4 WHERE seq = n2", "is Failed, but exceptions has another status", "exceptions: 1 given the status of their orders"},
		{"a tally without the Failed", "UPDATE tally SET failed = 0", "the tally has 1 Pending, 1 Processing, 1 Completed, 0 Failed, 1 Cancelled", "tally: "},
		{"a tally with another Cancelled", "UPDATE tally SET cancelled = 2", "the tally has 1 Pending, 1 Processing, 1 Completed, 1 Failed, 2 Cancelled", "tally: "},
		{"an open order that a restart would pass over", "DELETE FROM open_orders WHERE seq = n3", "is Pending, but the checkpoint", `checkpoint "finished": `},
		{"a Failed order without its row", "DELETE FROM exceptions WHERE seq = n2", "its row in exceptions is missing", ""},
		{"an unknown status", "PRAGMA ignore_check_constraints = ON; UPDATE orders SET status = 7 WHERE seq = n2; UPDATE tally SET failed = 0", "has the status 7, which there is not", ""},
		{"a history that is no list", "UPDATE exceptions SET history = '{}' WHERE seq = n2", "history is not a JSON array of transitions", ""},
		{"a version that its status cannot have", "UPDATE exceptions SET version = 2 WHERE seq = n2", "status Failed contradicts version 2", ""},
		{"a Cancelled order without its time", "UPDATE exceptions SET cancelled_at = 0 WHERE seq = n1", "status Cancelled contradicts the times", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := newPath(t)
			overwrite(t, path, good)
			runScript(t, path, tt.script)
			r, err := Repair(t.Context(), path, time.Now)
			if err != nil || len(r.Before.Findings) != 1 || !strings.Contains(r.Before.Findings[0], tt.finding) {
				t.Fatalf("findings %q, error %v, want %s", r.Before.Findings, err, tt.finding)
			}
			changes := strings.Join(r.Changes, "\n")
			if mended := tt.change != ""; mended != (len(r.After.Findings) == 0) || !strings.Contains(changes, tt.change) {
				t.Errorf("changes %q, want %s; findings afterwards %q", r.Changes, tt.change, r.After.Findings)
			}
		})
	}
}

// F22, I1, I4, I6, I9: orders off the main path are in a backup and are restored as they were.
func TestABackupHasTheOrdersOffTheMainPath(t *testing.T) {
	path, ids := offTheMainPath(t)
	restored := newPath(t)
	report, err := Restore(t.Context(), backedUp(t, path), restored, time.Now)
	if want := (order.Counts{1, 1, 1, 1, 1}); err != nil || report.Tally.ByStatus != want || len(report.Findings) > 0 {
		t.Fatalf("%+v, %v, not %v", report, err, want)
	}
	now := epoch
	all := func(path string) (orders []order.Order) {
		t.Helper()
		r := &rig{T: t, path: path, now: now, works: workers}
		r.open()
		for _, id := range ids {
			o, err := r.store.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			orders = append(orders, o)
		}
		r.opened(ids[2], ids[4])
		r.waits(2, 0)
		r.close()
		return orders
	}
	if before, after := all(path), all(restored); !reflect.DeepEqual(before, after) {
		t.Errorf("restored\n%+v, not\n%+v", after, before)
	}
}

// F22: a restart reads the orders above the checkpoint and those of open_orders, and no other, however
// many there are.
func TestARestartReadsNoMoreThanItMust(t *testing.T) {
	r := newRig(t)
	c := r.create(keyed(""), keyed(""), keyed(""), keyed(""), keyed(""))
	retried := c[1].order.ID
	r.work(1)
	r.now = r.now.Add(-historyProcessing)
	r.make(retried, order.Fail)
	r.work(3)
	r.make(retried, order.Retry)
	next := r.createOne()
	r.reopen(r.works)

	conn := connect(t, r.path)
	var seen []int64
	err := conn.CreateFunction("seen", &sqlite.FunctionImpl{NArgs: 1, Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
		seen = append(seen, args[0].Int64())
		return sqlite.IntegerValue(1), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	runSQL(t, conn, "CREATE TEMP VIEW orders AS SELECT * FROM main.orders WHERE seen(seq)")
	w := &writer{store: r.store, conn: conn, finished: r.w.finished, queue: queue{fulfilment: r.works}}
	if err := w.loadQueue(); err != nil {
		t.Fatal(err)
	}
	if want := []int64{decodeSeq(next), decodeSeq(retried)}; !slices.Equal(seen, want) || len(w.queue.waiting) != 2 {
		t.Errorf("read the orders %d, not %d; %d ranges wait", seen, want, len(w.queue.waiting))
	}
}

// F15: an order of open_orders could not be read for a while, and is completed by a timer.
func TestADeadLetterThatIsMendedIsOpenNoLonger(t *testing.T) {
	r := newRigWith(t, workers)
	id := r.createOne()
	work(r.w, r.now)
	r.now = r.now.Add(openAfter + time.Second)
	work(r.w, r.now)
	r.edit(noStatus, decodeSeq(id))
	r.now = r.now.Add(workers.AttemptTimeout)
	work(r.w, r.now)
	r.waits(1, 1)
	r.works = order.Timer(historyProcessing)
	r.edit("UPDATE orders SET status = 1 WHERE seq = n", decodeSeq(id))
	r.now = r.now.Add(historyProcessing)
	work(r.w, r.now)
	r.has(id, order.Completed)
	r.opened()
}

// schema3 is a file that the last release without exceptions has written: three Completed orders, of
// which the second has the key "old-key-1", and two Processing orders.
//
//go:embed testdata/schema3.db.gz
var schema3 []byte

func fileOfSchema3(t *testing.T) (path string) {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(schema3))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	path = newPath(t)
	overwrite(t, path, content)
	return path
}

// F22, I1: a migration is made as a whole or not at all. The one of the test fails at a table of
// another program.
func TestAMigrationThatFailsLeavesTheFileAsItWas(t *testing.T) {
	path := fileOfSchema3(t)
	runScript(t, path, "CREATE TABLE open_orders (other)")
	schema := func() (text string) {
		t.Helper()
		conn := connect(t, path)
		if err := eachRow(conn, "SELECT sql FROM sqlite_schema", func(row *sqlite.Stmt) { text += row.ColumnText(0) }); err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := schema()
	if err := tryOpen(t, path); err == nil {
		t.Fatal("the file is opened")
	}
	if after := schema(); after != before || !strings.Contains(before, "BETWEEN 0 AND 2") {
		t.Errorf("the schema is\n%s\nand was\n%s", after, before)
	}
	runScript(t, path, "DROP TABLE open_orders")
	store := openStore(t, path, time.Millisecond)
	waitForCount(t, store, order.Completed, 5) // two of them were Processing
	closeStore(t, store)
	hold(t, path, 5)
}

// A mistake in a statement must not change the schema.
func TestTheSchemaIsNotWritableAfterAMigration(t *testing.T) {
	r := &rig{T: t, path: fileOfSchema3(t), now: epoch, works: workers}
	r.open()
	t.Cleanup(r.close)
	if on, err := queryInt(r.w.conn, "PRAGMA writable_schema"); err != nil || on != 0 {
		t.Errorf("writable_schema is %d, %v", on, err)
	}
}

// I1, I3, I4, I9: the orders of before go on, and can make the new transitions.
func TestAFileOfTheReleaseBeforeOpensAndGoesOn(t *testing.T) {
	path := fileOfSchema3(t)
	cfg := storeConfig(path, 0)
	cfg.Fulfilment = order.Fulfilment{External: true, AttemptTimeout: order.MaxProcessingTime, MaxAttempts: 9}
	store, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	page, err := store.List(t.Context(), 10, "")
	if err != nil || len(page.IDs) != 5 || page.IDs[3] != order.KeyedID("", "old-key-1") {
		t.Fatalf("%v, %v", page.IDs, err)
	}
	for i, transition := range []order.Transition{order.Cancel, order.Fail} { // newest first
		o, err := store.Transition(t.Context(), page.IDs[i], order.TransitionRequest{Transition: transition, Reason: "why"})
		if err != nil || o.Status != transition.To() {
			t.Errorf("%s: %+v, %v", transition, o, err)
		}
	}
	closeStore(t, store)
	report, err := Check(t.Context(), path)
	if want := (order.Counts{order.Completed: 3, order.Failed: 1, order.Cancelled: 1}); err != nil || report.Tally.ByStatus != want || len(report.Findings) > 0 {
		t.Errorf("%+v, %v, want %v and no finding", report, err, want)
	}
}
