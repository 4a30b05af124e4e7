package sqlite_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// leftBehind is what a process that was killed has left of a file with one order in the
// database and one in the log: a copy, in a folder of its own.
func leftBehind(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "orders.db")
	original := filepath.Join(t.TempDir(), "orders.db")
	for range 2 {
		store := openStore(t, original, time.Hour/4)
		makeOrder(t, store, order.Draft{InitialStatus: order.Completed})
		for _, suffix := range []string{"", "-wal", ".lock"} {
			overwrite(t, path+suffix, read(t, original+suffix))
		}
		closeStore(t, store)
	}
	return path
}

// F23, I1, I3: SQLite would mix the log with the database, without a word: orders of both
// would be lost.
func TestALogOfAnotherFileIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"a copy of an earlier life": func(t *testing.T, path string) {
			earlier := filepath.Join(t.TempDir(), "orders.db")
			overwrite(t, earlier, read(t, path))
			closeStore(t, openStore(t, earlier, time.Hour))
			overwrite(t, path, read(t, earlier))
		},
		"a backup, made by VACUUM INTO, and no lock": func(t *testing.T, path string) {
			backup := filepath.Join(t.TempDir(), "backup.db")
			run(t, connect(t, fileToCheck(t)), "VACUUM INTO '"+backup+"'")
			overwrite(t, withoutLock(t, path), read(t, backup))
		},
		"a file that has gone": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := leftBehind(t)
			spoil(t, path)
			log := read(t, path+"-wal")
			if err := tryOpen(t, path); !errors.Is(err, sqlite.ErrForeignLog) {
				t.Errorf("Open: error %v, not %v", err, sqlite.ErrForeignLog)
			}
			if _, err := sqlite.Check(t.Context(), path); !errors.Is(err, sqlite.ErrForeignLog) {
				t.Errorf("Check: error %v, not %v", err, sqlite.ErrForeignLog)
			}
			if !bytes.Equal(log, read(t, path+"-wal")) {
				t.Error("the log was changed")
			}
		})
	}
}

// F22, I1: the file's own log is taken, whenever its process was killed and
// wherever the two were moved.
func TestAFilesOwnLogIsTaken(t *testing.T) {
	for name, move := range map[string]func(t *testing.T, path string){
		"where it was":            func(*testing.T, string) {},
		"moved without its lock":  func(t *testing.T, path string) { withoutLock(t, path) },
		"moved beside a new lock": func(t *testing.T, path string) { overwrite(t, path+".lock", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			path := leftBehind(t)
			move(t, path)
			if report, err := sqlite.Check(t.Context(), path); err != nil || report.Tally.Total() != 2 || len(report.Findings) != 0 {
				t.Errorf("Check: %+v, %v", report, err)
			}
			store := openStore(t, path, time.Hour)
			waitForCount(t, store, order.Completed, 2)
			closeStore(t, store)
		})
	}
}

// connect opens a file as another program may, for the time of the test.
func connect(t *testing.T, path string) *zombiezen.Conn {
	t.Helper()
	conn, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func run(t *testing.T, conn *zombiezen.Conn, query string) {
	t.Helper()
	if err := sqlitex.ExecuteTransient(conn, query, nil); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// F22: somebody may read the file while a service starts, so that the generation comes into the file
// only later.
func TestTheGenerationIsKnownWhileItIsRenewed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	closeStore(t, openStore(t, path, time.Hour))
	reader := connect(t, path)
	run(t, reader, "BEGIN")
	run(t, reader, "SELECT count(*) FROM orders")
	store := openStore(t, path, time.Hour)
	run(t, reader, "ROLLBACK")
	makeOrder(t, store, order.Draft{InitialStatus: order.Completed})
	run(t, reader, "PRAGMA wal_checkpoint(PASSIVE)")
	makeOrder(t, store, order.Draft{InitialStatus: order.Completed})
	copied := filepath.Join(t.TempDir(), "orders.db")
	for _, suffix := range []string{"", "-wal", ".lock"} {
		overwrite(t, copied+suffix, read(t, path+suffix))
	}
	closeStore(t, store)

	store = openStore(t, copied, time.Hour)
	waitForCount(t, store, order.Completed, 2)
	closeStore(t, store)
}

// F23: a file whose log was deleted after a crash cannot be told from one that another program has
// closed in good order: it is served, and the log of the service says so.
func TestALogThatIsGoneIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(path string) error
		told  bool
	}{
		"deleted after a crash": {func(path string) error { return os.Remove(path + "-wal") }, true},
		"there after a crash":   {func(string) error { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := leftBehind(t)
			if err := test.spoil(path); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			for i, told := range []bool{test.told, false} { // the second time after it was closed
				log.Reset()
				cfg := storeConfig(path, time.Hour)
				cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
				store, err := sqlite.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				closeStore(t, store)
				if got := strings.Contains(log.String(), "its log is gone"); got != told {
					t.Errorf("start %d: log %q", i+1, &log)
				}
			}
		})
	}
}

// F23: a database that is missing while its log is there was moved, not given up.
func TestALogWithoutItsFileIsLeftAlone(t *testing.T) {
	path := leftBehind(t)
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tryOpen(t, path); !errors.Is(err, sqlite.ErrForeignLog) || !strings.Contains(err.Error(), "missing or empty") {
			t.Errorf("Open: %v", err)
		}
		if _, err := sqlite.Check(t.Context(), path); !errors.Is(err, sqlite.ErrForeignLog) {
			t.Errorf("Check: %v", err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file is in its place")
	}
	if err := os.Rename(path+".moved", path); err != nil {
		t.Fatal(err)
	}
	store := openStore(t, path, time.Hour)
	waitForCount(t, store, order.Completed, 2)
	closeStore(t, store)
}

// F22, F23, I1: a crash, or a full disk, may interrupt a checkpoint: what it has left of the file makes sense
// together with the log alone. Here each page but the last ones has been brought into the file.
func TestAnInterruptedCheckpointIsNoForeignLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	store := openStore(t, path, time.Hour/4)
	for range 200 {
		makeOrder(t, store, order.Draft{InitialStatus: order.Completed})
	}
	left := filepath.Join(t.TempDir(), "orders.db")
	for _, suffix := range []string{"", "-wal", ".lock"} {
		overwrite(t, left+suffix, read(t, path+suffix))
	}
	before := len(read(t, path))
	run(t, connect(t, path), "PRAGMA wal_checkpoint(PASSIVE)")
	after := read(t, path)
	closeStore(t, store)
	if len(after) <= before {
		t.Fatalf("the file has not grown: %d bytes, then %d", before, len(after))
	}
	overwrite(t, left, after[:before])

	if report, err := sqlite.Check(t.Context(), left); err != nil || report.Tally.Total() != 200 || len(report.Findings) != 0 {
		t.Errorf("Check: %+v, %v", report, err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if report, err := sqlite.Backup(t.Context(), left, backup, time.Now); err != nil || report.Tally.Total() != 200 {
		t.Errorf("Backup: %+v, %v", report, err)
	}
	store = openStore(t, left, time.Hour)
	waitForCount(t, store, order.Completed, 200)
	closeStore(t, store)
}

// F22, I1: a start may be killed while it writes the lock file. Nothing is known then, and the log is
// taken for the file's own.
func TestAHalfWrittenLockFileIsNoForeignLog(t *testing.T) {
	whole := read(t, leftBehind(t)+".lock")
	for size := range len(whole) {
		path := leftBehind(t)
		overwrite(t, path+".lock", whole[:size])
		if err := tryOpen(t, path); err != nil {
			t.Errorf("with %d of %d bytes: %v", size, len(whole), err)
		}
	}
}

// F22, I1: somebody who reads the file through two restarts keeps each from bringing the
// log, and with it the generation, into the file.
func TestAReaderThroughRestartsKeepsNoServiceFromStarting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	closeStore(t, openStore(t, path, time.Hour))
	reader := connect(t, path)
	run(t, reader, "BEGIN")
	run(t, reader, "SELECT count(*) FROM orders")
	for range 3 {
		store := openStore(t, path, time.Hour)
		makeOrder(t, store, order.Draft{InitialStatus: order.Completed})
		closeStore(t, store)
	}
	run(t, reader, "ROLLBACK")
	store := openStore(t, path, time.Hour)
	waitForCount(t, store, order.Completed, 3)
	closeStore(t, store)
}
