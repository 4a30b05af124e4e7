package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// damages is what may befall the files of a service that runs, and what `orders check`
// says of them later. What the log has lost nobody can know: to SQLite it ends where it
// makes no sense any more, as after a crash.
var damages = []struct {
	name  string
	do    func(t *testing.T, db string)
	check string
}{
	{"noise in all pages but the first", func(t *testing.T, db string) { scribble(t, db, 4096) }, foreignLog},
	{"noise in all pages", func(t *testing.T, db string) { scribble(t, db, 0) }, damaged},
	{"half of the file", func(t *testing.T, db string) { truncate(t, db, 2) }, foreignLog},
	{"an empty file", func(t *testing.T, db string) { truncate(t, db, 0) }, "orders.db: "},
	{"noise in the log", func(t *testing.T, db string) { scribble(t, db+"-wal", 0) }, "\nok\n"},
	{"half of the log", func(t *testing.T, db string) { truncate(t, db+"-wal", 2) }, "\nok\n"},
	{"an empty log", func(t *testing.T, db string) { truncate(t, db+"-wal", 0) }, "\nok\n"},
}

const foreignLog = "is not the file that its log was written for"

// F23, I15: from a file that is damaged while it is served an order is answered as it
// is, or as unavailable: never another one, never as if it had not been, and
// the list is whole or unavailable. The service stops, because what it would acknowledge
// might be lost. Its file is then refused, or holds what the log has not lost.
func TestDamageWhileServingIsNeverAnsweredAsRight(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			db := filepath.Join(t.TempDir(), "orders.db")
			s, l := serveOldAndNew(t, db)
			damage.do(t, db)
			if l.readThrough(t) == 0 {
				t.Error("everything can be read: nothing is proved")
			}
			s.awaitFailure(t)
			if output, _ := program(t, "check", "--db", db).CombinedOutput(); !strings.Contains(string(output), damage.check) {
				t.Errorf("check: %s; want %q", output, damage.check)
			}
		})
	}
}

// serveOldAndNew serves a file with a hundred orders of a service before, and as many
// of its own, which are yet in the log.
func serveOldAndNew(t *testing.T, db string) (*serviceProcess, *ledger) {
	t.Helper()
	l := &ledger{prefix: "damage-"}
	for {
		l.service = startOn(t, program(t, "serve", "--addr", "127.0.0.1:0", "--db", db))
		for range 100 {
			if _, err := l.create(); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.ids) == 200 {
			return l.service, l
		}
		l.service.end(t)
	}
}

// readThrough asks for everything, and returns how much of it is unavailable.
func (l *ledger) readThrough(t *testing.T) (unavailable int) {
	t.Helper()
	right := func(path string, contents ...string) {
		t.Helper()
		res, err := l.service.get(path)
		if err != nil || res.status == http.StatusServiceUnavailable {
			unavailable++ // or stopped
			return
		}
		if res.status != http.StatusOK {
			t.Errorf("%s: %d %s, %v", path, res.status, res.body, err)
		}
		for _, want := range contents {
			if !strings.Contains(res.body, want) {
				t.Errorf("%s: %s, without %s", path, res.body, want)
			}
		}
	}
	for _, id := range l.ids {
		right("/api/orders/"+id+"/", id, `"user_id":"645","item_ids":["1","2"],"total_amount":"1650.78"`)
	}
	right("/api/orders/ids/?limit=1000", l.ids...)
	return unavailable
}

// scribble overwrites a file with noise from an offset to its end.
func scribble(t *testing.T, path string, from int64) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	size, err := file.Seek(0, 2)
	if err == nil {
		_, err = file.WriteAt(noise(int(size-from)), from)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// truncate leaves a part of a file, one in so many, or nothing of it.
func truncate(t *testing.T, path string, one int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	if one > 0 {
		size = info.Size() / one
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// F23, I1: what is written to a deleted file is gone with the process, so the service
// stops, whether orders come or not.
func TestTheServiceStopsWhenItsFileIsDeletedOrReplaced(t *testing.T) {
	for name, do := range map[string]func(db string) error{
		"deleted":                os.Remove,
		"its log deleted":        func(db string) error { return os.Remove(db + "-wal") },
		"its log's index":        func(db string) error { return os.Remove(db + "-shm") },
		"its lock deleted":       func(db string) error { return os.Remove(db + ".lock") },
		"linked":                 func(db string) error { return os.Link(db, db+".link") },
		"replaced by an old one": func(db string) error { return os.Rename(db+".old", db) },
	} {
		for _, idle := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, idle: %t", name, idle), func(t *testing.T) {
				t.Parallel()
				db := filepath.Join(t.TempDir(), "orders.db")
				if err := os.WriteFile(db+".old", noise(4096), 0o600); err != nil {
					t.Fatal(err)
				}
				s := startOn(t, program(t, "serve", "--addr", "127.0.0.1:0", "--db", db))
				l := &ledger{service: s, prefix: "gone-"}
				if _, err := l.create(); err != nil {
					t.Fatal(err)
				}
				if err := do(db); err != nil {
					t.Fatal(err)
				}
				if !idle {
					waitFor(t, "creates are refused", func() bool {
						a, err := s.create("gone-too")
						return err != nil || a.status == http.StatusServiceUnavailable
					})
				}
				s.awaitFailure(t)
			})
		}
	}
}

// F23, I3, I5: a file that is mounted into two containers has one inode and one name, but
// two places for a log and a lock: the second service is refused all the same.
func TestAFileThatIsMountedTwiceHasOneOwner(t *testing.T) {
	t.Parallel()
	d := smallDisk(t, 8)
	s := startOn(t, d.run(program(t, "serve", "--addr", "127.0.0.1:0", "--db", d.db())))
	other := filepath.Join(d.folder, "other.db")
	mount := d.run(exec.CommandContext(t.Context(), "sh", "-c", `touch "$1" && mount --bind "$0" "$1"`, d.db(), other))
	if output, err := mount.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	second := d.run(program(t, "serve", "--addr", "127.0.0.1:0", "--db", other))
	if output, _ := second.CombinedOutput(); second.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(output), "is in use by another process") {
		t.Errorf("%v, %s", second.ProcessState, output)
	}
	if res, err := s.create("mounted"); err != nil || res.status != http.StatusCreated {
		t.Errorf("the first service: %+v, %v", res, err)
	}
	s.end(t)
}
