package sqlite

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// A Report is what Check has read in a database file.
type Report struct {
	// Tally is a recount over all orders.
	Tally order.Tally
	// Keys is how many ids of idempotency keys are in the table keys.
	Keys int64
	// DeadLetters is how many messages could never succeed. They are for an
	// operator to look at, and no fault of the file's.
	DeadLetters int64
	// Damaged says that SQLite itself finds the file damaged. The report then has its findings and
	// nothing else: what is read from such a file says little.
	Damaged bool
	// Missing is how many orders fewer there are than the tally has counted.
	Missing int64
	// Findings says what does not fit together, a sentence each. It is empty
	// when everything does.
	Findings []string
}

// maxFindings bounds a report; what is beyond is only counted.
const maxFindings = 100

// Check reads the whole database file and reports whether all in it fits
// together. It changes nothing in the file, but locks it as Open does, so that
// nobody else changes it meanwhile. Its memory does not grow with the number of orders.
//
// It returns fs.ErrNotExist when there is no file, ErrInUse, ErrNewer or
// ErrDamaged, with the path, when it cannot be read as one of ours, or the
// operating system's reason.
func Check(ctx context.Context, path string) (Report, error) {
	report, err := check(ctx, path)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, explain(err))
	}
	return report, nil
}

// check makes the process the owner of the file for as long as it is checked.
func check(ctx context.Context, path string) (report Report, err error) {
	if err := checkOrphanedLog(path); err != nil {
		return report, err
	}
	o, err := acquireReadLock(path)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, o.release()) }()
	return o.check(ctx)
}

func (o *owner) check(ctx context.Context) (Report, error) {
	if err := o.checkLog(); err != nil {
		return Report{}, err
	}
	return checkFile(ctx, o.file)
}

// checkFile checks a file that the process owns, or that nobody else knows.
func checkFile(ctx context.Context, file string) (report Report, err error) {
	conn, err := openToRead(file)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	c := checker{conn: conn}
	err = c.check()
	return c.result(), err
}

type checker struct {
	conn   *sqlite.Conn
	report Report
	more   int // findings beyond maxFindings

	// The checkpoints.
	finished, keyed int64
	// Orders that a restart finds though they lie below the checkpoint "finished".
	postponed map[int64]bool
}

// openShared opens a file for reading that others may use and change.
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

// openToRead opens a file that its caller owns. SQLite makes files beside the database
// to read it; where it may not, a file without a log can be read without them.
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

// read reads a file that has this program's schema.
func (c *checker) read() (err error) {
	if err := c.integrity(); err != nil || c.report.Damaged {
		return err
	}
	for _, step := range []func() error{c.checkpoints, c.orders, c.tally, c.duplicates, c.keyRows} {
		if err := step(); err != nil {
			return err
		}
	}
	c.report.DeadLetters, err = queryInt(c.conn, "SELECT count(*) FROM dead_letters")
	return err
}

// result is the report, with the findings that it has no room for as a number.
func (c *checker) result() Report {
	r := c.report
	if c.more > 0 {
		r.Findings = append(r.Findings, fmt.Sprintf("and %d more findings", c.more))
	}
	return r
}

func (c *checker) addFinding(format string, args ...any) {
	if len(c.report.Findings) == maxFindings {
		c.more++
		return
	}
	c.report.Findings = append(c.report.Findings, fmt.Sprintf(format, args...))
}

// schemaVersion is the version of the schema in the file, 0 when nothing is in
// the file yet. It returns ErrDamaged for another program's database, and ErrNewer.
func schemaVersion(conn *sqlite.Conn) (int, error) {
	var got [3]int64
	for i, query := range []string{"PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"} {
		var err error
		if got[i], err = queryInt(conn, query); err != nil {
			return 0, err
		}
	}
	application, version, objects := got[0], int(got[1]), got[2]
	switch {
	case application != applicationID && (application != 0 || objects > 0):
		return 0, ErrDamaged
	case version > len(migrations):
		return 0, fmt.Errorf("%w (schema %d; this one knows %d)", ErrNewer, version, len(migrations))
	}
	return version, nil
}

// integrity asks SQLite for what it knows to be wrong: its own structures, and
// values of the wrong type.
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
	if c.postponed, err = loadPostponed(c.conn); err != nil {
		return err
	}
	if c.finished > last || c.keyed > last {
		c.addFinding("a checkpoint (finished %d, keys %d) lies beyond the last order (%d)", c.finished, c.keyed, last)
	}
	return nil
}

// orders reads every order, in the order of creation.
func (c *checker) orders() error {
	const query = `SELECT seq, id, status, started_at, completed_at, item_ids, length(fingerprint), total_amount
		FROM orders WHERE seq >= ? ORDER BY seq`
	var failed error
	err := eachRow(c.conn, query, math.MinInt64, func(row *sqlite.Stmt) {
		seq, status := row.ColumnInt64(0), row.ColumnInt64(2)
		if seq <= 0 {
			c.addFinding("there is a row at seq %d, where no order of this program can be", seq)
			return
		}
		if !isStatus(status) {
			// SQLite does not look at CHECK constraints when it only reads.
			c.addFinding("the order at seq %d has the status %d, which there is not", seq, status)
			return
		}
		startedAt, completedAt := row.ColumnInt64(3), row.ColumnInt64(4)
		o := order.Order{
			ID:          order.ID(idPrefix + row.ColumnText(1)),
			Status:      order.Status(status),
			CreatedAt:   createdAt(seq),
			StartedAt:   decodeTime(startedAt),
			CompletedAt: decodeTime(completedAt),
		}
		counted := o
		if o.Status != order.Completed {
			counted.CompletedAt = time.Time{} // the order's status counts, whatever its times say
		}
		c.report.Tally.Add(order.Change{New: &counted}.Tally())
		if startedAt != encodeTime(&o, o.StartedAt) || completedAt != encodeTime(&o, o.CompletedAt) {
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
		failed = firstError(failed, c.order(seq, &o))
	})
	return firstError(err, failed)
}

// order checks one order by itself, and against the checkpoints and keys.
func (c *checker) order(seq int64, o *order.Order) error {
	if fault := checkLifecycle(o); fault != "" {
		c.addFinding("%s %s", o.ID, fault)
	}
	if o.Status != order.Completed && seq <= c.finished && !c.postponed[seq] {
		c.addFinding("%s is %s, but the checkpoint %q says that it is done", o.ID, o.Status, finishedCheckpoint)
	}
	if _, err := order.ParseID(string(o.ID)); err != nil {
		c.addFinding("%q, at seq %d, does not have the form of an id", o.ID, seq)
		return nil
	}
	if decodeSeq(o.ID) == seq {
		return nil
	}
	at, err := c.keySeq(o.ID)
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

// keySeq is the seq to which keys leads from that id, 0 when it is not there.
func (c *checker) keySeq(id order.ID) (int64, error) {
	stmt, err := c.conn.Prepare("SELECT seq FROM keys WHERE id = ?")
	if err != nil {
		return 0, err
	}
	stmt.BindText(1, string(id[len(idPrefix):]))
	return optionalInt(stmt)
}

// lifeFault says which rule of an order's life is broken, "" when none is. An
// order taken over as Completed has neither of the later times.
func checkLifecycle(o *order.Order) string {
	started, completed := !o.StartedAt.IsZero(), !o.CompletedAt.IsZero()
	switch {
	case o.Status == order.Pending && (started || completed),
		o.Status == order.Processing && (!started || completed),
		o.Status == order.Completed && started != completed:
		return fmt.Sprintf("is %s, which its times deny (started: %t, completed: %t)", o.Status, started, completed)
	case started && o.StartedAt.Before(o.CreatedAt):
		return "was started before it was created"
	case completed && o.CompletedAt.Before(o.StartedAt):
		return "was completed before it was started"
	}
	return ""
}

// tally holds the stored tally to the recount.
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
	c.addFinding("the tally has %s, but a recount gives %s%s", tallyText(stored), tallyText(c.report.Tally), missing)
	return err
}

func tallyText(t order.Tally) string {
	return fmt.Sprintf("%d Pending, %d Processing, %d Completed (%d of them timed, %d ms)",
		t.ByStatus[order.Pending], t.ByStatus[order.Processing], t.ByStatus[order.Completed], t.CompletedCount, t.DurationSumMillis)
}

// duplicates looks for ids that two orders have. Up to the checkpoint, keys
// shows them; there are few orders above it.
func (c *checker) duplicates() error {
	const query = "SELECT id, count(*) FROM orders WHERE seq > ? GROUP BY id HAVING count(*) > 1"
	return eachRow(c.conn, query, c.keyed, func(row *sqlite.Stmt) {
		c.addFinding("%s%s is the id of %d orders", idPrefix, row.ColumnText(0), row.ColumnInt64(1))
	})
}

// keyRows looks at keys from the other side: each row leads to its order.
func (c *checker) keyRows() error {
	const query = `SELECT keys.id, keys.seq, orders.id IS keys.id
		FROM keys LEFT JOIN orders USING (seq) WHERE keys.seq >= ?`
	return eachRow(c.conn, query, math.MinInt64, func(row *sqlite.Stmt) {
		c.report.Keys++
		if !row.ColumnBool(2) {
			c.addFinding("keys leads from %s%s to seq %d, where that order is not", idPrefix, row.ColumnText(0), row.ColumnInt64(1))
		}
	})
}
