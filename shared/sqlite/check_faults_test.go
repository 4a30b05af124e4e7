package sqlite_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// Of the five orders in the file, the first three are Completed, and the third
// was taken over so; the last two are Processing. The second and the fourth have
// keys, of which the second one's is in keys.
var faults = []struct {
	name string
	plan string // SQL; n1 to n5 stand for the seqs
	want []string
}{
	{"a tally with an order too many", "UPDATE tally SET pending = 1", []string{"the tally has 1 Pending"}},
	{"a tally with a millisecond too many", "UPDATE tally SET timed_millis = timed_millis + 1", []string{"the tally has"}},
	{
		"a Pending order that is started",
		"UPDATE orders SET status = 0 WHERE seq = n5; UPDATE tally SET pending = 1, processing = 1",
		[]string{"is Pending, which its times deny"},
	},
	{
		"a Processing order that is not started",
		"UPDATE orders SET started_at = -(seq >> 15) WHERE seq = n5",
		[]string{"is Processing, which its times deny"},
	},
	{
		"a Completed order that is started and not completed",
		`UPDATE orders SET status = 2 WHERE seq = n4; UPDATE tally SET processing = 1, completed = 4`,
		[]string{"is Completed, which its times deny"},
	},
	{"a start before the creation", "UPDATE orders SET started_at = 1 WHERE seq = n1", []string{"was started before it was created"}},
	{
		"a completion before the start",
		"UPDATE orders SET started_at = completed_at + 1 WHERE seq = n1",
		[]string{"was completed before it was started"},
	},
	{"a time that is neither set nor unset", "UPDATE orders SET completed_at = 0 WHERE seq = n3", []string{"has a time that is neither"}},
	{"items that are no list", "UPDATE orders SET item_ids = '[1' WHERE seq = n1", []string{"has item_ids that cannot be read"}},
	{"an id that is none", "UPDATE orders SET id = 'I' WHERE seq = n5", []string{`"ORDI", at seq`}},
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
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "orders.db")
			overwrite(t, path, good)
			execute(t, path, f.plan)
			report, err := sqlite.Check(t.Context(), path)
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

// fileToCheck makes the file that faults describes, and closes it.
func fileToCheck(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "orders.db")
	store := openStore(t, path, time.Millisecond)
	makeOrder(t, store, order.Draft{})
	makeOrder(t, store, order.Draft{Key: order.KeyedID("", "old")})
	makeOrder(t, store, order.Draft{InitialStatus: order.Completed})
	waitForCount(t, store, order.Completed, 3)
	closeStore(t, store)

	store = openStore(t, path, time.Hour/4)
	makeOrder(t, store, order.Draft{Key: order.KeyedID("", "new")})
	makeOrder(t, store, order.Draft{})
	waitForCount(t, store, order.Processing, 2)
	closeStore(t, store)
	// What the store does by itself after many more orders:
	execute(t, path, "INSERT INTO keys SELECT id, seq FROM orders WHERE seq = n2; UPDATE checkpoints SET seq = n3 WHERE name = 'keys'")
	return path
}

func openStore(t *testing.T, path string, processing time.Duration) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), storeConfig(path, processing))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func storeConfig(path string, processing time.Duration) sqlite.Config {
	return sqlite.Config{
		Path: path, ProcessingTime: processing,
		Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	}
}

// serveFile keeps the file open for as long as the test runs.
func serveFile(t *testing.T, path string) {
	store := openStore(t, path, time.Hour/4)
	t.Cleanup(func() { closeStore(t, store) })
}

func closeStore(t *testing.T, store *sqlite.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func makeOrder(t *testing.T, store *sqlite.Store, d order.Draft) {
	t.Helper()
	d.UserID, d.ItemIDs = "645", []string{"12", "34"}
	if _, _, err := store.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func waitForCount(t *testing.T, store *sqlite.Store, status order.Status, want int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		tally, err := store.Metrics(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("tally %+v (%v), want %d %s", tally, err, want, status)
		}
		if tally.ByStatus[status] == want {
			return
		}
	}
}

// execute runs SQL in which n1 is the seq of the first order, and so on.
func execute(t *testing.T, path, script string) {
	t.Helper()
	conn, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		seq := fmt.Sprintf("(SELECT seq FROM orders ORDER BY seq LIMIT 1 OFFSET %d)", n)
		script = strings.ReplaceAll(script, fmt.Sprintf("n%d", n+1), seq)
	}
	if err := errors.Join(sqlitex.ExecScript(conn, script), conn.Close()); err != nil {
		t.Fatal(err)
	}
}

// lockFile holds the file for as long as the test runs.
func lockFile(t *testing.T, path string) {
	conn, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := sqlitex.ExecScript(conn, "PRAGMA locking_mode = EXCLUSIVE; UPDATE tally SET pending = pending"); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
