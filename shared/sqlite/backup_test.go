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

// F22, F23, I1: the backup has the orders in the log, of a killed process or of a service that goes
// on, and neither the database nor its log is changed.
func TestABackupHasTheLogAndLeavesItAlone(t *testing.T) {
	killed, served := makeCrashed(t, 0, 3), newPath(t)
	store := openStore(t, served, time.Hour)
	defer closeStore(t, store)
	for range 3 {
		makeOrder(t, store, completed)
	}
	for _, path := range []string{killed, served} {
		before := contents(t, path, "", "-wal")
		hold(t, backedUp(t, path), 3)
		if contents(t, path, "", "-wal") != before {
			t.Errorf("%s or its log was changed", path)
		}
	}
	makeOrder(t, store, completed)
}

// F22, I1, I9: a backup is the state of one moment, and it ends, though an order is committed between
// any two of its steps. SQLite's online backup alone starts again with every commit of another
// process.
func TestABackupUnderLoadEndsAndHasEveryOrderAcknowledgedBefore(t *testing.T) {
	path, dest := fileToCheck(t), filepath.Join(t.TempDir(), "backup.db")
	runScript(t, path, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
		INSERT INTO dead_letters (dead_lettered_at, body, reason) SELECT i, randomblob(1000), '' FROM n`)
	store := openStore(t, path, time.Hour)
	defer closeStore(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	created := int64(0)
	report, err := Backup(ctx, path, dest, func() time.Time {
		makeOrder(t, store, completed)
		if created++; created == 1_000 {
			cancel() // a file of 2 MB takes about 10 steps
		}
		return time.Now()
	})
	if err != nil || created < 10 || report.Tally.Total() != 5 {
		t.Errorf("got %+v, %v with %d orders created meanwhile; want the 5 of before", report, err, created)
	}
	hold(t, dest, 5)
	hold(t, backedUp(t, path), 5+created)
}

// I1: the last backup is replaced by one without findings only. A backup removes files that a killed
// backup has left, and no others.
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
	for _, suffix := range []string{".partial-7", ".partial-7-journal", ".partial-notes"} {
		overwrite(t, dest+suffix, []byte("Dear Anna"))
	}
	if err := os.Mkdir(dest+".partial-8", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), path, dest, time.Now); err != nil {
		t.Fatal(err)
	}
	hold(t, dest, 5)
	if got, want := names(t, dest), "backup.db backup.db.partial-8 backup.db.partial-notes"; got != want {
		t.Errorf("the folder has %s, not %s", got, want)
	}
}

// I1: a backup never replaces a database, nor a file that has nothing to do with orders.
func TestABackupIsRefusedWhereItWouldHarm(t *testing.T) {
	const name, served = "is no name for a backup", "is a database that was served and not a backup"
	for _, test := range []struct {
		name string
		dest func(t *testing.T, path string) string
		want string
	}{
		{"the database", func(_ *testing.T, path string) string { return path }, "is the database itself"},
		{"a link to the database", symlink, "is the database itself"},
		{"a second name of the database", hardLink, "is the database itself"},
		{"its log", func(_ *testing.T, path string) string { return path + "-wal" }, name},
		{"its lock", func(_ *testing.T, path string) string { return path + ".lock" }, name},
		{"a link to its log", func(t *testing.T, path string) string {
			overwrite(t, path+"-wal", nil)
			return symlink(t, path+"-wal")
		}, name},
		{"a folder", func(t *testing.T, _ string) string { return t.TempDir() }, "is not a file"},
		{"in a folder that is not there", func(*testing.T, string) string { return "missing/backup.db" }, "no such file or directory"},
		{"a link to a file that is not there", func(t *testing.T, path string) string { return symlink(t, path+".unmounted") }, "is a link to a file that is not there"},
		{"a database that is served", func(t *testing.T, _ string) string {
			other := newPath(t)
			serve(t, other)
			return other
		}, served},
		{"a database that was served and stopped", func(t *testing.T, _ string) string { return makeOrders(t, 0) }, served},
		{"a database with orders in its log", func(t *testing.T, _ string) string { return withoutLock(t, makeCrashed(t, 0, 1)) }, served},
		{"a file that another process owns", func(t *testing.T, path string) string {
			other := &owner{file: path + ".other"}
			if err := other.lock(other.file+lockSuffix, os.O_CREATE|os.O_RDONLY); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = other.release() })
			return other.file
		}, ErrInUse.Error()},
		{"a short text", func(t *testing.T, path string) string {
			overwrite(t, path+".txt", []byte("Dear Anna"))
			return path + ".txt"
		}, "is no backup of orders"},
		{"noise", func(t *testing.T, path string) string { overwrite(t, path+".jpg", noise()); return path + ".jpg" }, "is no backup of orders"},
	} {
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
