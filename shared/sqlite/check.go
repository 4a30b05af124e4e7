package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

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
	if err := noLogAlone(path); err != nil {
		return report, err
	}
	o, err := inspect(path)
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

func (c *checker) find(format string, args ...any) {
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
				c.find("SQLite: %s", text)
			}
			return nil
		},
	})
}
