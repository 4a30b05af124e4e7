package sqlite

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// F23: a store whose commits fail reports that it accepts no orders, and finds out without a
// request when commits succeed again.
func TestPingFailsWhileCommitsFail(t *testing.T) {
	now := epoch
	s, w := openByHand(t, newPath(t), &now)
	healthy := func(want bool, when string) {
		t.Helper()
		if err := s.Ping(t.Context()); (err == nil) != want || err != nil && !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%s: Ping: %v", when, err)
		}
	}
	healthy(true, "at first")
	leaveRoom(t, w.conn, 1)
	if sized(w, now, 60_000) == nil {
		t.Fatal("an order of 15 pages was taken by a disk that has room for one")
	}
	healthy(false, "after a create that failed")
	now = now.Add(probeInterval)
	w.probe(now)
	healthy(false, "while there is room for a small order, but for no large one")
	leaveRoom(t, w.conn, 1_000)
	w.probe(now)
	healthy(false, "within the same second, in which it does not try again")
	now = now.Add(time.Second)
	w.probe(now)
	healthy(true, "with room again")
	if err := sized(w, now, 60_000); err != nil {
		t.Error(err)
	}
	release(t, s)
}

// A commit that takes too long, as on a disk that stalls, counts like one that has failed.
func TestACommitThatStallsCountsAsUnavailable(t *testing.T) {
	var h health
	h.begin(epoch)
	if err := h.check(epoch.Add(maxCommit - 1)); err != nil {
		t.Error(err)
	}
	if err := h.check(epoch.Add(maxCommit)); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("error %v, not %v", err, order.ErrUnavailable)
	}
	h.end()
	if err := h.check(epoch.Add(time.Hour)); err != nil {
		t.Error(err)
	}
}

// A log that grew during a long read is cut again.
func TestTheLogIsCutAfterALongRead(t *testing.T) {
	now := epoch
	path := newPath(t)
	s, w := openByHand(t, path, &now)
	create := func(n int) {
		t.Helper()
		if err := sized(w, now, slices.Repeat([]int{9_000}, n)...); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	reader, err := s.readers.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	end := sqlitex.Transaction(reader)
	if _, err := queryInt(reader, "SELECT count(*) FROM orders"); err != nil {
		t.Fatal(err)
	}
	create(9_000)
	large := size()
	end(&err)
	s.readers.Put(reader)
	for range 3 { // one to bring the log into the file, one to begin it anew
		create(1)
	}
	if now := size(); large < 72<<20 || now > 65<<20 {
		t.Errorf("the log had %d bytes and has %d", large, now)
	}
	release(t, s)
}

// TestAFullDiskFailsOnlyCreatesAndTheStoreRecovers sets SQLite's limit on the size of the file, at which
// writes fail as on a full disk. The test uses the writer's connection while the writer is idle:
// nothing is due for an hour.
func TestAFullDiskFailsOnlyCreatesAndTheStoreRecovers(t *testing.T) {
	store := openStore(t, newPath(t), time.Hour)
	draft := order.Draft{InitialStatus: order.Completed, Details: order.Details{UserID: "645", ItemIDs: make([]string, order.MaxItems)}}
	leaveRoom(t, store.conn, 10)
	var last order.Order
	stored := int64(0)
	var err error
	for ; err == nil; stored++ {
		var o order.Order
		if o, _, err = store.Create(t.Context(), draft); err == nil {
			last = o
		}
	}
	stored--
	if !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Create: error %v, not %v", err, order.ErrUnavailable)
	}
	if tally, err := store.Metrics(t.Context()); err != nil || tally.Total() != stored {
		t.Errorf("metrics %+v, error %v, not %d orders", tally, err, stored)
	}
	if o, err := store.Get(t.Context(), last.ID); err != nil || o.ID != last.ID {
		t.Errorf("Get: %+v, error %v", o, err)
	}

	if err := store.Ping(t.Context()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Ping: %v, not %v", err, order.ErrUnavailable)
	}

	leaveRoom(t, store.conn, 1_000)
	// Nothing is due and no order comes: the store tries by itself.
	for deadline := time.Now().Add(20 * time.Second); store.Ping(t.Context()) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Ping, with space again: %v", store.Ping(t.Context()))
		}
	}
	if _, _, err := store.Create(t.Context(), draft); err != nil {
		t.Errorf("Create, with space again: %v", err)
	}
	if tally, err := store.Metrics(t.Context()); err != nil || tally.Total() != stored+1 {
		t.Errorf("metrics %+v, error %v, not %d orders", tally, err, stored+1)
	}
	closeStore(t, store)
}

// F23: a read may find the file damaged while the store is closed. Neither waits for the other.
func TestDamageMayBeFoundWhileTheStoreIsClosed(t *testing.T) {
	now := epoch
	s, err := Open(t.Context(), byHand(newPath(t), &now))
	if err != nil {
		t.Fatal(err)
	}
	damage := &brokenError{"the disk failed", nil}
	var reader sync.WaitGroup
	reader.Go(func() {
		<-s.Done()
		s.failOnDamage(damage)
	})
	closed := s.Close()
	reader.Wait()
	if closed != nil && !errors.Is(closed, damage) {
		t.Errorf("Close: %v", closed)
	}
	if err := s.Err(); !errors.Is(err, damage) {
		t.Errorf("the store has stopped for %v, not %v", err, damage)
	}
}
