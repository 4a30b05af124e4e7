package sqlite

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// F23: a store whose commits fail reports that it accepts no orders, and finds out without a
// request when commits succeed again.
func TestPingFailsWhileCommitsFail(t *testing.T) {
	r := newRig(t)
	healthy := func(want bool, when string) {
		t.Helper()
		if err := r.store.Ping(t.Context()); want && err != nil {
			t.Errorf("%s: Ping: %v", when, err)
		} else if !want {
			unavailable(t, when+": Ping", err)
		}
	}
	healthy(true, "at first")
	leaveRoom(t, r.w.conn, 1)
	if r.sized(60_000) == nil {
		t.Fatal("an order of 15 pages was taken by a disk that has room for one")
	}
	healthy(false, "after a create that failed")
	r.now = r.now.Add(probeInterval)
	r.w.probe(r.now)
	healthy(false, "while there is room for a small order, but for no large one")
	leaveRoom(t, r.w.conn, 1_000)
	r.w.probe(r.now)
	healthy(false, "within the same second, in which it does not try again")
	r.now = r.now.Add(time.Second)
	r.w.probe(r.now)
	healthy(true, "with room again")
	if err := r.sized(60_000); err != nil {
		t.Error(err)
	}
}

// A commit that takes too long, as on a disk that stalls, counts like one that has failed.
func TestACommitThatStallsCountsAsUnavailable(t *testing.T) {
	var h health
	h.begin(epoch)
	if err := h.check(epoch.Add(maxCommit - 1)); err != nil {
		t.Error(err)
	}
	unavailable(t, "after so long", h.check(epoch.Add(maxCommit)))
	h.end()
	if err := h.check(epoch.Add(time.Hour)); err != nil {
		t.Error(err)
	}
}

// A log that grew during a long read is cut again.
func TestTheLogIsCutAfterALongRead(t *testing.T) {
	r := newRig(t)
	create := func(n int) (size int) {
		t.Helper()
		if err := r.sized(slices.Repeat([]int{9_000}, n)...); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(r.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Size())
	}
	reader, err := r.store.readers.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	end := sqlitex.Transaction(reader)
	if _, err := queryInt(reader, "SELECT count(*) FROM orders"); err != nil {
		t.Fatal(err)
	}
	large := create(9_000)
	end(&err)
	r.store.readers.Put(reader)
	// One create brings the log into the file, and one begins it anew.
	if _, _, now := create(1), create(1), create(1); large < 72<<20 || now > 65<<20 {
		t.Errorf("the log had %d bytes and has %d", large, now)
	}
}

// F1, F23: SQLite's limit on the size of the file makes writes fail as on a full disk. The test uses
// the writer's connection while the writer is idle: nothing is due for an hour.
func TestAFullDiskFailsOnlyCreatesAndTheStoreRecovers(t *testing.T) {
	store := openStore(t, newPath(t), time.Hour)
	draft := order.Draft{InitialStatus: order.Completed, Details: order.Details{UserID: "645", ItemIDs: make([]string, order.MaxItems)}}
	leaveRoom(t, store.conn, 10)
	var last order.ID
	stored := int64(0)
	for {
		o, _, err := store.Create(t.Context(), draft)
		if err != nil {
			unavailable(t, "Create", err)
			break
		}
		last = o.ID
		stored++
	}
	waitForCount(t, store, order.Completed, stored)
	if o, err := store.Get(t.Context(), last); err != nil || o.ID != last {
		t.Errorf("Get: %+v, error %v", o, err)
	}
	unavailable(t, "Ping", store.Ping(t.Context()))

	leaveRoom(t, store.conn, 1_000)
	// Nothing is due and no order comes: the store tries by itself.
	for deadline := time.Now().Add(20 * time.Second); store.Ping(t.Context()) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Ping, with space again: %v", store.Ping(t.Context()))
		}
	}
	makeOrder(t, store, completed)
	waitForCount(t, store, order.Completed, stored+1)
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

// F23, I1: what SQLite finds damaged is not relied on. A full disk is no damage.
func TestAStoreStopsWhenItsFileIsDamaged(t *testing.T) {
	store := openStore(t, newPath(t), time.Hour)
	t.Cleanup(func() { _ = store.Close() })
	store.failOnDamage(sqlite.ResultFull.ToError())
	makeOrder(t, store, completed)
	store.failOnDamage(sqlite.ResultCorrupt.ToError())
	if _, _, err := store.Create(t.Context(), completed); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("error %v, want %v", err, order.ErrUnavailable)
	}
}
