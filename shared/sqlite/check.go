package sqlite

import (
	"cmp"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// A Report is the result of Check.
type Report struct {
	// Tally is a recount over all orders.
	Tally order.Tally
	// Keys is the number of ids in the table keys.
	Keys int64
	// DeadLetters is the number of messages in the table dead_letters: those that could never succeed,
	// and those of orders that could not be read. They are for an operator to look at, and not a
	// finding about the file.
	DeadLetters int64
	// Damaged says that SQLite itself finds the file damaged. The report then has SQLite's findings
	// only, because such a file cannot be read reliably.
	Damaged bool
	// Missing is how many more orders the tally has counted than there are.
	Missing int64
	// Findings has a sentence for each inconsistency. It is empty if there is none.
	Findings []string
}

// maxFindings bounds a report. Further findings are only counted.
const maxFindings = 100

// Check reads the whole database file and reports inconsistencies. It does not change the file, but
// locks it as Open does, so that no other process changes it meanwhile. Its memory does not grow
// with the number of orders.
//
// Its error has the path, and is fs.ErrNotExist, ErrInUse, ErrNewer, ErrDamaged, ErrForeignLog or
// an error of the operating system.
func Check(ctx context.Context, path string) (report Report, err error) {
	err = checkOrphanedLog(path)
	if err == nil {
		var o *owner
		if o, err = acquireReadLock(path); err == nil {
			report, err = o.check(ctx)
			err = errors.Join(err, o.release())
		}
	}
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, explain(err))
	}
	return report, nil
}

func (o *owner) check(ctx context.Context) (Report, error) {
	if err := o.checkLog(); err != nil {
		return Report{}, err
	}
	return checkFile(ctx, o.file)
}

// checkFile checks a file that this process owns, or that no other process knows.
func checkFile(ctx context.Context, file string) (report Report, err error) {
	conn, err := openToRead(file)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	c := checker{conn: conn}
	err = c.check()
	return c.report, err
}

// openShared opens for reading a file that other processes may use and change.
func openShared(file string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(busyTimeout)
	if _, err := queryInt(conn, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// openToRead opens for reading a file that its caller owns. SQLite creates files beside the
// database to read it. Where that is not permitted, a file without a log can be read without them.
func openToRead(file string) (*sqlite.Conn, error) {
	conn, err := openShared(file)
	if err == nil {
		return conn, nil
	}
	if log, failed := os.Stat(file + "-wal"); !errors.Is(failed, fs.ErrNotExist) && (failed != nil || log.Size() > 0) {
		return nil, err
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultCantOpen, sqlite.ResultReadOnly:
		return openImmutable(file)
	default:
		return nil, err
	}
}

// openImmutable opens a file that no process changes and that has no log. SQLite ignores what lies
// beside it, and creates no files.
func openImmutable(file string) (*sqlite.Conn, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	uri := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(absolute), RawQuery: "immutable=1"}
	return sqlite.OpenConn(uri.String(), sqlite.OpenReadOnly|sqlite.OpenURI)
}

type checker struct {
	conn   *sqlite.Conn
	report Report
	more   int // findings beyond maxFindings

	finished, keyed int64          // the checkpoints
	open            map[int64]bool // orders that a restart finds though they lie below "finished"
}

func (c *checker) check() error {
	version, err := schemaVersion(c.conn)
	if err != nil {
		return err
	}
	if version == 0 {
		return errors.New("is empty: serve the file once, which makes it a database of orders")
	}
	if known := len(migrations); version < known {
		return fmt.Errorf("has schema %d, and this program %d: serve the file once, which brings it up to date", version, known)
	}
	return c.read()
}

func (c *checker) read() (err error) {
	if err := c.integrity(); err != nil || c.report.Damaged {
		return err
	}
	for _, step := range []func() error{c.checkpoints, c.orders, c.tally, c.duplicates, c.keyRows, c.sideRows} {
		if err := step(); err != nil {
			return err
		}
	}
	c.report.DeadLetters, err = queryInt(c.conn, "SELECT count(*) FROM dead_letters")
	return err
}

func (c *checker) addFinding(format string, args ...any) {
	finding := fmt.Sprintf(format, args...)
	if len(c.report.Findings) >= maxFindings {
		c.more++
		finding = fmt.Sprintf("and %d more findings", c.more)
		c.report.Findings = c.report.Findings[:maxFindings]
	}
	c.report.Findings = append(c.report.Findings, finding)
}

// integrity lets SQLite check its own structures and the types of values.
func (c *checker) integrity() error {
	return sqlitex.ExecuteTransient(c.conn, "PRAGMA integrity_check", &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error {
			if text := row.ColumnText(0); text != "ok" {
				c.report.Damaged = true
				c.addFinding("SQLite: %s", text)
			}
			return nil
		},
	})
}

func (c *checker) checkpoints() (err error) {
	last, err := queryInt(c.conn, "SELECT coalesce(max(seq), 0) FROM orders")
	if err != nil {
		return err
	}
	if c.finished, err = checkpoint(c.conn, finishedCheckpoint); err != nil {
		return err
	}
	if c.keyed, err = checkpoint(c.conn, keysCheckpoint); err != nil {
		return err
	}
	if c.open, err = loadPostponed(c.conn); err != nil {
		return err
	}
	if err := loadOpen(c.conn, c.open); err != nil {
		return err
	}
	if c.finished > last || c.keyed > last {
		c.addFinding("a checkpoint (finished %d, keys %d) lies beyond the last order (%d)", c.finished, c.keyed, last)
	}
	return nil
}

func (c *checker) orders() error {
	const query = `SELECT orders.seq, id, orders.status, started_at, completed_at, item_ids, length(fingerprint), total_amount,
		exceptions.status, ` + exceptionColumns + ` FROM orders LEFT JOIN exceptions USING (seq) ORDER BY orders.seq`
	var failed error
	err := eachRow(c.conn, query, func(row *sqlite.Stmt) { failed = cmp.Or(failed, c.row(row)) })
	return cmp.Or(err, failed)
}

// row checks a row of orders, and the one of exceptions that belongs to it.
func (c *checker) row(row *sqlite.Stmt) error {
	seq, status := row.ColumnInt64(0), row.ColumnInt64(2)
	if seq <= 0 {
		c.addFinding("there is a row at seq %d, where no order of this program can be", seq)
		return nil
	}
	if !isStatus(status) {
		// SQLite does not check CHECK constraints when it only reads.
		c.addFinding("the order at seq %d has the status %d, which there is not", seq, status)
		return nil
	}
	o := order.Order{
		ID:          order.ID(idPrefix + row.ColumnText(1)),
		Status:      order.Status(status),
		CreatedAt:   createdAt(seq),
		StartedAt:   decodeTime(row.ColumnInt64(3)),
		CompletedAt: decodeTime(row.ColumnInt64(4)),
	}
	counted := o
	if o.Status != order.Completed {
		counted.CompletedAt = time.Time{} // the status decides, whatever the times are
	}
	c.report.Tally.Add(order.Change{New: &counted}.Tally())
	c.values(row, &o)
	var damage string
	if o.Exception, damage = decodeException(row, 9, o.Status); damage != "" {
		c.addFinding("%s: %s", o.ID, damage)
		return nil
	}
	if o.Exception != nil && row.ColumnInt64(8) != status {
		c.addFinding("%s is %s, but exceptions has another status", o.ID, o.Status)
	}
	return c.order(seq, &o)
}

// values checks the values in a row of orders, each by itself.
func (c *checker) values(row *sqlite.Stmt, o *order.Order) {
	if row.ColumnInt64(3) != encodeTime(o, o.StartedAt) || row.ColumnInt64(4) != encodeTime(o, o.CompletedAt) {
		c.addFinding("%s has a time that is neither set nor marked as unset", o.ID)
	}
	if err := json.Unmarshal([]byte(row.ColumnText(5)), &o.ItemIDs); err != nil {
		c.addFinding("%s has item_ids that cannot be read: %v", o.ID, err)
	}
	if row.ColumnInt64(6) != int64(len(o.Fingerprint)) {
		c.addFinding("%s has a fingerprint of the wrong length", o.ID)
	}
	if amount := row.ColumnInt64(7); amount < 0 || amount > int64(order.MaxAmount) {
		c.addFinding("%s has a total_amount that no order can have", o.ID)
	}
}

// order checks the lifecycle of one order, and its place among the checkpoints and keys.
func (c *checker) order(seq int64, o *order.Order) error {
	if err := o.Validate(); err != nil {
		c.addFinding("%s: %v", o.ID, err)
	}
	if o.Status < order.Completed && seq <= c.finished && !c.open[seq] {
		c.addFinding("%s is %s, but the checkpoint %q says that it is done", o.ID, o.Status, finishedCheckpoint)
	}
	if _, err := order.ParseID(string(o.ID)); err != nil {
		c.addFinding("%q, at seq %d, does not have the form of an id", o.ID, seq)
		return nil
	}
	if decodeSeq(o.ID) == seq {
		return nil
	}
	at, err := lookUpKey(c.conn, o.ID)
	switch {
	case err != nil:
		return err
	case at == 0 && seq <= c.keyed:
		c.addFinding("%s is missing in keys, but the checkpoint %q says that it is there", o.ID, keysCheckpoint)
	case at != 0 && at != seq:
		c.addFinding("%s is at seq %d, but keys leads to seq %d", o.ID, seq, at)
	}
	return nil
}

func (c *checker) tally() error {
	stored, err := loadTally(c.conn)
	if errors.Is(err, errNoTally) {
		c.addFinding("%v", err)
		return nil
	}
	if err != nil || stored == c.report.Tally {
		return err
	}
	missing := ""
	if c.report.Missing = max(stored.Total()-c.report.Tally.Total(), 0); c.report.Missing > 0 {
		missing = fmt.Sprintf(": %d orders that were acknowledged are missing", c.report.Missing)
	}
	c.addFinding("the tally has %s, but a recount gives %s%s", formatTally(stored), formatTally(c.report.Tally), missing)
	return err
}

func formatTally(t order.Tally) string {
	return fmt.Sprintf("%s (%d completed by the service, in %d ms)", t.ByStatus, t.CompletedCount, t.DurationSumMillis)
}

// sideTables are the tables that have a row for some of the orders, and say for which at most.
var sideTables = []struct{ name, orders string }{
	{"exceptions", "TRUE"},
	{"open_orders", "orders.status < 2"},
}

// strayRows is what selects or deletes the rows of a side table that belong to no such order.
const strayRows = " FROM %[1]s WHERE NOT EXISTS (SELECT 1 FROM orders WHERE orders.seq = %[1]s.seq AND %[2]s)"

func (c *checker) sideRows() error {
	for _, table := range sideTables {
		err := eachRow(c.conn, fmt.Sprintf("SELECT seq"+strayRows, table.name, table.orders), func(row *sqlite.Stmt) {
			c.addFinding("%s has seq %d, where there is no such order", table.name, row.ColumnInt64(0))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// duplicates finds ids that two orders have, among the few orders above the checkpoint "keys".
// Below it, a duplicate contradicts the table keys.
func (c *checker) duplicates() error {
	const query = "SELECT id, count(*) FROM orders WHERE seq > ? GROUP BY id HAVING count(*) > 1"
	return eachRow(c.conn, query, func(row *sqlite.Stmt) {
		c.addFinding("%s%s is the id of %d orders", idPrefix, row.ColumnText(0), row.ColumnInt64(1))
	}, c.keyed)
}

func (c *checker) keyRows() error {
	const query = `SELECT keys.id, keys.seq, orders.id IS keys.id
		FROM keys LEFT JOIN orders USING (seq)`
	return eachRow(c.conn, query, func(row *sqlite.Stmt) {
		c.report.Keys++
		if !row.ColumnBool(2) {
			c.addFinding("keys leads from %s%s to seq %d, where that order is not", idPrefix, row.ColumnText(0), row.ColumnInt64(1))
		}
	})
}
