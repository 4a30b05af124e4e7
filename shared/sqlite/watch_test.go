package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"orders/shared/order"
)

// stops waits until the store has stopped by itself.
func stops(t *testing.T, store *Store) {
	t.Helper()
	select {
	case <-store.Done():
	case <-time.After(10 * time.Second):
		t.Error("the store goes on")
	}
	if err := store.Close(); err == nil || !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Close: %v, which does not say why the store has stopped", err)
	}
}

// refuses fails the test unless the store acknowledges no order.
func refuses(t *testing.T, store *Store) {
	t.Helper()
	if _, _, err := store.Create(t.Context(), completed); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Create: %v, not %v", err, order.ErrUnavailable)
	}
}

// stopsOverwritten fails the test unless a store stops whose file of that suffix is overwritten.
func stopsOverwritten(t *testing.T, suffix string, content func(t *testing.T, path string) []byte) {
	for _, idle := range []bool{false, true} {
		t.Run(fmt.Sprint("idle: ", idle), func(t *testing.T) {
			path := newPath(t)
			store := openStore(t, path, time.Hour)
			makeOrder(t, store, completed)
			overwrite(t, path+suffix, content(t, path))
			if !idle {
				refuses(t, store)
			}
			stops(t, store)
		})
	}
}

// F23, I3, I9: a commit of another program makes the last seq, the tally and the queue in memory
// wrong.
func TestACommitOfAnotherProgramStopsTheStore(t *testing.T) {
	path := newPath(t)
	store := openStore(t, path, time.Hour)
	makeOrder(t, store, completed)
	runSQL(t, connect(t, path), "UPDATE tally SET completed = completed + 1")
	refuses(t, store)
	stops(t, store)
}

// A program that reads the file, or writes the log into it as programs do that copy it
// continuously, changes nothing that the store has in memory.
func TestReadersAndCheckpointsOfOthersDoNotStopTheStore(t *testing.T) {
	path := newPath(t)
	store := openStore(t, path, time.Hour)
	other := connect(t, path)
	for i, query := range []string{
		"SELECT count(*) FROM orders", "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(FULL)",
		"PRAGMA wal_checkpoint(RESTART)", "PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		draft := order.Draft{Key: order.KeyedID("", fmt.Sprint(i)), InitialStatus: order.Completed}
		for range 2 { // the first time the store writes, the second time it reads
			runSQL(t, other, query)
			if _, _, err := store.Create(t.Context(), draft); err != nil {
				t.Fatalf("a create after %s: %v", query, err)
			}
		}
	}
	closeStore(t, store)
}

// F23, I1: also while there is no request and nothing to commit.
func TestAnIdleStoreStopsWhenAFileIsNotInItsPlace(t *testing.T) {
	for name, move := range map[string]func(path string) error{
		"the file":            func(path string) error { return os.Rename(path, path+".moved") },
		"the log":             func(path string) error { return os.Remove(path + "-wal") },
		"the log's index":     func(path string) error { return os.Remove(path + "-shm") },
		"the lock":            func(path string) error { return os.Remove(path + ".lock") },
		"a second name of it": func(path string) error { return os.Link(path, path+".link") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			store := openStore(t, path, time.Hour)
			if err := move(path); err != nil {
				t.Fatal(err)
			}
			stops(t, store)
		})
	}
}

// F23, I1: no order is acknowledged after a file was deleted, not even the first.
func TestNothingIsAcknowledgedAfterAFileWasDeleted(t *testing.T) {
	for range 20 {
		path := newPath(t)
		store := openStore(t, path, time.Hour)
		makeOrder(t, store, completed)
		remove(t, path+"-shm")
		refuses(t, store)
		stops(t, store)
	}
}

// F23, I1: a file that was overwritten is still the same file, so only its content shows it. No
// order is acknowledged afterwards, not even the first.
func TestAFileThatIsOverwrittenStopsTheStore(t *testing.T) {
	for name, with := range map[string]func(t *testing.T, path string) []byte{
		"a backup":                   func(t *testing.T, path string) []byte { return read(t, backedUp(t, path)) },
		"a copy of another database": func(t *testing.T, _ string) []byte { return read(t, fileToCheck(t)) },
		"nothing":                    func(*testing.T, string) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) { stopsOverwritten(t, "", with) })
	}
}

// F23, I9: also before the first commit of the store.
func TestACommitBeforeTheStoresFirstStopsTheStore(t *testing.T) {
	path := fileToCheck(t)
	store := openStore(t, path, time.Hour)
	waitForCount(t, store, order.Processing, 2)
	runSQL(t, connect(t, path), "DELETE FROM orders WHERE status = 2")
	refuses(t, store)
	stops(t, store)
}

// F23, I1: a log that was overwritten is still the same file, and SQLite continues to append to it.
func TestALogThatIsOverwrittenStopsTheStore(t *testing.T) {
	for name, content := range map[string][]byte{"empty": nil, "of another file": make([]byte, 1<<20)} {
		t.Run(name, func(t *testing.T) {
			stopsOverwritten(t, "-wal", func(*testing.T, string) []byte { return content })
		})
	}
}

// F23, I1: the folder is moved, and a file is put in its place.
func TestAReplacedFolderStopsTheStore(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	store := openStore(t, filepath.Join(folder, "orders.db"), time.Hour)
	if err := errors.Join(os.Rename(folder, folder+".bak"), os.WriteFile(folder, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	stops(t, store)
}

// F23, I9: a commit of another program is detected also after a transaction of the store has
// failed, for example while an operator makes room on a full disk.
func TestACommitOfAnotherProgramIsDetectedAfterAFailedOne(t *testing.T) {
	now := epoch
	path := newPath(t)
	s, w := openByHand(t, path, &now)
	if err := sized(w, now, 1); err != nil {
		t.Fatal(err)
	}
	leaveRoom(t, w.conn, 0)
	if sized(w, now, 1, 60_000) == nil {
		t.Fatal("a full disk took an order")
	}
	runScript(t, path, "DELETE FROM orders")
	leaveRoom(t, w.conn, 1_000)
	if err := sized(w, now, 1); err == nil || s.Err() == nil {
		t.Errorf("a create behind the commit of another program: %v; the store has stopped for %v", err, s.Err())
	}
	_ = s.release()
}
