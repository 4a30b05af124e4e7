package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func TestCheckFindsNothingInAGoodFile(t *testing.T) {
	path := fileToCheck(t)
	before := read(t, path)
	report, err := Check(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Findings) != 0 {
		t.Errorf("findings: %q", report.Findings)
	}
	if want := (order.Counts{0, 2, 3}); report.Tally.ByStatus != want || report.Tally.CompletedCount != 2 {
		t.Errorf("tally %+v, want %v by status and 2 timed orders", report.Tally, want)
	}
	if report.Keys != 1 || report.DeadLetters != 0 {
		t.Errorf("%d keys and %d dead letters, want 1 and 0", report.Keys, report.DeadLetters)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("the file was changed")
	}
}

// F22, I1.
func TestCheckReadsTheLogOfAKilledProcess(t *testing.T) {
	path := withoutLock(t, makeCrashed(t, 0, 1))
	log := read(t, path+"-wal")
	hold(t, path, 1)
	if !bytes.Equal(log, read(t, path+"-wal")) {
		t.Error("the log was changed")
	}
}

func TestCheckCountsFindingsBeyondTheFirstHundred(t *testing.T) {
	path := fileToCheck(t)
	runScript(t, path, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
		INSERT INTO keys SELECT i, i FROM n`)
	report, err := Check(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(report.Findings); n != 101 || report.Findings[100] != "and 50 more findings" {
		t.Errorf("%d findings, the last one %q", n, report.Findings[n-1])
	}
}

func TestCheckCountsDeadLettersAndReportsNoFinding(t *testing.T) {
	path := fileToCheck(t)
	runScript(t, path, "INSERT INTO dead_letters (dead_lettered_at, body, reason) VALUES (1, x'00', 'nonsense')")
	report, err := Check(t.Context(), path)
	if err != nil || report.DeadLetters != 1 || len(report.Findings) != 0 {
		t.Errorf("got %+v, %v; want 1 dead letter and no findings", report, err)
	}
}

func TestCheckReportsDamageThatSQLiteFinds(t *testing.T) {
	path := fileToCheck(t)
	content := read(t, path)
	content[39] = 7 // in SQLite's header, the number of unused pages
	overwrite(t, path, content)
	report, err := Check(t.Context(), path)
	if err != nil || len(report.Findings) != 1 || !strings.HasPrefix(report.Findings[0], "SQLite: ") {
		t.Errorf("got %+v, %v; want one finding of SQLite's", report, err)
	}
	if !bytes.Equal(content, read(t, path)) {
		t.Error("the file was changed")
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

func TestCheckRefuses(t *testing.T) {
	good := read(t, fileToCheck(t))
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want error
	}{
		{"a file that is not there", func(*testing.T, string) {}, fs.ErrNotExist},
		{"a file that is served", serve, ErrInUse},
		{"a file that another program has locked", lockFile, ErrInUse},
		{"a file of a newer release", func(t *testing.T, path string) { runScript(t, path, "PRAGMA user_version = 99") }, ErrNewer},
		{"another program's database", func(t *testing.T, path string) { runScript(t, path, "PRAGMA application_id = 1") }, ErrDamaged},
		{"noise", func(t *testing.T, path string) { overwrite(t, path, noise()) }, ErrDamaged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := newPath(t)
			if !errors.Is(test.want, fs.ErrNotExist) {
				overwrite(t, path, good)
			}
			test.make(t, path)
			before, _ := os.ReadFile(path)
			_, err := Check(t.Context(), path)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestCheckAsksForAnOldFileToBeServedFirst(t *testing.T) {
	path := newPath(t)
	overwrite(t, path, nil)
	if _, err := Check(t.Context(), path); err == nil || !strings.Contains(err.Error(), "serve the file once") {
		t.Errorf("error %v for an empty file", err)
	}
}

func TestCheckMakesNoFile(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{filepath.Join(folder, "orders.db"), folder} {
		if _, err := Check(t.Context(), path); err == nil {
			t.Errorf("no error for %s", path)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 0 {
		t.Errorf("made %v (%v)", entries, err)
	}
}

func TestCheckStopsWithItsContext(t *testing.T) {
	path := fileToCheck(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ctx, path); err == nil {
		t.Error("no error, though the context had ended")
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
	{
		"a Pending order that is started",
		"UPDATE orders SET status = 0 WHERE seq = n5; UPDATE tally SET pending = 1, processing = 1",
		[]string{"status Pending contradicts the times"},
	},
	{
		"a Processing order that is not started",
		"UPDATE orders SET started_at = -(seq >> 15) WHERE seq = n5",
		[]string{"status Processing contradicts the times"},
	},
	{
		"a Completed order that is started and not completed",
		`UPDATE orders SET status = 2 WHERE seq = n4; UPDATE tally SET processing = 1, completed = 4`,
		[]string{"status Completed contradicts the times"},
	},
	{"a start before the creation", "UPDATE orders SET started_at = 1 WHERE seq = n1", []string{"started before it was created"}},
	{
		"a completion before the start",
		"UPDATE orders SET started_at = completed_at + 1 WHERE seq = n1",
		[]string{"completed before it was started"},
	},
	{"a time that is neither set nor unset", "UPDATE orders SET completed_at = 0 WHERE seq = n3", []string{"has a time that is neither"}},
	{"items that are no list", "UPDATE orders SET item_ids = '[1' WHERE seq = n1", []string{"has item_ids that cannot be read"}},
	{"an invalid id", "UPDATE orders SET id = 'I' WHERE seq = n5", []string{`"ORDI", at seq`}},
	{
		"an unfinished order that a restart would pass over",
		"UPDATE checkpoints SET seq = n4 WHERE name = 'finished'",
		[]string{`is Processing, but the checkpoint "finished"`},
	},
	{
		"a checkpoint that orders to come would fall behind",
		"UPDATE checkpoints SET seq = n5 + 1 WHERE name = 'keys'",
		[]string{"a checkpoint", "is missing in keys"},
	},
	{"a keyed order that a restart would not find", "DELETE FROM keys", []string{"is missing in keys"}},
	{"a key that leads to another order", "UPDATE keys SET seq = n1", []string{"but keys leads to seq", "where that order is not"}},
	{"a key that leads nowhere", "INSERT INTO keys VALUES ('A', 7)", []string{"keys leads from ORDA to seq 7"}},
	{
		"two orders of one new key",
		"UPDATE orders SET id = (SELECT id FROM orders WHERE seq = n4) WHERE seq = n5",
		[]string{"is the id of 2 orders"},
	},
	{
		"two orders of one old key",
		"UPDATE orders SET id = (SELECT id FROM orders WHERE seq = n2) WHERE seq = n5",
		[]string{"but keys leads to seq"},
	},
	{"a fingerprint that is cut", "UPDATE orders SET fingerprint = x'00' WHERE seq = n1", []string{"has a fingerprint of the wrong length"}},
	{
		"a row that is no order of this program",
		"INSERT INTO orders SELECT -1, 'A', '', '', '[]', 0, fingerprint, 0, 0, 0 FROM orders LIMIT 1",
		[]string{"there is a row at seq -1"},
	},
	{
		"a status that there is not",
		"PRAGMA ignore_check_constraints = ON; UPDATE orders SET status = 7 WHERE seq = n5; UPDATE tally SET processing = 1",
		[]string{"has the status 7, which there is not"},
	},
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
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := sqlitex.ExecScript(conn, "PRAGMA locking_mode = EXCLUSIVE; UPDATE tally SET pending = pending"); err != nil {
		t.Fatal(err)
	}
}
