package sqlite

import (
	"errors"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// The names of the checkpoints.
const (
	finishedMark = "finished"
	keysMark     = "keys"
)

func checkpoint(conn *sqlite.Conn, name string) (int64, error) {
	stmt, err := conn.Prepare("SELECT seq FROM checkpoints WHERE name = ?")
	if err != nil {
		return 0, err
	}
	stmt.BindText(1, name)
	return optionalInt(stmt)
}

func setCheckpoint(conn *sqlite.Conn, name string, seq int64) error {
	stmt, err := conn.Prepare("UPDATE checkpoints SET seq = ? WHERE name = ?")
	if err != nil {
		return err
	}
	stmt.BindInt64(1, seq)
	stmt.BindText(2, name)
	return exec(stmt)
}

func loadTally(conn *sqlite.Conn) (t order.Tally, err error) {
	stmt, err := conn.Prepare("SELECT pending, processing, completed, timed_orders, timed_millis FROM tally")
	if err != nil {
		return t, err
	}
	defer func() { err = firstError(err, stmt.Reset()) }()
	row, err := stmt.Step()
	if err != nil {
		return t, err
	}
	if !row {
		return t, errNoTally
	}
	for i := range t.ByStatus {
		t.ByStatus[i] = stmt.ColumnInt64(i)
	}
	t.CompletedCount, t.DurationSumMillis = stmt.ColumnInt64(3), stmt.ColumnInt64(4)
	return t, nil
}

// errNoTally is about a file whose tally somebody has deleted.
var errNoTally = errors.New("the tally is missing")

func setTally(conn *sqlite.Conn, t order.Tally) error {
	stmt, err := conn.Prepare(`UPDATE tally SET pending = ?, processing = ?, completed = ?, timed_orders = ?, timed_millis = ?`)
	if err != nil {
		return err
	}
	for i, count := range t.ByStatus {
		stmt.BindInt64(i+1, count)
	}
	stmt.BindInt64(4, t.CompletedCount)
	stmt.BindInt64(5, t.DurationSumMillis)
	return exec(stmt)
}

// exec runs a statement that returns no rows.
func exec(stmt *sqlite.Stmt) error {
	_, err := stmt.Step()
	return firstError(err, stmt.Reset())
}

// optionalInt returns the first column of the first row, 0 when there is none.
func optionalInt(stmt *sqlite.Stmt) (n int64, err error) {
	row, err := stmt.Step()
	if row {
		n = stmt.ColumnInt64(0)
	}
	return n, firstError(err, stmt.Reset())
}

// isSQLite reports whether an error comes from SQLite. ErrCode gives ResultError for all
// others, too, so a second error with a code of its own follows: ErrCode gives the first
// code that it finds.
func isSQLite(err error) bool {
	const second = sqlite.ResultNotice // which no statement returns
	return err != nil && sqlite.ErrCode(errors.Join(err, second.ToError())) != second
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
