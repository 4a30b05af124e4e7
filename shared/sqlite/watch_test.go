package sqlite

import (
	"errors"
	"fmt"
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
	_, _, err := store.Create(t.Context(), completed)
	unavailable(t, "Create", err)
}

func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("%s: error %v, not %v", what, err, order.ErrUnavailable)
	}
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

// F23, I1, I3, I9: whatever another program does to the files, no order is acknowledged afterwards,
// not even the first, and the store stops, also while it is idle. A file that was overwritten is still
// the same file, so only its content shows it.
func TestTheStoreStopsWhenAnotherProgramChangesItsFiles(t *testing.T) {
	overwritten := func(suffix string, content func(t *testing.T, path string) []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { overwrite(t, path+suffix, content(t, path)) }
	}
	for name, do := range map[string]func(t *testing.T, path string){
		"the file is moved":           func(t *testing.T, path string) { rename(t, path, path+".moved") },
		"the file is deleted":         remove,
		"the file is replaced":        func(t *testing.T, path string) { rename(t, fileToCheck(t), path) },
		"the log is deleted":          func(t *testing.T, path string) { remove(t, path+"-wal") },
		"the log's index is deleted":  func(t *testing.T, path string) { remove(t, path+"-shm") },
		"the lock is deleted":         func(t *testing.T, path string) { remove(t, path+".lock") },
		"the file gets a second name": func(t *testing.T, path string) { hardLink(t, path) },
		"the folder is replaced": func(t *testing.T, path string) {
			rename(t, filepath.Dir(path), filepath.Dir(path)+".moved")
			overwrite(t, filepath.Dir(path), nil)
		},
		"a backup is written over it": overwritten("", func(t *testing.T, path string) []byte { return read(t, backedUp(t, path)) }),
		"a copy is written over it":   overwritten("", func(t *testing.T, _ string) []byte { return read(t, fileToCheck(t)) }),
		"the file is emptied":         overwritten("", func(*testing.T, string) []byte { return nil }),
		"the log is emptied":          overwritten("-wal", func(*testing.T, string) []byte { return nil }),
		"the log is overwritten":      overwritten("-wal", func(*testing.T, string) []byte { return make([]byte, 1<<20) }),
	} {
		for _, idle := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, idle %t", name, idle), func(t *testing.T) {
				t.Parallel()
				path := newPath(t)
				store := openStore(t, path, time.Hour)
				makeOrder(t, store, completed)
				do(t, path)
				if !idle {
					refuses(t, store)
				}
				stops(t, store)
			})
		}
	}
}

// F23, I3, I9: a commit of another program makes the last seq, the tally and the queue in memory
// wrong, also before the first commit of the store.
func TestACommitOfAnotherProgramStopsTheStore(t *testing.T) {
	for _, first := range []bool{false, true} {
		path := fileToCheck(t)
		store := openStore(t, path, time.Hour)
		waitForCount(t, store, order.Processing, 2)
		if !first {
			makeOrder(t, store, completed)
		}
		runSQL(t, connect(t, path), "DELETE FROM orders WHERE status = 2")
		refuses(t, store)
		stops(t, store)
	}
}

// F23, I9: a commit of another program is detected also after a transaction of the store has
// failed, for example while an operator makes room on a full disk.
func TestACommitOfAnotherProgramIsDetectedAfterAFailedOne(t *testing.T) {
	r := newRig(t)
	if err := r.sized(1); err != nil {
		t.Fatal(err)
	}
	leaveRoom(t, r.w.conn, 0)
	if r.sized(1, 60_000) == nil {
		t.Fatal("a full disk took an order")
	}
	runScript(t, r.path, "DELETE FROM orders")
	leaveRoom(t, r.w.conn, 1_000)
	if err := r.sized(1); err == nil || r.store.Err() == nil {
		t.Errorf("a create behind the commit of another program: %v; the store has stopped for %v", err, r.store.Err())
	}
}
