package sqlite

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// makeOrders makes a database with so many orders, in a folder of its own.
func makeOrders(t *testing.T, orders int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "orders.db")
	addOrders(t, path, orders)
	return path
}

func addOrders(t *testing.T, path string, orders int) {
	t.Helper()
	store := openToAdd(t, path)
	for range orders {
		addOrder(t, store)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func openToAdd(t *testing.T, path string) *Store {
	t.Helper()
	store, err := Open(t.Context(), validConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func validConfig(path string) Config {
	return Config{
		Path: path, ProcessingTime: time.Hour, Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	}
}

// addOrder adds an order that nothing is to be done for.
func addOrder(t *testing.T, store *Store) {
	t.Helper()
	d := order.Draft{InitialStatus: order.Completed, Details: order.Details{UserID: "645", ItemIDs: []string{"1"}}}
	if _, _, err := store.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// makeCrashed makes a database as a killed process leaves it: of its five orders, one is in the
// file, and the others are in the log.
func makeCrashed(t *testing.T) (path string) {
	t.Helper()
	served := makeOrders(t, 1)
	path = filepath.Join(t.TempDir(), "orders.db")
	store := openToAdd(t, served)
	for range 4 {
		addOrder(t, store)
	}
	copyFiles(t, served, path)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// copyFiles copies a database with all that belongs to it, as it is.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-journal", lockSuffix} {
		content, err := os.ReadFile(from + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// hold fails the test unless the file fits together and has one of these numbers of orders.
func hold(t *testing.T, path string, numbers ...int64) {
	t.Helper()
	report, err := Check(t.Context(), path)
	if err != nil || len(report.Findings) > 0 {
		t.Errorf("check: %v %q", err, report.Findings)
		return
	}
	for _, n := range numbers {
		if report.Tally.Total() == n {
			return
		}
	}
	t.Errorf("%d orders, not one of %v", report.Tally.Total(), numbers)
}

func scribble(t *testing.T, path string) {
	t.Helper()
	noise := make([]byte, 8192)
	_, _ = rand.Read(noise)
	if err := os.WriteFile(path, noise, 0o600); err != nil {
		t.Fatal(err)
	}
}

func removeFiles(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// oldFiles are what a restore may find in its place.
var oldFiles = []struct {
	name string
	make func(t *testing.T) (path string)
}{
	{"a database", func(t *testing.T) string { return makeOrders(t, 5) }},
	{"a database with orders in its log", makeCrashed},
	{"a database in the middle of a change", makeInterrupted},
	{"nothing", func(t *testing.T) string { return filepath.Join(t.TempDir(), "orders.db") }},
	{"an empty file", func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "orders.db")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}},
	{"noise", func(t *testing.T) string {
		path := makeOrders(t, 1)
		scribble(t, path)
		return path
	}},
	{"noise with a log", func(t *testing.T) string {
		path := makeCrashed(t)
		scribble(t, path)
		return path
	}},
	{"a backup put back by hand beside a log", func(t *testing.T) string {
		path := makeCrashed(t)
		content, err := os.ReadFile(backedUp(t, 1))
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}},
	{"a log without its file", func(t *testing.T) string {
		path := makeCrashed(t)
		removeFiles(t, path)
		return path
	}},
	{"a log and a journal without their file", func(t *testing.T) string {
		path := makeInterrupted(t)
		log, err := os.ReadFile(makeCrashed(t) + "-wal")
		if err == nil {
			err = os.WriteFile(path+"-wal", log, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		removeFiles(t, path)
		return path
	}},
	{"a journal without its file", func(t *testing.T) string {
		path := makeInterrupted(t)
		removeFiles(t, path)
		return path
	}},
}

// makeInterrupted makes a database of five orders without a log, as a process leaves it that
// is killed while it changes the file in place: with a journal that undoes the change.
func makeInterrupted(t *testing.T) (path string) {
	t.Helper()
	changing := makeOrders(t, 5)
	path = filepath.Join(t.TempDir(), "orders.db")
	conn, err := sqlite.OpenConn(changing, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range []string{
		"PRAGMA journal_mode = DELETE", "PRAGMA cache_size = 1", "PRAGMA cache_spill = 1", "BEGIN IMMEDIATE",
		"CREATE TABLE filler (content BLOB)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO filler SELECT randomblob(4000) FROM n",
		"DELETE FROM orders", "UPDATE tally SET completed = 7",
	} {
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	copyFiles(t, changing, path)
	if err := sqlitex.ExecuteTransient(conn, "ROLLBACK", nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// F22, F23, I1, I9: whatever is in its place, afterwards there is what the backup has, and nothing
// else: not the old file's log, nor anything that belonged to it.
func TestRestorePutsBackWhatTheBackupHas(t *testing.T) {
	for _, old := range oldFiles {
		t.Run(old.name, func(t *testing.T) {
			src := backedUp(t, 3)
			path := old.make(t)
			mode := os.FileMode(0o600)
			if info, err := os.Stat(path); err == nil {
				mode = info.Mode()
			}
			report, err := Restore(t.Context(), src, path, time.Now)
			if err != nil || report.Tally.Total() != 3 {
				t.Fatalf("got %+v, %v; want 3 orders", report, err)
			}
			entries, err := os.ReadDir(filepath.Dir(path))
			if err != nil || len(entries) != 2 { // orders.db and orders.db.lock
				t.Errorf("the folder has %v (%v)", entries, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != mode {
				t.Errorf("mode %v (%v), not %v", info.Mode(), err, mode)
			}
			hold(t, path, 3)
			addOrders(t, path, 2)
			hold(t, path, 5)
			hold(t, src, 3)
		})
	}
}

// backedUp makes a backup with so many orders.
func backedUp(t *testing.T, orders int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "backup.db")
	if _, err := Backup(t.Context(), makeOrders(t, orders), path, time.Now); err != nil {
		t.Fatal(err)
	}
	return path
}

// F22, I1: a process that is killed between any two steps of a restore leaves the old file with all
// of its orders, or the new one. Where the old one was no good, it may leave what Open refuses.
// The next restore succeeds in any case.
func TestARestoreThatIsKilledLeavesTheOldFileOrTheNewOne(t *testing.T) {
	for _, old := range oldFiles {
		t.Run(old.name, func(t *testing.T) {
			src := backedUp(t, 3)
			before := old.make(t)
			_, checked := recovered(t, before)
			for steps := 0; ; steps++ {
				path := copied(t, before)
				if done := restoreInPart(t, src, path, steps); done {
					break
				}
				orders, err := recovered(t, path)
				if (err == nil || checked == nil) && orders != 3 && orders != 5 {
					t.Errorf("after %d steps there are %d orders (%v), neither the old ones nor the new", steps, orders, err)
				}
				if err == nil {
					continue
				}
				if contents(t, path, "") != contents(t, before, "") {
					hold(t, copiedAlone(t, path), 3)
				}
				if _, err := Restore(t.Context(), src, path, time.Now); err != nil {
					t.Errorf("the restore after %d steps of another: %v", steps, err)
				}
				hold(t, path, 3)
			}
		})
	}
}

// recovered is how many orders are in a copy of a database whose process has died, and the
// error is why nobody can tell.
func recovered(t *testing.T, path string) (orders int64, err error) {
	t.Helper()
	path = copied(t, path)
	o, err := own(t.Context(), path)
	if err == nil {
		err = o.checkLog()
	}
	if err == nil {
		err = checkpointAndClose(path)
	}
	if o != nil {
		err = errors.Join(err, o.release())
	}
	if err != nil {
		return 0, err
	}
	report, err := Check(t.Context(), path)
	if err == nil && len(report.Findings) > 0 {
		err = fmt.Errorf("findings: %q", report.Findings)
	}
	return report.Tally.Total(), err
}

// copied is a copy of a database with all that belongs to it, in a folder of its own.
func copied(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "orders.db")
	copyFiles(t, path, to)
	return to
}

// copiedAlone is a copy of a database without anything that belongs to it.
func copiedAlone(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "orders.db")
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// restoreInPart leaves the files as a process does that is killed after so many steps, and
// reports whether there are no more.
func restoreInPart(t *testing.T, src, path string, steps int) (done bool) {
	t.Helper()
	o, err := ownPlace(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.release() }()
	c, err := newPartialCopy(place{file: path}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(c.file.Close(), c.lock.release()) }()
	if _, err := c.fillChecked(t.Context(), src, false); err != nil {
		t.Fatal(err)
	}
	all := o.replaceBy(c)
	for _, step := range all[:min(steps, len(all))] {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return steps > len(all)
}

// I1: what is no backup is refused before anything is touched.
func TestRestoreRefuses(t *testing.T) {
	tests := []struct {
		name string
		src  func(t *testing.T, path string) string
		want string // names the file behind "src: " or "path: "
	}{
		{"the file itself", func(_ *testing.T, path string) string { return path }, "src: is the database itself"},
		{"a backup that is not there", func(*testing.T, string) string { return "missing.db" }, "src: no such file or directory"},
		{"a folder", func(t *testing.T, _ string) string { return t.TempDir() }, "src: is not a file"},
		{"a database that is served", func(t *testing.T, _ string) string {
			src := makeOrders(t, 1)
			serve(t, src)
			return src
		}, "src: " + ErrInUse.Error()},
		{"noise", func(t *testing.T, _ string) string {
			src := backedUp(t, 1)
			scribble(t, src)
			return src
		}, "src: " + errDamagedBackup.Error()},
		{"a backup that does not fit together", func(t *testing.T, _ string) string {
			src := backedUp(t, 1)
			runScript(t, src, "UPDATE tally SET completed = 7")
			return src
		}, "the copy of src " + ErrFindings.Error()},
		{"a place that is served", func(t *testing.T, path string) string {
			serve(t, path)
			return backedUp(t, 1)
		}, "path: " + ErrInUse.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := makeCrashed(t)
			src := test.src(t, path)
			before := contents(t, path, "", "-wal", "-journal")
			_, err := Restore(t.Context(), src, path, time.Now)
			want := strings.NewReplacer("src", src, "path", path).Replace(test.want)
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, want %s", err, want)
			}
			if got := contents(t, path, "", "-wal", "-journal"); got != before {
				t.Errorf("the files were\n%s\nand are\n%s", before, got)
			}
		})
	}
}

// F23: what another program goes on to write would end up beside the new file.
func TestRestoreRefusesAPlaceThatAnotherProgramUses(t *testing.T) {
	path := makeCrashed(t)
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err == nil {
		err = sqlitex.ExecuteTransient(conn, "SELECT * FROM tally", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), backedUp(t, 3), path, time.Now); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, not %v", err, ErrInUse)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	hold(t, path, 5)
}

// serve keeps the file open for as long as the test runs, with an order in the log.
func serve(t *testing.T, path string) {
	t.Helper()
	store := openToAdd(t, path)
	t.Cleanup(func() { _ = store.Close() })
	addOrder(t, store)
}

func runScript(t *testing.T, path, script string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecScript(conn, script), conn.Close()); err != nil {
		t.Fatal(err)
	}
}

// contents tells one state of a database's files from another. What SQLite keeps in
// the -shm alone says nothing about orders.
func contents(t *testing.T, path string, suffixes ...string) (all string) {
	t.Helper()
	for _, suffix := range suffixes {
		content, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		all += fmt.Sprintf("%s: %d bytes %x\n", suffix, len(content), sha256.Sum256(content))
	}
	return all
}

// I1: without a file in its place, nothing else keeps two backups apart.
func TestABackupDoesNotRemoveWhatAnotherOneIsMaking(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "backup.db")
	first, err := newPartialCopy(place{dest, true}, time.Now)
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

// A restore that is stopped leaves everything as it was.
func TestARestoreThatIsStoppedTouchesNothing(t *testing.T) {
	path := makeCrashed(t)
	before := contents(t, path, "", "-wal", "-journal")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Restore(ctx, backedUp(t, 3), path, time.Now); err == nil {
		t.Error("no error, though the context had ended")
	}
	if contents(t, path, "", "-wal", "-journal") != before {
		t.Error("the files were changed")
	}
}

// An older release's backup is good to restore, and a file is backed up before the new release
// serves it for the first time: as what the old release can read.
func TestWhatAnOlderReleaseHasWrittenIsBackedUpAsItIsAndRestored(t *testing.T) {
	old := makeOrders(t, 3)
	runScript(t, old, "DROP TABLE generation; DROP TABLE probe; PRAGMA user_version = 1")
	dest := filepath.Join(t.TempDir(), "backup.db")
	report, err := Backup(t.Context(), old, dest, time.Now)
	if err != nil || report.Tally.Total() != 3 {
		t.Fatalf("got %+v, %v; want 3 orders", report, err)
	}
	conn, err := sqlite.OpenConn(dest, sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	version, err := schemaVersion(conn)
	if err := errors.Join(err, conn.Close()); err != nil || version != 1 {
		t.Errorf("the backup has schema %d (%v), not 1", version, err)
	}
	path := makeOrders(t, 5)
	if _, err := Restore(t.Context(), dest, path, time.Now); err != nil {
		t.Fatal(err)
	}
	addOrders(t, path, 1)
	hold(t, path, 4)
}
