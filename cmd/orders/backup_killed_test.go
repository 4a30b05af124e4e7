package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"orders/shared/sqlite"
)

// kills is how often each of the tests below kills its process.
var kills = flag.Int("kills", 10, "how often to kill a backup, and a restore")

// largeFile makes a database that takes several steps to copy, 2 MB, in a folder of its own.
func largeFile(t *testing.T) (db string) {
	t.Helper()
	db = goodFile(t)
	runSQL(t, db, `
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
		INSERT INTO dead_letters (dead_lettered_at, body, reason) SELECT i, randomblob(1000), 'nonsense' FROM n`)
	return db
}

// F22, I1: a backup that is killed at any moment leaves the last backup or a new one that is whole, and
// the service does not notice.
func TestKilledBackupsLeaveTheLastOneOrTheNewOne(t *testing.T) {
	db := largeFile(t)
	dest := filepath.Join(t.TempDir(), "backup.db")
	s := startOn(t, program(t, "serve", "--addr", "127.0.0.1:0", "--db", db))
	backup := func() *exec.Cmd { return program(t, "backup", dest, "--db", db) }
	longest := timed(t, backup())
	last, made := ordersIn(t, dest), 0
	for n := range *kills {
		mustCreate(t, s, "order-"+strconv.Itoa(n))
		killWithin(t, backup(), longest)
		switch got, now := ordersIn(t, dest), s.metrics(t).TotalOrders; got {
		case last:
		case now:
			last, made = now, made+1
		default:
			t.Errorf("the backup has %d orders, neither the %d of the last one nor the %d that there are", got, last, now)
		}
	}
	t.Logf("%d of %d backups were made before the kill", made, *kills)
	timed(t, backup())
	if left := partialFiles(t, dest); len(left) > 0 {
		t.Errorf("a backup has not removed what the killed ones have left: %q", left)
	}
	s.end(t)
}

// F22, I1: a restore that is killed at any moment leaves the old file with all its orders, those in the log
// of a crash included, or the new one.
func TestKilledRestoresLeaveTheOldFileOrTheNewOne(t *testing.T) {
	source := largeFile(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	timed(t, program(t, "backup", backup, "--db", source))
	old := crashedFile(t, source)
	attempt := func() (db string, cmd *exec.Cmd) {
		db = filepath.Join(t.TempDir(), "orders.db")
		for _, suffix := range []string{"", "-wal", ".lock"} {
			rewriteTo(t, old+suffix, db+suffix, 0o600)
		}
		return db, program(t, "restore", backup, "--db", db)
	}
	db, cmd := attempt()
	longest := timed(t, cmd)
	if n := ordersIn(t, db); n != 1 {
		t.Fatalf("%d orders are restored, not 1", n)
	}
	restored := 0
	for range *kills {
		db, cmd := attempt()
		killWithin(t, cmd, longest)
		switch got := ordersIn(t, db); got {
		case 1:
			restored++
		case 6:
		default:
			t.Errorf("there are %d orders, neither the 6 of the old file nor the one of the new", got)
		}
		timed(t, program(t, "restore", backup, "--db", db))
		if left := partialFiles(t, db); len(left) > 0 {
			t.Errorf("a restore has not removed what the killed one has left: %q", left)
		}
	}
	t.Logf("%d of %d restores were done before the kill", restored, *kills)
}

// crashedFile is a copy of a database with five more orders, which are in its log alone, as a
// crash leaves them.
func crashedFile(t *testing.T, db string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "orders.db")
	rewriteTo(t, db, path, 0o600)
	s := startOn(t, program(t, "serve", "--addr", "127.0.0.1:0", "--db", path))
	for n := range 5 {
		mustCreate(t, s, fmt.Sprint("order-", n))
	}
	s.client.CloseIdleConnections()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	return path
}

// timed runs a command and returns how long that took.
func timed(t *testing.T, cmd *exec.Cmd) time.Duration {
	t.Helper()
	began := time.Now()
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("orders %q: %v: %s", cmd.Args[1:], err, output)
	}
	return time.Since(began)
}

// killWithin kills a command at a random moment of its life.
func killWithin(t *testing.T, cmd *exec.Cmd, longest time.Duration) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(rand.N(longest))
	_ = cmd.Process.Kill() // unless it was done
	_ = cmd.Wait()
}

// ordersIn is how many orders are in a database, which is to fit together.
func ordersIn(t *testing.T, db string) int {
	t.Helper()
	report, err := sqlite.Check(t.Context(), db)
	if err != nil || len(report.Findings) > 0 {
		entries, _ := os.ReadDir(filepath.Dir(db))
		t.Fatalf("%v %q, in a folder with %v", err, report.Findings, entries)
	}
	return int(report.Tally.Total())
}
