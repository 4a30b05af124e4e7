package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestCheckReportsAGoodFile(t *testing.T) {
	db := goodFile(t)
	code, stdout, stderr := invoke(t, nil, "check", "--db", db)
	want := regexp.MustCompile(`^database      ` + regexp.QuoteMeta(db) + `
orders        1 \([01] Pending, [01] Processing, 0 Completed\)
timed         0, on average 0\.000 s from creation to completion
keys indexed  0
dead letters  0
ok
$`)
	if code != exitOK || !want.MatchString(stdout) || stderr != "" {
		t.Errorf("exit code %d\n%s%s\nwant 0 and\n%s", code, stdout, stderr, want)
	}
}

func TestCheckFailsWithFindings(t *testing.T) {
	db := goodFile(t)
	runSQL(t, db, "UPDATE tally SET completed = 7; UPDATE checkpoints SET seq = 1 << 62 WHERE name = 'keys'")
	code, stdout, stderr := invoke(t, map[string]string{"ORDERS_DB": db}, "check")
	if n := strings.Count(stdout, "\nfinding: "); code != exitFailed || n != 2 || strings.Contains(stdout, "\nok\n") {
		t.Errorf("exit code %d\n%s\nwant 1 and two findings", code, stdout)
	}
	if want := fmt.Sprintf("orders: %s: does not fit together, see the findings; "+
		"orders check --repair mends what does not concern an order itself\n", db); stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}

func TestCheckMakesNoFile(t *testing.T) {
	folder := t.TempDir()
	db := filepath.Join(folder, "orders.db")
	code, stdout, stderr := invoke(t, nil, "check", "--db", db)
	if want := fmt.Sprintf("orders: %s: no such file or directory\n", db); code != exitFailed || stdout != "" || stderr != want {
		t.Errorf("exit code %d, %q, %q; want 1 and %q", code, stdout, stderr, want)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		t.Errorf("made %v (%v)", entries, err)
	}
}
