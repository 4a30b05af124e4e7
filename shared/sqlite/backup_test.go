package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"orders/shared/order"
)

// I1.
func TestABackupIsOneFileThatOnlyItsOwnerCanRead(t *testing.T) {
	path := fileToCheck(t)
	before := read(t, path)
	dest := filepath.Join(t.TempDir(), "backup.db")
	report, err := Backup(t.Context(), path, dest, time.Now)
	if err != nil || report.Tally.Total() != 5 || report.Keys != 1 {
		t.Fatalf("got %+v, %v; want 5 orders and 1 key", report, err)
	}
	if got := names(t, dest); got != "backup.db" {
		t.Errorf("the folder has %s, not the backup alone", got)
	}
	if info, err := os.Stat(dest); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v (%v), not 0600", info.Mode(), err)
	}
	// SQLite's header says at offset 18 that there is no log.
	if header := read(t, dest)[18:20]; !bytes.Equal(header, []byte{1, 1}) {
		t.Errorf("the header has %v where a file without a log has 1 1", header)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("the database was changed")
	}
	hold(t, dest, 5)
}

// F22, I1.
func TestABackupHasTheLogOfAKilledProcess(t *testing.T) {
	path := makeCrashed(t, 0, 3)
	file, log := read(t, path), read(t, path+"-wal")
	hold(t, backedUp(t, path), 3)
	if !bytes.Equal(file, read(t, path)) || !bytes.Equal(log, read(t, path+"-wal")) {
		t.Error("the database or its log was changed")
	}
}

// F22, I1, I9: a backup is the state of one moment, and it ends, whatever is committed meanwhile.
// SQLite's online backup alone starts again with every commit of another process.
func TestBackupsUnderLoadEndAndHoldEveryOrderAcknowledgedBefore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	path, dest := newPath(t), filepath.Join(t.TempDir(), "backup.db")
	store := openStore(t, path, time.Hour/4)
	defer closeStore(t, store)
	const enough = 3000 // for a copy in several steps
	load := newLoad(t, store)
	defer load.end()
	for load.count() < enough {
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		before := load.count()
		report, err := Backup(ctx, path, dest, time.Now)
		if err != nil {
			t.Fatalf("%v %q", err, report.Findings)
		}
		hold(t, dest, report.Tally.Total())
		if n := report.Tally.Total(); n < before {
			t.Errorf("%d orders, and %d were acknowledged before", n, before)
		}
	}
	acknowledged := load.end()
	restored := openStore(t, backedUp(t, path), time.Hour/4)
	defer closeStore(t, restored)
	for _, id := range acknowledged {
		if _, err := restored.Get(t.Context(), id); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
}

// A createLoad creates orders from many goroutines.
type createLoad struct {
	mu    sync.Mutex
	ids   []order.ID // acknowledged
	stop  context.CancelFunc
	group sync.WaitGroup
}

func newLoad(t *testing.T, store *Store) *createLoad {
	ctx, cancel := context.WithCancel(t.Context())
	l := &createLoad{stop: cancel}
	large := order.Details{UserID: "645", ItemIDs: make([]string, order.MaxItems)}
	for i := range large.ItemIDs {
		large.ItemIDs[i] = "0123456789"
	}
	for range 100 {
		l.group.Go(func() {
			for ctx.Err() == nil {
				o, _, err := store.Create(t.Context(), order.Draft{Details: large})
				if err != nil {
					t.Error(err)
					return
				}
				l.mu.Lock()
				l.ids = append(l.ids, o.ID)
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *createLoad) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.ids))
}

func (l *createLoad) end() []order.ID {
	l.stop()
	l.group.Wait()
	return l.ids
}

// I1.
func TestABackupReplacesTheLastOneOnlyWithoutFindings(t *testing.T) {
	path, dest := fileToCheck(t), filepath.Join(t.TempDir(), "backup.db")
	last := read(t, path)
	overwrite(t, dest, last)
	runScript(t, path, "UPDATE tally SET pending = 1")
	report, err := Backup(t.Context(), path, dest, time.Now)
	if !errors.Is(err, ErrFindings) || len(report.Findings) != 1 {
		t.Errorf("got %+v, %v; want %v and one finding", report, err, ErrFindings)
	}
	if got := read(t, dest); !bytes.Equal(got, last) || names(t, dest) != "backup.db" {
		t.Errorf("the folder has %s, the file %d bytes", names(t, dest), len(got))
	}
	runScript(t, path, "UPDATE tally SET pending = 0")
	overwrite(t, dest+".partial-1", []byte("what a killed backup has left"))
	if _, err := Backup(t.Context(), path, dest, time.Now); err != nil {
		t.Fatal(err)
	}
	hold(t, dest, 5)
	if got := names(t, dest); got != "backup.db" {
		t.Errorf("the folder has %s", got)
	}
}

func TestABackupThatIsStoppedLeavesNothing(t *testing.T) {
	path, dest := fileToCheck(t), filepath.Join(t.TempDir(), "backup.db")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Backup(ctx, path, dest, time.Now); err == nil || !strings.HasPrefix(err.Error(), path+": interrupted ") {
		t.Errorf("error %v, though the context had ended", err)
	}
	if _, err := Check(ctx, path); err == nil || !strings.HasPrefix(err.Error(), path+": interrupted ") {
		t.Errorf("check: error %v, though the context had ended", err)
	}
	if got := names(t, dest); got != "" {
		t.Errorf("left %s", got)
	}
}

// I1: a backup never replaces a database.
func TestABackupIsRefusedWhereItWouldHarm(t *testing.T) {
	tests := []struct {
		name string
		dest func(t *testing.T, path string) string
		want string
	}{
		{"the database", func(_ *testing.T, path string) string { return path }, "is the database itself"},
		{"a link to the database", symlink, "is the database itself"},
		{"a second name of the database", func(t *testing.T, path string) string {
			link := filepath.Join(filepath.Dir(path), "second.db")
			if err := os.Link(path, link); err != nil {
				t.Fatal(err)
			}
			return link
		}, "is the database itself"},
		{"its log", func(_ *testing.T, path string) string { return path + "-wal" }, "is no name for a backup"},
		{"its lock", func(_ *testing.T, path string) string { return path + ".lock" }, "is no name for a backup"},
		{"a folder", func(t *testing.T, _ string) string { return t.TempDir() }, "is not a file"},
		{"in a folder that is not there", func(t *testing.T, _ string) string {
			return filepath.Join(t.TempDir(), "missing", "backup.db")
		}, "no such file or directory"},
		{"a database that is served", func(t *testing.T, _ string) string {
			other := fileToCheck(t)
			serve(t, other)
			return other
		}, "is a database that was served and not a backup"},
		{"a file that another process owns", func(t *testing.T, _ string) string {
			other := newPath(t)
			lock := flock.New(other + ".lock")
			if locked, err := lock.TryLock(); err != nil || !locked {
				t.Fatal(locked, err)
			}
			t.Cleanup(func() { _ = lock.Unlock() })
			return other
		}, ErrInUse.Error()},
		{"a database that was served and stopped", func(t *testing.T, _ string) string { return makeOrders(t, 0) }, "is a database that was served and not a backup"},
		{"a link to its log", func(t *testing.T, path string) string {
			overwrite(t, path+"-wal", nil)
			return symlink(t, path+"-wal")
		}, "is no name for a backup"},
		{"a link to a file that is not there", func(t *testing.T, _ string) string {
			return symlink(t, filepath.Join(t.TempDir(), "unmounted", "backup.db"))
		}, "is a link to a file that is not there"},
		{"a database with orders in its log", func(t *testing.T, _ string) string { return makeCrashed(t, 0, 1) }, "is a database that was served and not a backup"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := fileToCheck(t)
			dest := test.dest(t, path)
			before, _ := os.ReadFile(dest)
			_, err := Backup(t.Context(), path, dest, time.Now)
			if err == nil || !strings.HasPrefix(err.Error(), dest+": ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v; want %s and %q", err, dest, test.want)
			}
			if after, _ := os.ReadFile(dest); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// F23, I1: a service may create the file after the backup began.
func TestABackupDoesNotReplaceADatabaseThatAServiceHasMadeMeanwhile(t *testing.T) {
	path, dest := fileToCheck(t), newPath(t)
	var once sync.Once
	duringTheCopy := func() time.Time {
		once.Do(func() {
			store := openStore(t, dest, time.Hour/4)
			makeOrder(t, store, order.Draft{})
			closeStore(t, store)
		})
		return time.Now()
	}
	_, err := Backup(t.Context(), path, dest, duringTheCopy)
	if err == nil || !strings.HasPrefix(err.Error(), dest+": was made by another program") {
		t.Errorf("error %v", err)
	}
	if got := names(t, dest); got != "orders.db orders.db.lock" {
		t.Errorf("the folder has %s", got)
	}
	hold(t, dest, 1)
}

// A backup removes only files that a killed backup has left.
func TestABackupRemovesNoFilesOfOthers(t *testing.T) {
	path, dest := fileToCheck(t), filepath.Join(t.TempDir(), "backup.db")
	overwrite(t, dest+".partial-notes", []byte("Dear Anna"))
	overwrite(t, dest+".partial-7", nil)
	overwrite(t, dest+".partial-7-journal", nil)
	if err := os.Mkdir(dest+".partial-8", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), path, dest, time.Now); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dest), "backup.db backup.db.partial-8 backup.db.partial-notes"; got != want {
		t.Errorf("the folder has %s, not %s", got, want)
	}
}

func TestBackupRefusesFilesWithoutOrders(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"a file that is not there", func(*testing.T, string) {}, "no such file or directory"},
		{"an empty file", func(t *testing.T, path string) { overwrite(t, path, nil) }, "serve the file once"},
		{"noise", func(t *testing.T, path string) { overwrite(t, path, noise()) }, ErrDamaged.Error()},
		{"a file of a newer release", func(t *testing.T, path string) {
			overwrite(t, path, read(t, fileToCheck(t)))
			runScript(t, path, "PRAGMA user_version = 99")
		}, ErrNewer.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path, dest := newPath(t), filepath.Join(t.TempDir(), "backup.db")
			test.make(t, path)
			_, err := Backup(t.Context(), path, dest, time.Now)
			if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v; want %s and %q", err, path, test.want)
			}
			if got := names(t, dest); got != "" {
				t.Errorf("left %s", got)
			}
		})
	}
}

// A mistyped name must not cost a file that has nothing to do with orders.
func TestABackupReplacesOnlyADatabaseOfOrders(t *testing.T) {
	path, dest := fileToCheck(t), filepath.Join(t.TempDir(), "notes.txt")
	for _, content := range []string{"Dear Anna", strings.Repeat("Dear Anna, ", 100)} {
		overwrite(t, dest, []byte(content))
		if _, err := Backup(t.Context(), path, dest, time.Now); err == nil || string(read(t, dest)) != content {
			t.Errorf("error %v, and %d bytes are there", err, len(read(t, dest)))
		}
	}
	overwrite(t, dest, nil)
	if _, err := Backup(t.Context(), path, dest, time.Now); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

// I1: two backups to the same new file run at the same time.
func TestABackupDoesNotRemoveWhatAnotherOneIsMaking(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "backup.db")
	first, err := newPartialCopy(destination{dest, true}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), makeOrders(t, 1), dest, time.Now); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.path); err != nil && locksFiles {
		t.Error(err)
	}
	if err := first.discard(); err != nil {
		t.Fatal(err)
	}
	hold(t, dest, 1)
}
