package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// repairs are faults that a repair corrects, and the changes that it reports.
var repairs = []struct {
	name, spoil string
	changes     []string // beginnings, in no order
}{
	{"a wrong tally", "UPDATE tally SET pending = 7, duration_sum_ms = 1", []string{
		"tally: 7 Pending, 2 Processing, 3 Completed (2 of them timed, 1 ms) -> 0 Pending, 2 Processing, 3 Completed (2 of them timed, ",
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
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const query = `SELECT seq || id || client_reference || user_id || item_ids || total_amount || hex(fingerprint) ||
		status || started_at || completed_at FROM orders`
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error {
		all += row.ColumnText(0) + "\n"
		return nil
	}})
	if err != nil || all == "" {
		t.Fatalf("%q %v", all, err)
	}
	return all
}

// I1: a repair changes no order, and reports the findings that remain.
func TestRepairLeavesFindingsAboutOrders(t *testing.T) {
	path := fileToCheck(t)
	runScript(t, path, "UPDATE orders SET started_at = 1 WHERE seq = n1; UPDATE tally SET pending = 7")
	before := dump(t, path)
	r, err := Repair(t.Context(), path, time.Now)
	if err != nil || len(r.After.Findings) != 1 || !strings.Contains(r.After.Findings[0], "started before it was created") {
		t.Errorf("findings after %q, %v; want the one of the order", r.After.Findings, err)
	}
	if dump(t, path) != before {
		t.Error("an order was changed")
	}
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

func TestRepairOfAGoodFileChangesNothing(t *testing.T) {
	path := fileToCheck(t)
	before := string(read(t, path))
	r, err := Repair(t.Context(), path, time.Now)
	if err != nil || len(r.After.Findings) > 0 || r.After.Tally.Total() != 5 || r.Backup != "" || len(r.Changes) > 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	if string(read(t, path)) != before || strings.Contains(names(t, path), "before-repair") {
		t.Errorf("the file was changed, or the folder: %s", names(t, path))
	}
}

func TestRepairDoesNotTouchAFileThatSQLiteFindsDamaged(t *testing.T) {
	path := fileToCheck(t)
	runScript(t, path, "UPDATE tally SET pending = 7")
	content := read(t, path)
	content[39] = 7 // in SQLite's header, the number of unused pages
	overwrite(t, path, content)
	r, err := Repair(t.Context(), path, time.Now)
	if err != nil || !r.After.Damaged || r.Backup != "" {
		t.Errorf("got %+v, %v; want damage", r, err)
	}
	if string(read(t, path)) != string(content) {
		t.Error("the file was changed")
	}
}

func TestRepairRefusesAFileThatIsServed(t *testing.T) {
	path := fileToCheck(t)
	serve(t, path)
	if _, err := Repair(t.Context(), path, time.Now); err == nil || !strings.Contains(err.Error(), ErrInUse.Error()) {
		t.Errorf("error %v, not %v", err, ErrInUse)
	}
}

// I9: orders whose status was set back by hand are counted by their status, so that the tally can be
// written.
func TestARepairCountsAnOrderByItsStatus(t *testing.T) {
	path := fileToCheck(t)
	runScript(t, path, "UPDATE orders SET status = 0 WHERE seq IN (n1, n2); UPDATE tally SET processing = 9")
	repaired, err := Repair(t.Context(), path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if want := (order.Tally{ByStatus: order.Counts{2, 2, 1}}); repaired.After.Tally != want || len(repaired.After.Findings) != 2 {
		t.Errorf("after the repair %+v", repaired.After)
	}
}
