package sqlite

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// epoch is the first time of tests that set the clock.
var epoch = time.UnixMilli(1_800_000_000_000)

// newPath is where a test may make a database, in a folder of its own.
func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "orders.db") }

func storeConfig(path string, processing time.Duration) Config {
	return Config{
		Path: path, Fulfilment: order.Timer(min(processing, order.MaxProcessingTime)),
		Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	}
}

func openStore(t *testing.T, path string, processing time.Duration) *Store {
	t.Helper()
	store, err := Open(t.Context(), storeConfig(path, processing))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func closeStore(t *testing.T, store *Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// openLogging opens a store whose log goes to a buffer.
func openLogging(t *testing.T, cfg Config) (*Store, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	store, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store, &log
}

// tryOpen opens a store that is expected to be refused.
func tryOpen(t *testing.T, path string) error {
	t.Helper()
	store, err := Open(t.Context(), storeConfig(path, time.Hour))
	if err == nil {
		closeStore(t, store)
	}
	return err
}

// serve keeps the file open for as long as the test runs, with an order in the log.
func serve(t *testing.T, path string) {
	t.Helper()
	store := openStore(t, path, time.Hour)
	t.Cleanup(func() { _ = store.Close() })
	makeOrder(t, store, completed)
}

// completed is an order for which there is nothing to do in the background, which would come
// between the steps of a test.
var completed = order.Draft{InitialStatus: order.Completed}

func makeOrder(t *testing.T, store *Store, d order.Draft) {
	t.Helper()
	d.UserID, d.ItemIDs = "645", []string{"12", "34"}
	if _, _, err := store.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func waitForCount(t *testing.T, store *Store, status order.Status, want int64) {
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

// makeOrders makes a database with so many orders.
func makeOrders(t *testing.T, orders int) (path string) {
	t.Helper()
	path = newPath(t)
	addOrders(t, path, orders)
	return path
}

func addOrders(t *testing.T, path string, orders int) {
	t.Helper()
	store := openStore(t, path, time.Hour)
	for range orders {
		makeOrder(t, store, completed)
	}
	closeStore(t, store)
}

// makeCrashed makes a database as a killed process leaves it, with so many orders in the file and
// in the log.
func makeCrashed(t *testing.T, inFile, inLog int) (path string) {
	t.Helper()
	served := makeOrders(t, inFile)
	store := openStore(t, served, time.Hour)
	for range inLog {
		makeOrder(t, store, completed)
	}
	path = copied(t, served)
	closeStore(t, store)
	return path
}

// copied is a copy of a database with all that belongs to it.
func copied(t *testing.T, path string) (to string) {
	t.Helper()
	to = newPath(t)
	for _, suffix := range []string{"", "-wal", "-journal", lockSuffix} {
		if _, err := os.Stat(path + suffix); err == nil {
			overwrite(t, to+suffix, read(t, path+suffix))
		}
	}
	return to
}

// copiedAlone is a copy of a database without anything that belongs to it.
func copiedAlone(t *testing.T, path string) (to string) {
	t.Helper()
	to = newPath(t)
	overwrite(t, to, read(t, path))
	return to
}

// backedUp makes a backup of a database.
func backedUp(t *testing.T, path string) (dest string) {
	t.Helper()
	dest = filepath.Join(t.TempDir(), "backup.db")
	if report, err := Backup(t.Context(), path, dest, time.Now); err != nil {
		t.Fatalf("%v %q", err, report.Findings)
	}
	return dest
}

// hold fails the test unless the file fits together and has that many orders.
func hold(t *testing.T, path string, orders int64) {
	t.Helper()
	report, err := Check(t.Context(), path)
	if err != nil || len(report.Findings) > 0 || report.Tally.Total() != orders {
		t.Errorf("check of %s: %d orders, not %d; %v %q", path, report.Tally.Total(), orders, err, report.Findings)
	}
}

// downgrade gives a file the schema of an older release.
func downgrade(t *testing.T, path string, version int) {
	t.Helper()
	runScript(t, path, `DROP TABLE exceptions; DROP TABLE open_orders;
		ALTER TABLE tally DROP COLUMN failed; ALTER TABLE tally DROP COLUMN cancelled; PRAGMA user_version = 3`)
	if version < 3 {
		runScript(t, path, `ALTER TABLE tally RENAME COLUMN completed_count TO timed_orders;
			ALTER TABLE tally RENAME COLUMN duration_sum_ms TO timed_millis;
			ALTER TABLE dead_letters RENAME COLUMN dead_lettered_at TO buried_at; PRAGMA user_version = 2`)
	}
	if version < 2 {
		runScript(t, path, "DROP TABLE generation; DROP TABLE probe; PRAGMA user_version = 1")
	}
}

// holdOpened fails the test unless a store finds that many Completed orders in the file.
func holdOpened(t *testing.T, path string, orders int64) {
	t.Helper()
	store := openStore(t, path, time.Hour)
	waitForCount(t, store, order.Completed, orders)
	closeStore(t, store)
}

// fileToCheck makes a file of five orders. The first three are Completed, of which the third was
// imported so; the last two are Processing. The second and the fourth have keys, of which the
// second one's is in the table keys.
func fileToCheck(t *testing.T) (path string) {
	t.Helper()
	path = newPath(t)
	store := openStore(t, path, time.Millisecond)
	makeOrder(t, store, order.Draft{})
	makeOrder(t, store, order.Draft{Key: order.KeyedID("", "old")})
	makeOrder(t, store, completed)
	waitForCount(t, store, order.Completed, 3)
	closeStore(t, store)

	store = openStore(t, path, time.Hour/4)
	makeOrder(t, store, order.Draft{Key: order.KeyedID("", "new")})
	makeOrder(t, store, order.Draft{})
	waitForCount(t, store, order.Processing, 2)
	closeStore(t, store)
	// What the store does by itself after many more orders:
	runScript(t, path, "INSERT INTO keys SELECT id, seq FROM orders WHERE seq = n2; UPDATE checkpoints SET seq = n3 WHERE name = 'keys'")
	return path
}

// leaveRoom lets the file grow by so many pages and no further.
func leaveRoom(t *testing.T, conn *sqlite.Conn, pages int64) {
	t.Helper()
	count, err := queryInt(conn, "PRAGMA page_count")
	if err := errors.Join(err, pragma(conn, fmt.Sprintf("max_page_count = %d", count+pages))); err != nil {
		t.Fatal(err)
	}
}

// connect opens a file as another program may, for the time of the test.
func connect(t *testing.T, path string) *sqlite.Conn {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func runSQL(t *testing.T, conn *sqlite.Conn, statement string) {
	t.Helper()
	if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// runScript runs SQL on a file that is not served, in which n1 is the seq of the first order, and
// so on.
func runScript(t *testing.T, path, script string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
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

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func patch(t *testing.T, path string, change func([]byte)) {
	t.Helper()
	content := read(t, path)
	change(content)
	overwrite(t, path, content)
}

func noise() []byte {
	noise := make([]byte, 8192)
	_, _ = rand.Read(noise)
	return noise
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, path string) (link string) {
	t.Helper()
	link = filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func withoutLock(t *testing.T, path string) string {
	t.Helper()
	remove(t, path+lockSuffix)
	return path
}

// names are those of all files in a file's folder.
func names(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return strings.Join(all, " ")
}

// contents tells one state of a database's files from another. An empty file is as good as none, and
// the -shm alone says nothing about orders.
func contents(t *testing.T, path string, suffixes ...string) (all string) {
	t.Helper()
	for _, suffix := range suffixes {
		content, _ := os.ReadFile(path + suffix)
		all += fmt.Sprintf("%s: %d bytes %x\n", suffix, len(content), sha256.Sum256(content))
	}
	return all
}
