package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite/sqlitex"
)

// lockFor keeps everybody else from writing to the file until unlock is called, as a
// program does that looks into it and forgets to leave.
func lockFor(t *testing.T, db string) (unlock func()) {
	t.Helper()
	conn := connect(t, db)
	t.Cleanup(func() { _ = conn.Close() })
	do := func(statement string) {
		t.Helper()
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			t.Fatal(err)
		}
	}
	do("BEGIN IMMEDIATE")
	return func() { do("ROLLBACK") }
}

// F23, I1, I2, I4: while another process has locked the file, creates are refused and
// leave nothing, and reads go on; afterwards all is as before, in the same process.
func TestFileThatIsLockedForAWhileIsServedOn(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "orders.db")
	s := startOn(t, program(t, "serve", "--addr", "127.0.0.1:0", "--db", db, "--processing-time", "2s"))
	l := &ledger{service: s, prefix: "locked-"}
	if _, err := l.create(); err != nil {
		t.Fatal(err)
	}
	unlock := lockFor(t, db)
	l.createUntilRefused()
	if len(l.ids) != 1 {
		t.Errorf("%d orders are taken, want the first alone", len(l.ids))
	}
	l.checkReadable(t)
	if m := s.metrics(t); m.TotalOrders != 1 || m.StatusCounts.Completed != 0 {
		t.Errorf("metrics %+v, want 1 order that is not Completed", m)
	}
	unlock()
	l.createRefusedOne(t)
	s.awaitCompleted(t, 2)
	s.end(t)
	checkFile(t, program(t, "check", "--db", db), 2)
}

// F23: a lock that ends soon delays an order, no more; meanwhile others are served.
func TestFileThatIsLockedForAMomentCostsNoOrder(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "orders.db")
	s := startOn(t, program(t, "serve", "--addr", "127.0.0.1:0", "--db", db))
	unlock := lockFor(t, db)
	half := sendHalf(t, s.url)
	fmt.Fprint(half.conn, goodOrder)
	for range 20 {
		s.metrics(t)
	}
	unlock()
	if status := half.status(t); status != http.StatusCreated {
		t.Errorf("status %d, want 201", status)
	}
	s.end(t)
}
