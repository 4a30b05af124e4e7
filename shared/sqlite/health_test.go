package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// F23: a store whose commits fail says that it takes no orders, for as long as it takes none, and
// finds out by itself when it does again: nobody sends it any meanwhile.
func TestAStoreThatTakesNoOrdersSaysSo(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, w := openByHand(t, filepath.Join(t.TempDir(), "orders.db"), &now)
	create := func(items int) error {
		c := &creation{draft: order.Draft{InitialStatus: order.Completed}, itemIDs: fmt.Appendf(nil, "[%*d]", items, 1)}
		w.commit(&group{creations: []*creation{c}, done: make(chan struct{})}, nil, 0, now)
		return c.err
	}
	limit := func(more int64) {
		t.Helper()
		pages, err := queryInt(w.conn, "PRAGMA page_count")
		if err := errors.Join(err, pragma(w.conn, fmt.Sprintf("max_page_count = %d", pages+more))); err != nil {
			t.Fatal(err)
		}
	}
	healthy := func(want bool, when string) {
		t.Helper()
		if err := s.Ping(t.Context()); (err == nil) != want || err != nil && !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%s: Ping: %v", when, err)
		}
	}
	healthy(true, "at first")
	limit(1)
	if create(60_000) == nil {
		t.Fatal("an order of 15 pages was taken by a disk that has room for one")
	}
	healthy(false, "after a create that failed")
	now = now.Add(probeInterval)
	w.probe(now)
	healthy(false, "while there is room for a small order, but for no large one")
	limit(1_000)
	w.probe(now)
	healthy(false, "within the same second, in which it does not try again")
	now = now.Add(time.Second)
	w.probe(now)
	healthy(true, "with room again")
	if err := create(60_000); err != nil {
		t.Error(err)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
}

// A commit that is under way for too long, as on a disk that stalls, is no better than
// one that has failed.
func TestACommitThatStallsCountsAsUnavailable(t *testing.T) {
	var h health
	began := time.UnixMilli(1_800_000_000_000)
	h.begin(began)
	if err := h.check(began.Add(maxCommit - 1)); err != nil {
		t.Error(err)
	}
	if err := h.check(began.Add(maxCommit)); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("error %v, not %v", err, order.ErrUnavailable)
	}
	h.end()
	if err := h.check(began.Add(time.Hour)); err != nil {
		t.Error(err)
	}
}

// A log that grew while somebody read the file for long does not keep its size.
func TestTheLogDoesNotKeepItsLargestSize(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	path := filepath.Join(t.TempDir(), "orders.db")
	s, w := openByHand(t, path, &now)
	create := func(n int) {
		t.Helper()
		g := newGroup(n)
		for range n {
			c := &creation{draft: order.Draft{InitialStatus: order.Completed}, itemIDs: fmt.Appendf(nil, "[%*d]", 9_000, 1)}
			g.creations = append(g.creations, c)
		}
		if w.commit(g, nil, 0, now); g.creations[0].err != nil {
			t.Fatal(g.creations[0].err)
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
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
}

// F23, I9: a commit of another program is seen also behind a transaction of the store's own that
// has failed, as when an operator makes room on a full disk.
func TestACommitOfAnotherProgramIsSeenBehindAFailedOne(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	path := filepath.Join(t.TempDir(), "orders.db")
	s, w := openByHand(t, path, &now)
	create := func(sizes ...int) error {
		g := newGroup(len(sizes))
		for _, size := range sizes {
			g.creations = append(g.creations, &creation{draft: order.Draft{InitialStatus: order.Completed}, itemIDs: fmt.Appendf(nil, "[%*d]", size, 1)})
		}
		w.commit(g, nil, 0, now)
		return g.creations[len(sizes)-1].err
	}
	if err := create(1); err != nil {
		t.Fatal(err)
	}
	pages, err := queryInt(w.conn, "PRAGMA page_count")
	if err := errors.Join(err, pragma(w.conn, fmt.Sprintf("max_page_count = %d", pages))); err != nil {
		t.Fatal(err)
	}
	if create(1, 60_000) == nil {
		t.Fatal("a full disk took an order")
	}
	other, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err == nil {
		err = errors.Join(sqlitex.ExecuteTransient(other, "DELETE FROM orders", nil), other.Close())
	}
	if err := errors.Join(err, pragma(w.conn, "max_page_count = 1000")); err != nil {
		t.Fatal(err)
	}
	if err := create(1); err == nil || s.reason() == nil {
		t.Errorf("a create behind the commit of another program: %v; the store has stopped for %v", err, s.reason())
	}
	_ = s.release()
}
