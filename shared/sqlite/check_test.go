package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

func TestCheckReportsWhatIsInTheFileAndDoesNotChangeIt(t *testing.T) {
	path := fileToCheck(t)
	runScript(t, path, "INSERT INTO dead_letters (dead_lettered_at, body, reason) VALUES (1, x'00', 'nonsense')")
	before := read(t, path)
	got, err := Check(t.Context(), path)
	if want := (order.Counts{0, 2, 3}); err != nil || got.Tally.ByStatus != want || got.Tally.CompletedCount != 2 ||
		got.Keys != 1 || got.DeadLetters != 1 || len(got.Findings) != 0 {
		t.Errorf("got %+v, %v; want %v by status, 2 timed orders, a key, a dead letter and no finding", got, err, want)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("the file was changed")
	}
}

func TestCheckCountsFindingsBeyondTheFirstHundred(t *testing.T) {
	path := fileToCheck(t)
	runScript(t, path, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
		INSERT INTO keys SELECT i, i FROM n`)
	report, err := Check(t.Context(), path)
	if n := len(report.Findings); err != nil || n != 101 || report.Findings[100] != "and 50 more findings" {
		t.Errorf("%d findings %q, %v", n, report.Findings, err)
	}
}

func TestCheckReportsAPageOfNoise(t *testing.T) {
	const pageSize = 4096
	path := fileToCheck(t)
	good := read(t, path)
	for page := 0; page < len(good); page += pageSize {
		content := bytes.Clone(good)
		rand.Read(content[page : page+pageSize])
		overwrite(t, path, content)
		report, err := Check(t.Context(), path)
		if err == nil && len(report.Findings) == 0 || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("page %d is noise: got %+v, %v", page/pageSize, report, err)
		}
	}
}

// A command does something with the database at path, and a backup at other.
type command func(ctx context.Context, path, other string) error

var commands = map[string]command{
	"open": func(ctx context.Context, path, _ string) error {
		store, err := Open(ctx, storeConfig(path, time.Hour))
		if err == nil {
			err = store.Close()
		}
		return err
	},
	"check":  func(ctx context.Context, path, _ string) error { _, err := Check(ctx, path); return err },
	"repair": func(ctx context.Context, path, _ string) error { _, err := Repair(ctx, path, time.Now); return err },
	"backup": func(ctx context.Context, path, other string) error {
		_, err := Backup(ctx, path, other, time.Now)
		return err
	},
	"restore": func(ctx context.Context, path, other string) error {
		_, err := Restore(ctx, other, path, time.Now)
		return err
	},
}

// F23, I1: a file that cannot be used is refused by name, and nothing is changed or created.
func TestAFileThatCannotBeUsedIsRefused(t *testing.T) {
	script := func(script string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { runScript(t, path, script) }
	}
	for _, test := range []struct {
		name     string
		make     func(t *testing.T, path string)
		want     error  // nil if it is known by its text alone
		text     string // in the error, after the path
		commands string
	}{
		{"a file that is not there", remove, fs.ErrNotExist, "", "check repair backup"},
		{"a folder", func(t *testing.T, path string) {
			remove(t, path)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, nil, "is not a file", "open check repair backup"},
		{"an empty file", func(t *testing.T, path string) { overwrite(t, path, nil) }, nil, "serve the file once", "check repair backup"},
		{"noise", func(t *testing.T, path string) { overwrite(t, path, noise()) }, ErrDamaged, "", "open check repair backup"},
		{"a short text", func(t *testing.T, path string) { overwrite(t, path, []byte("orders\n")) }, ErrDamaged, "", "open"},
		{"half of the file", func(t *testing.T, path string) { b := read(t, path); overwrite(t, path, b[:len(b)/2]) }, ErrDamaged, "", "open"},
		{"its first 100 bytes", func(t *testing.T, path string) { overwrite(t, path, read(t, path)[:100]) }, ErrDamaged, "", "open"},
		{"noise in all pages but the first", func(t *testing.T, path string) {
			patch(t, path, func(content []byte) { _, _ = rand.Read(content[4096:]) })
		}, ErrDamaged, "", "open"},
		{"another program's database", script("PRAGMA application_id = 1"), ErrDamaged, "", "open check repair backup"},
		{"a file of a newer release", script("PRAGMA user_version = 99"), ErrNewer, "", "open check repair backup"},
		{"a file that is served", serve, ErrInUse, "", "open check repair"},
		{"a file that another program has locked", lockFile, ErrInUse, "", "check"},
	} {
		for name := range strings.FieldsSeq(test.commands) {
			t.Run(test.name+" "+name, func(t *testing.T) {
				path, other := fileToCheck(t), filepath.Join(t.TempDir(), "backup.db")
				test.make(t, path)
				before := contents(t, path, "", "-wal")
				err := commands[name](t.Context(), path, other)
				if err == nil || test.want != nil && !errors.Is(err, test.want) ||
					!strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), test.text) {
					t.Errorf("error %v; want %s with %v %s", err, path, test.want, test.text)
				}
				_, missing := os.Stat(path)
				if contents(t, path, "", "-wal") != before || names(t, other) != "" || (missing != nil) != errors.Is(test.want, fs.ErrNotExist) {
					t.Errorf("the file was changed, or there are %s and %s", names(t, path), names(t, other))
				}
			})
		}
	}
}

// A command that is stopped changes nothing.
func TestACommandEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src := backedUp(t, makeOrders(t, 3))
	for _, name := range []string{"check", "repair", "backup", "restore"} {
		path, other := makeCrashed(t, 1, 4), filepath.Join(t.TempDir(), "backup.db")
		if name == "restore" {
			other = src
		}
		before, folder := contents(t, path, "", "-wal", "-journal"), names(t, other)
		if err := commands[name](ctx, path, other); err == nil || !strings.Contains(err.Error(), "interrupted ") {
			t.Errorf("%s: error %v, though the context had ended", name, err)
		}
		if contents(t, path, "", "-wal", "-journal") != before || names(t, other) != folder {
			t.Errorf("%s: the files were changed, or the folder has %s", name, names(t, other))
		}
	}
}

// checkFaults are faults in the file of fileToCheck, and the findings about them.
var checkFaults = []struct {
	name string
	plan string // SQL; n1 to n5 stand for the seqs
	want []string
}{
	{"a tally with an order too many", "UPDATE tally SET pending = 1", []string{"the tally has 1 Pending"}},
	{"a tally with a millisecond too many", "UPDATE tally SET duration_sum_ms = duration_sum_ms + 1", []string{"the tally has"}},
	{"a Pending order that is started", "UPDATE orders SET status = 0 WHERE seq = n5; UPDATE tally SET pending = 1, processing = 1", []string{"status Pending contradicts the times"}},
	{"a Processing order that is not started", "UPDATE orders SET started_at = -(seq >> 15) WHERE seq = n5", []string{"status Processing contradicts the times"}},
	{"a Completed order that is started and not completed", `UPDATE orders SET status = 2 WHERE seq = n4; UPDATE tally SET processing = 1, completed = 4`, []string{"status Completed contradicts the times"}},
	{"a start before the creation", "UPDATE orders SET started_at = 1 WHERE seq = n1", []string{"started before it was created"}},
	{"a completion before the start", "UPDATE orders SET started_at = completed_at + 1 WHERE seq = n1", []string{"completed before it was started"}},
	{"a time that is neither set nor unset", "UPDATE orders SET completed_at = 0 WHERE seq = n3", []string{"has a time that is neither"}},
	{"items that are no list", "UPDATE orders SET item_ids = '[1' WHERE seq = n1", []string{"has item_ids that cannot be read"}},
	{"an invalid id", "UPDATE orders SET id = 'I' WHERE seq = n5", []string{`"ORDI", at seq`}},
	{"an unfinished order that a restart would pass over", "UPDATE checkpoints SET seq = n4 WHERE name = 'finished'", []string{`is Processing, but the checkpoint "finished"`}},
	{"a checkpoint that orders to come would fall behind", "UPDATE checkpoints SET seq = n5 + 1 WHERE name = 'keys'", []string{"a checkpoint", "is missing in keys"}},
	{"a keyed order that a restart would not find", "DELETE FROM keys", []string{"is missing in keys"}},
	{"a key that leads to another order", "UPDATE keys SET seq = n1", []string{"but keys leads to seq", "where that order is not"}},
	{"a key that leads nowhere", "INSERT INTO keys VALUES ('A', 7)", []string{"keys leads from ORDA to seq 7"}},
	{"two orders of one new key", "UPDATE orders SET id = (SELECT id FROM orders WHERE seq = n4) WHERE seq = n5", []string{"is the id of 2 orders"}},
	{"two orders of one old key", "UPDATE orders SET id = (SELECT id FROM orders WHERE seq = n2) WHERE seq = n5", []string{"but keys leads to seq"}},
	{"a fingerprint that is cut", "UPDATE orders SET fingerprint = x'00' WHERE seq = n1", []string{"has a fingerprint of the wrong length"}},
	{"a row that is no order of this program", "INSERT INTO orders SELECT -1, 'A', '', '', '[]', 0, fingerprint, 0, 0, 0 FROM orders LIMIT 1", []string{"there is a row at seq -1"}},
	{"a status that there is not", "PRAGMA ignore_check_constraints = ON; UPDATE orders SET status = 7 WHERE seq = n5; UPDATE tally SET processing = 1", []string{"has the status 7, which there is not"}},
}

func TestCheckFinds(t *testing.T) {
	good := read(t, fileToCheck(t))
	for _, f := range checkFaults {
		t.Run(f.name, func(t *testing.T) {
			path := newPath(t)
			overwrite(t, path, good)
			runScript(t, path, f.plan)
			report, err := Check(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range f.want {
				if len(report.Findings) != len(f.want) || !strings.Contains(report.Findings[i], want) {
					t.Fatalf("findings %q, want %q", report.Findings, f.want)
				}
			}
		})
	}
}

// lockFile locks the file until the end of the test.
func lockFile(t *testing.T, path string) {
	conn := connect(t, path)
	if err := sqlitex.ExecScript(conn, "PRAGMA locking_mode = EXCLUSIVE; UPDATE tally SET pending = pending"); err != nil {
		t.Fatal(err)
	}
}

// repairs are faults that a repair corrects, and the changes that it reports.
var repairs = []struct {
	name, spoil string
	changes     []string // beginnings, in no order
}{
	{"a wrong tally", "UPDATE tally SET pending = 7, duration_sum_ms = 1", []string{
		"tally: 7 Pending, 2 Processing, 3 Completed, 0 Failed, 0 Cancelled (2 completed by the service, in 1 ms) -> " +
			"0 Pending, 2 Processing, 3 Completed, 0 Failed, 0 Cancelled (2 completed by the service, in ",
	}},
	{"no tally", "DELETE FROM tally", []string{"tally: missing -> 0 Pending, 2 Processing, 3 Completed"}},
	{"a checkpoint that passes over an order", "UPDATE checkpoints SET seq = n5 WHERE name = 'finished'", []string{`checkpoint "finished": `}},
	{"a checkpoint beyond the last order", "UPDATE checkpoints SET seq = n5 + 1 WHERE name = 'keys'", []string{"keys: 1 that were missing added"}},
	{"a key that is missing", "DELETE FROM keys", []string{"keys: 1 that were missing added", "keys: 1 recent ones added"}},
	{"a key that leads to another order", "UPDATE keys SET seq = n1", []string{
		"keys: 1 that lead to no order of theirs removed", "keys: 1 that were missing added",
	}},
	{"a key that leads nowhere", "INSERT INTO keys VALUES ('A', 7)", []string{"keys: 1 that lead to no order of theirs removed"}},
	{"an order deleted by hand", "DELETE FROM orders WHERE seq = n2", []string{"tally: ", "keys: 1 that lead to no order of theirs removed"}},
}

// I9, I17: a repair recomputes what follows from the orders, and changes no order.
func TestRepairCorrects(t *testing.T) {
	good := read(t, fileToCheck(t))
	for _, test := range repairs {
		t.Run(test.name, func(t *testing.T) {
			path := newPath(t)
			overwrite(t, path, good)
			runScript(t, path, test.spoil)
			before := dump(t, path)
			r, err := Repair(t.Context(), path, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Before.Findings) == 0 || len(r.After.Findings) > 0 {
				t.Errorf("findings before %q, after %q", r.Before.Findings, r.After.Findings)
			}
			for _, want := range test.changes {
				if !strings.Contains("\n"+strings.Join(r.Changes, "\n"), "\n"+want) {
					t.Errorf("changes %q, want %q", r.Changes, want)
				}
			}
			if after := dump(t, path); after != before {
				t.Errorf("the orders were\n%s\nand are\n%s", before, after)
			}
			if report, err := Check(t.Context(), r.Backup); err != nil || strings.Join(report.Findings, "\n") != strings.Join(r.Before.Findings, "\n") {
				t.Errorf("the copy made before has %q, %v; want %q", report.Findings, err, r.Before.Findings)
			}
			closeStore(t, openStore(t, path, time.Hour/4))
		})
	}
}

// dump returns all values of all orders.
func dump(t *testing.T, path string) (all string) {
	t.Helper()
	const query = `SELECT seq || id || client_reference || user_id || item_ids || total_amount || hex(fingerprint) ||
		status || started_at || completed_at FROM orders`
	err := eachRow(connect(t, path), query, func(row *sqlite.Stmt) { all += row.ColumnText(0) + "\n" })
	if err != nil || all == "" {
		t.Fatalf("%q %v", all, err)
	}
	return all
}

// I1: the copies of several repairs are all kept, even within one second.
func TestRepairKeepsTheCopiesOfEarlierRepairs(t *testing.T) {
	path := fileToCheck(t)
	now := time.Now()
	var copies []string
	for tally := range 3 {
		runScript(t, path, fmt.Sprintf("UPDATE tally SET pending = %d", tally+7))
		r, err := Repair(t.Context(), path, func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, r.Backup)
	}
	for tally, file := range copies {
		want := fmt.Sprintf("%d Pending", tally+7)
		if report, err := Check(t.Context(), file); err != nil || !strings.Contains(strings.Join(report.Findings, "\n"), want) {
			t.Errorf("%s: %q, %v; want a finding of %s", file, report.Findings, err, want)
		}
	}
}

func TestRepairTouchesNoFileThatIsGoodOrThatSQLiteFindsDamaged(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		path := fileToCheck(t)
		if damaged {
			patch(t, path, func(content []byte) { content[39] = 7 }) // in SQLite's header, the number of unused pages
		}
		before := contents(t, path, "")
		r, err := Repair(t.Context(), path, time.Now)
		if err != nil || r.After.Damaged != damaged || r.Backup != "" || len(r.Changes) > 0 {
			t.Errorf("damaged %t: got %+v, %v", damaged, r, err)
		}
		if found := r.After.Findings; damaged != (len(found) == 1 && strings.HasPrefix(found[0], "SQLite: ")) || !damaged && len(found) > 0 {
			t.Errorf("damaged %t: findings %q", damaged, found)
		}
		if contents(t, path, "") != before || strings.Contains(names(t, path), "before-repair") {
			t.Errorf("damaged %t: the file was changed, or the folder: %s", damaged, names(t, path))
		}
	}
}

// I1, I9: orders whose status was set back by hand are counted by their status, so that the tally
// can be written. A repair changes no order, and reports the findings that remain.
func TestARepairCountsAnOrderByItsStatus(t *testing.T) {
	path := fileToCheck(t)
	runScript(t, path, "UPDATE orders SET status = 0 WHERE seq IN (n1, n2); UPDATE tally SET processing = 9")
	before := dump(t, path)
	r, err := Repair(t.Context(), path, time.Now)
	if want := (order.Tally{ByStatus: order.Counts{2, 2, 1}}); err != nil || r.After.Tally != want || dump(t, path) != before ||
		strings.Count(strings.Join(r.After.Findings, "\n"), "status Pending contradicts the times") != 2 {
		t.Errorf("after the repair %+v, %v", r.After, err)
	}
}
