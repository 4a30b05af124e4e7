package sqlite

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// killedStart makes a restored database of so many orders as a start leaves it that is killed
// while it notes in the file that it has a log from now on: before the file is changed, or
// after.
func killedStart(t *testing.T, orders int, changed bool) (path string) {
	t.Helper()
	changing := backedUp(t, orders)
	path = filepath.Join(t.TempDir(), "orders.db")
	conn, err := sqlite.OpenConn(changing, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Like the start, this changes the first page alone.
	for _, statement := range []string{"BEGIN IMMEDIATE", "PRAGMA user_version = 99"} {
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			t.Fatal(err)
		}
	}
	copyFiles(t, changing, path)
	patch(t, path+"-journal", func(journal []byte) {
		copy(journal, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7") // it is synced, with one page
		binary.BigEndian.PutUint32(journal[8:], 1)
	})
	if changed {
		patch(t, path, func(content []byte) {
			content[journalOffset], content[journalOffset+1] = journalWAL, journalWAL
			for _, counter := range []int{24, 92} {
				binary.BigEndian.PutUint32(content[counter:], binary.BigEndian.Uint32(content[counter:])+1)
			}
		})
	}
	return path
}

func patch(t *testing.T, path string, change func([]byte)) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		change(content)
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// F22: a first start that was killed is no reason to refuse the next one.
func TestAFileIsServedAfterAFirstStartThatWasKilled(t *testing.T) {
	for name, path := range map[string]string{
		"restored, before the change": killedStart(t, 3, false),
		"restored, after it":          killedStart(t, 3, true),
		"restored, amid a repair":     makeInterrupted(t),
		"new":                         killedFirstStart(t),
	} {
		before, err := recovered(t, path)
		if err != nil && name != "new" {
			t.Errorf("%s: %v", name, err)
		}
		addOrders(t, path, 1)
		hold(t, path, before+1)
	}
}

// killedFirstStart makes a new file as a start leaves it that is killed before it has a schema.
func killedFirstStart(t *testing.T) (path string) {
	t.Helper()
	path = killedStart(t, 1, true)
	patch(t, path+"-journal", func(journal []byte) {
		clear(journal[8:12])
		clear(journal[16:20]) // before, the file had no pages
	})
	empty := filepath.Join(t.TempDir(), "empty.db")
	conn, err := sqlite.OpenConn(empty, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err == nil {
		err = errors.Join(pragma(conn, "journal_mode = WAL"), conn.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(empty)
	err = errors.Join(err, os.WriteFile(path, content, 0o600), os.Truncate(path+"-journal", 512))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// F23, I1, I9: what a killed start has left is not mixed into a backup that somebody copies there
// afterwards, and the restore that the message names mends it.
func TestAnotherFilesJournalIsNotMixedIntoTheFile(t *testing.T) {
	big := backedUp(t, 300)
	for name, path := range map[string]string{
		"of a restored file": killedStart(t, 3, true),
		"of a new file":      killedFirstStart(t),
	} {
		content, err := os.ReadFile(big)
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		before := contents(t, path, "", "-journal")
		_, checked := Check(t.Context(), path)
		_, repaired := Repair(t.Context(), path, time.Now)
		_, backedUp := Backup(t.Context(), path, filepath.Join(t.TempDir(), "backup.db"), time.Now)
		_, opened := Open(t.Context(), validConfig(path))
		for command, err := range map[string]error{"check": checked, "repair": repaired, "backup": backedUp, "open": opened} {
			if !errors.Is(err, ErrForeignLog) {
				t.Errorf("%s: %s: error %v, not %v", name, command, err, ErrForeignLog)
			}
		}
		if contents(t, path, "", "-journal") != before {
			t.Errorf("%s: the files were changed", name)
		}
		if _, err := Restore(t.Context(), big, path, time.Now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		hold(t, path, 300)
	}
}

// A restore to a new name that fails leaves nothing there.
func TestARestoreThatFailsLeavesNothingWhereNothingWas(t *testing.T) {
	src := backedUp(t, 1)
	scribble(t, src)
	path := filepath.Join(t.TempDir(), "orders.db")
	if _, err := Restore(t.Context(), src, path, time.Now); err == nil {
		t.Error("no error")
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 0 {
		t.Errorf("left %v (%v)", entries, err)
	}
}
