package sqlite_test

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
	"time"

	"orders/shared/order"
	"orders/shared/sqlite"
)

func TestCheckFindsNothingInAGoodFile(t *testing.T) {
	path := fileToCheck(t)
	before := read(t, path)
	report, err := sqlite.Check(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Findings) != 0 {
		t.Errorf("findings: %q", report.Findings)
	}
	if want := [...]int64{0, 2, 3}; report.Tally.ByStatus != want || report.Tally.CompletedCount != 2 {
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
func TestCheckReadsWhatAKilledProcessHasLeftInTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	store := openStore(t, path, time.Hour/4)
	defer closeStore(t, store)
	makeOrder(t, store, order.Draft{})
	waitForCount(t, store, order.Processing, 1) // from here on nothing is written
	copied := filepath.Join(t.TempDir(), "orders.db")
	log := read(t, path+"-wal")
	overwrite(t, copied, read(t, path))
	overwrite(t, copied+"-wal", log)

	report, err := sqlite.Check(t.Context(), copied)
	if err != nil || report.Tally.Total() != 1 || len(report.Findings) != 0 {
		t.Errorf("got %+v, %v; want 1 order and no findings", report, err)
	}
	if !bytes.Equal(log, read(t, copied+"-wal")) {
		t.Error("the log was changed")
	}
}

func TestCheckCountsFindingsBeyondTheFirstHundred(t *testing.T) {
	path := fileToCheck(t)
	execute(t, path, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
		INSERT INTO keys SELECT i, i FROM n`)
	report, err := sqlite.Check(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(report.Findings); n != 101 || report.Findings[100] != "and 50 more findings" {
		t.Errorf("%d findings, the last one %q", n, report.Findings[n-1])
	}
}

func TestCheckCountsDeadLettersAndDoesNotBlameThem(t *testing.T) {
	path := fileToCheck(t)
	execute(t, path, "INSERT INTO dead_letters (buried_at, body, reason) VALUES (1, x'00', 'nonsense')")
	report, err := sqlite.Check(t.Context(), path)
	if err != nil || report.DeadLetters != 1 || len(report.Findings) != 0 {
		t.Errorf("got %+v, %v; want 1 dead letter and no findings", report, err)
	}
}

func TestCheckReportsDamageThatSQLiteFinds(t *testing.T) {
	path := fileToCheck(t)
	content := read(t, path)
	content[39] = 7 // in SQLite's header, the number of unused pages
	overwrite(t, path, content)
	report, err := sqlite.Check(t.Context(), path)
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
		report, err := sqlite.Check(t.Context(), path)
		if err == nil && len(report.Findings) == 0 || err != nil && !errors.Is(err, sqlite.ErrDamaged) {
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
		{"a file that is served", serveFile, sqlite.ErrInUse},
		{"a file that another program has locked", lockFile, sqlite.ErrInUse},
		{"a file of a newer release", func(t *testing.T, path string) { execute(t, path, "PRAGMA user_version = 99") }, sqlite.ErrNewer},
		{"another program's database", func(t *testing.T, path string) { execute(t, path, "PRAGMA application_id = 1") }, sqlite.ErrDamaged},
		{"noise", func(t *testing.T, path string) { overwrite(t, path, []byte(rand.Text()+rand.Text())) }, sqlite.ErrDamaged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "orders.db")
			if !errors.Is(test.want, fs.ErrNotExist) {
				overwrite(t, path, good)
			}
			test.make(t, path)
			before, _ := os.ReadFile(path)
			_, err := sqlite.Check(t.Context(), path)
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
	path := filepath.Join(t.TempDir(), "orders.db")
	overwrite(t, path, nil)
	if _, err := sqlite.Check(t.Context(), path); err == nil || !strings.Contains(err.Error(), "serve the file once") {
		t.Errorf("error %v for an empty file", err)
	}
}

func TestCheckMakesNoFile(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{filepath.Join(folder, "orders.db"), folder} {
		if _, err := sqlite.Check(t.Context(), path); err == nil {
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
	if _, err := sqlite.Check(ctx, path); err == nil {
		t.Error("no error, though the context had ended")
	}
}
