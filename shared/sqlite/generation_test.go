package sqlite

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// F23, I1, I3: SQLite would mix the log with the database without an error, and orders of both
// would be lost. A log without its database is left alone, because the database may have been moved.
func TestALogOfAnotherFileIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"a copy from before the last start": func(t *testing.T, path string) {
			earlier := copiedAlone(t, path)
			closeStore(t, openStore(t, earlier, time.Hour))
			overwrite(t, path, read(t, earlier))
		},
		"a backup, made by VACUUM INTO, and no lock": func(t *testing.T, path string) {
			backup := filepath.Join(t.TempDir(), "backup.db")
			runSQL(t, connect(t, fileToCheck(t)), "VACUUM INTO '"+backup+"'")
			overwrite(t, withoutLock(t, path), read(t, backup))
		},
		"a file that has gone": remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := makeCrashed(t, 1, 1)
			original := read(t, path)
			spoil(t, path)
			before := contents(t, path, "", "-wal")
			for _, command := range []string{"open", "check", "open"} {
				if err := commands[command](t.Context(), path, ""); !errors.Is(err, ErrForeignLog) {
					t.Errorf("%s: error %v, not %v", command, err, ErrForeignLog)
				}
			}
			if contents(t, path, "", "-wal") != before {
				t.Error("the files were changed")
			}
			if name == "a file that has gone" {
				if _, err := os.Stat(path); err == nil {
					t.Error("a file is in its place")
				}
				overwrite(t, path, original)
				holdOpened(t, path, 2)
			}
		})
	}
}

// F22, I1: the file's own log is used, whenever its process was killed and wherever the two were
// moved. A check does not change the log, and creates no lock file: one that the superuser creates
// would keep another user's service from starting.
func TestAFilesOwnLogIsUsed(t *testing.T) {
	for name, move := range map[string]func(t *testing.T, path string){
		"where it was":            func(*testing.T, string) {},
		"moved without its lock":  func(t *testing.T, path string) { withoutLock(t, path) },
		"moved beside a new lock": func(t *testing.T, path string) { overwrite(t, path+".lock", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			path := makeCrashed(t, 1, 1)
			move(t, path)
			before, files := contents(t, path, "", "-wal"), names(t, path)
			hold(t, path, 2)
			if contents(t, path, "", "-wal") != before || strings.Contains(names(t, path), ".lock") != strings.Contains(files, ".lock") {
				t.Errorf("the file or its log was changed, and there are %s", names(t, path))
			}
			holdOpened(t, path, 2)
		})
	}
}

// F22, I1: another program reads the file while services start, so that the generation is written
// into the file later.
func TestTheGenerationIsKnownWhileItIsRenewed(t *testing.T) {
	path := newPath(t)
	closeStore(t, openStore(t, path, time.Hour))
	reader := connect(t, path)
	runSQL(t, reader, "BEGIN")
	runSQL(t, reader, "SELECT count(*) FROM orders")
	for range 3 {
		addOrders(t, path, 1)
	}
	store := openStore(t, path, time.Hour)
	runSQL(t, reader, "ROLLBACK")
	makeOrder(t, store, completed)
	runSQL(t, reader, "PRAGMA wal_checkpoint(PASSIVE)")
	makeOrder(t, store, completed)
	left := copied(t, path)
	closeStore(t, store)
	holdOpened(t, left, 5)
}

// F23: a file whose log was deleted after a crash cannot be distinguished from one whose log
// another program has written into it. It is served, with a warning, which a file that was closed
// does not cause.
func TestAMissingLogIsLogged(t *testing.T) {
	for _, deleted := range []bool{true, false} {
		path := makeCrashed(t, 1, 1)
		if deleted {
			remove(t, path+"-wal")
		}
		for start, told := range []bool{deleted, false} {
			store, log := openLogging(t, storeConfig(path, time.Hour))
			closeStore(t, store)
			if got := strings.Contains(log.String(), "its log is gone"); got != told {
				t.Errorf("deleted %t, start %d: log %q", deleted, start+1, log)
			}
		}
	}
}

// F22, F23, I1: a crash or a full disk may interrupt a checkpoint, so that the file can be read
// only with its log. Here the checkpoint has written all pages but the last.
func TestAnInterruptedCheckpointIsNoForeignLog(t *testing.T) {
	path := newPath(t)
	store := openStore(t, path, time.Hour/4)
	for range 200 {
		makeOrder(t, store, completed)
	}
	left := copied(t, path)
	before := len(read(t, path))
	runSQL(t, connect(t, path), "PRAGMA wal_checkpoint(PASSIVE)")
	after := read(t, path)
	closeStore(t, store)
	if len(after) <= before {
		t.Fatalf("the file has not grown: %d bytes, then %d", before, len(after))
	}
	overwrite(t, left, after[:before])

	hold(t, left, 200)
	hold(t, backedUp(t, left), 200)
	holdOpened(t, left, 200)
}

// F22, I1: a start may be killed while it writes the lock file. Then the generation is not known,
// and the log is used.
func TestAHalfWrittenLockFileIsNoForeignLog(t *testing.T) {
	whole := read(t, makeCrashed(t, 1, 1)+".lock")
	for size := range len(whole) {
		path := makeCrashed(t, 1, 1)
		overwrite(t, path+".lock", whole[:size])
		if err := tryOpen(t, path); err != nil {
			t.Errorf("with %d of %d bytes: %v", size, len(whole), err)
		}
	}
}

// killedStart makes a restored database as a start leaves it that is killed while it writes the
// journal mode WAL into the file: before or after the file is changed.
func killedStart(t *testing.T, orders int, changed bool) (path string) {
	t.Helper()
	changing := backedUp(t, makeOrders(t, orders))
	conn := connect(t, changing)
	// Like the start, this changes the first page only.
	runSQL(t, conn, "BEGIN IMMEDIATE")
	runSQL(t, conn, "PRAGMA user_version = 99")
	path = copied(t, changing)
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

// F22: the next start succeeds after a first one that was killed.
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

// killedFirstStart makes a new file as a start leaves it that is killed before it writes the
// schema.
func killedFirstStart(t *testing.T) (path string) {
	t.Helper()
	path = killedStart(t, 1, true)
	patch(t, path+"-journal", func(journal []byte) {
		clear(journal[8:12])
		clear(journal[16:20]) // before, the file had no pages
	})
	empty := newPath(t)
	overwrite(t, empty, nil)
	conn := connect(t, empty)
	runSQL(t, conn, "PRAGMA journal_mode = WAL")
	overwrite(t, path, read(t, empty))
	overwrite(t, path+"-journal", read(t, path+"-journal")[:512])
	return path
}

// F23, I1, I9: the journal of a killed start is not used for a backup that was copied there
// afterwards. The restore that the error proposes succeeds.
func TestAnotherFilesJournalIsNotMixedIntoTheFile(t *testing.T) {
	big := backedUp(t, makeOrders(t, 300))
	for name, path := range map[string]string{
		"of a restored file": killedStart(t, 3, true),
		"of a new file":      killedFirstStart(t),
	} {
		overwrite(t, path, read(t, big))
		before := contents(t, path, "", "-journal")
		for _, command := range []string{"check", "repair", "backup", "open"} {
			err := commands[command](t.Context(), path, filepath.Join(t.TempDir(), "backup.db"))
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
