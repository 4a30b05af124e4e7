package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// oldFiles are the states of the file that a restore replaces.
var oldFiles = []struct {
	name  string
	make  func(t *testing.T) (path string)
	spoil func(t *testing.T, path string) // may be nil
}{
	{"a database", func(t *testing.T) string { return makeOrders(t, 5) }, nil},
	{"a database with orders in its log", crashedWithFive, nil},
	{"a database in the middle of a change", makeInterrupted, nil},
	{"nothing", newPath, nil},
	{"an empty file", newPath, func(t *testing.T, path string) {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}},
	{"noise", func(t *testing.T) string { return makeOrders(t, 1) }, func(t *testing.T, path string) { overwrite(t, path, noise()) }},
	{"noise with a log", crashedWithFive, func(t *testing.T, path string) { overwrite(t, path, noise()) }},
	{"a backup put back by hand beside a log", crashedWithFive, func(t *testing.T, path string) {
		overwrite(t, path, read(t, backedUp(t, makeOrders(t, 1))))
	}},
	{"a log without its file", crashedWithFive, remove},
	{"a log and a journal without their file", makeInterrupted, func(t *testing.T, path string) {
		overwrite(t, path+"-wal", read(t, crashedWithFive(t)+"-wal"))
		remove(t, path)
	}},
	{"a journal without its file", makeInterrupted, remove},
}

func crashedWithFive(t *testing.T) string { t.Helper(); return makeCrashed(t, 1, 4) }

// makeOld makes one of oldFiles.
func makeOld(t *testing.T, i int) (path string) {
	t.Helper()
	path = oldFiles[i].make(t)
	if spoil := oldFiles[i].spoil; spoil != nil {
		spoil(t, path)
	}
	return path
}

// makeInterrupted makes a database of five orders without a log, as a process leaves it that is
// killed while it changes the file in place: with a journal that undoes the change.
func makeInterrupted(t *testing.T) (path string) {
	t.Helper()
	changing := makeOrders(t, 5)
	conn := connect(t, changing)
	for _, statement := range []string{
		"PRAGMA journal_mode = DELETE", "PRAGMA cache_size = 1", "PRAGMA cache_spill = 1", "BEGIN IMMEDIATE",
		"CREATE TABLE filler (content BLOB)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO filler SELECT randomblob(4000) FROM n",
		"DELETE FROM orders", "UPDATE tally SET completed = 7",
	} {
		runSQL(t, conn, statement)
	}
	path = copied(t, changing)
	runSQL(t, conn, "ROLLBACK")
	return path
}

// F22, F23, I1, I9: whatever was in its place, afterwards there are the orders of the backup only,
// and no file that belonged to the old database.
func TestRestoreReplacesAnyFile(t *testing.T) {
	for i, old := range oldFiles {
		t.Run(old.name, func(t *testing.T) {
			src := backedUp(t, makeOrders(t, 3))
			path := makeOld(t, i)
			mode := os.FileMode(0o600)
			if info, err := os.Stat(path); err == nil {
				mode = info.Mode()
			}
			report, err := Restore(t.Context(), src, path, time.Now)
			if err != nil || report.Tally.Total() != 3 {
				t.Fatalf("got %+v, %v; want 3 orders", report, err)
			}
			if got := names(t, path); got != "orders.db orders.db.lock" {
				t.Errorf("the folder has %s", got)
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

// F22, I1: a process that is killed between any two steps of a restore leaves the old file with all
// its orders, or the new one. If the old file was not usable, it may leave a file that Open
// refuses. The next restore always succeeds.
func TestARestoreThatIsKilledLeavesTheOldFileOrTheNewOne(t *testing.T) {
	for i, old := range oldFiles {
		t.Run(old.name, func(t *testing.T) {
			src := backedUp(t, makeOrders(t, 3))
			before := makeOld(t, i)
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

// recovered returns the number of orders in a copy of a database that a killed process has left.
func recovered(t *testing.T, path string) (orders int64, err error) {
	t.Helper()
	path = copied(t, path)
	o, err := acquireLock(t.Context(), path)
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

// restoreInPart leaves the files as a process does that is killed after so many steps of a restore,
// and reports whether there are no more steps.
func restoreInPart(t *testing.T, src, path string, steps int) (done bool) {
	t.Helper()
	o, err := lockTarget(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.release() }()
	c, err := newPartialCopy(destination{file: path}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(c.file.Close(), c.lock.release()) }()
	if _, err := c.fillChecked(t.Context(), src, false); err != nil {
		t.Fatal(err)
	}
	all := o.replaceSteps(c)
	for _, step := range all[:min(steps, len(all))] {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return steps > len(all)
}

// I1: a file that is not a good backup is refused before anything is changed.
func TestRestoreRefuses(t *testing.T) {
	spoiled := func(spoil func(t *testing.T, src string)) func(t *testing.T, path string) string {
		return func(t *testing.T, _ string) string {
			src := backedUp(t, makeOrders(t, 1))
			spoil(t, src)
			return src
		}
	}
	for _, test := range []struct {
		name string
		src  func(t *testing.T, path string) string
		want string // names the file behind "src: " or "path: "
	}{
		{"the file itself", func(_ *testing.T, path string) string { return path }, "src: is the database itself"},
		{"a backup that is not there", func(*testing.T, string) string { return "missing.db" }, "src: no such file or directory"},
		{"a folder", func(t *testing.T, _ string) string { return t.TempDir() }, "src: is not a file"},
		{"a database that is served", spoiled(serve), "src: " + ErrInUse.Error()},
		{"noise", spoiled(func(t *testing.T, src string) { overwrite(t, src, noise()) }), "src: " + errDamagedBackup.Error()},
		{"a backup that does not fit together", spoiled(func(t *testing.T, src string) {
			runScript(t, src, "UPDATE tally SET completed = 7")
		}), "the copy of src " + ErrFindings.Error()},
		{"a place that is served", func(t *testing.T, path string) string {
			serve(t, path)
			return backedUp(t, makeOrders(t, 1))
		}, "path: " + ErrInUse.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := crashedWithFive(t)
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

// F23: another program would continue to write to the log of the replaced file.
func TestRestoreRefusesAPlaceThatAnotherProgramUses(t *testing.T) {
	path := makeCrashed(t, 1, 4)
	conn := connect(t, path)
	runSQL(t, conn, "SELECT * FROM tally")
	if _, err := Restore(t.Context(), backedUp(t, makeOrders(t, 3)), path, time.Now); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, not %v", err, ErrInUse)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	hold(t, path, 5)
}

// The backup of an older release can be restored. A file of an older release can be backed up
// before the new release serves it, and the old release can read that backup.
func TestAFileOfAnOlderReleaseIsBackedUpUnchangedAndRestored(t *testing.T) {
	old := makeOrders(t, 3)
	downgrade(t, old, 1)
	dest := filepath.Join(t.TempDir(), "backup.db")
	report, err := Backup(t.Context(), old, dest, time.Now)
	if err != nil || report.Tally.Total() != 3 {
		t.Fatalf("got %+v, %v; want 3 orders", report, err)
	}
	if version, err := schemaVersion(connect(t, dest)); err != nil || version != 1 {
		t.Errorf("the backup has schema %d (%v), not 1", version, err)
	}
	path := makeOrders(t, 5)
	if _, err := Restore(t.Context(), dest, path, time.Now); err != nil {
		t.Fatal(err)
	}
	addOrders(t, path, 1)
	hold(t, path, 4)
}

// A restore to a new name that fails leaves nothing there.
func TestARestoreThatFailsLeavesNothingWhereNothingWas(t *testing.T) {
	src := backedUp(t, makeOrders(t, 1))
	overwrite(t, src, noise())
	path := newPath(t)
	if _, err := Restore(t.Context(), src, path, time.Now); err == nil {
		t.Error("no error")
	}
	if got := names(t, path); got != "" {
		t.Errorf("left %s", got)
	}
}
