package sqlite

import (
	"cmp"
	"encoding/binary"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// counterBits is how many bits of a seq count the orders of one millisecond. The 32,769th order of
// a millisecond gets the first number of the next one.
const counterBits = 15

// idPrefix is common to all ids and not stored.
const idPrefix = "ORD"

func createdAt(seq int64) time.Time { return time.UnixMilli(seq >> counterBits).UTC() }

// newID returns the id whose ULID begins with seq and ends with random bits.
func newID(seq int64, random uint64) order.ID {
	var u ulid.ULID
	binary.BigEndian.PutUint64(u[:8], uint64(seq)<<1)
	binary.BigEndian.PutUint64(u[8:], random)
	return order.NewID(u)
}

// decodeSeq returns the seq in an id that newID made. For any other id the result has no meaning.
func decodeSeq(id order.ID) int64 {
	u, _ := id.ULID()
	return int64(binary.BigEndian.Uint64(u[:8]) >> 1)
}

const (
	insertOrder = `INSERT INTO orders (seq, id, client_reference, user_id, item_ids,
		total_amount, fingerprint, status, started_at, completed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	selectOrder = `SELECT orders.seq, id, client_reference, user_id, item_ids, total_amount,
		fingerprint, orders.status, started_at, completed_at, ` + exceptionColumns + `
		FROM orders LEFT JOIN exceptions USING (seq) WHERE orders.seq = ?`

	exceptionColumns = "version, attempt, reason, failed_at, cancelled_at, history"
)

// bindOrder sets the parameters of insertOrder. itemIDs is o.ItemIDs as JSON.
func bindOrder(stmt *sqlite.Stmt, seq int64, o *order.Order, itemIDs []byte) {
	stmt.BindInt64(1, seq)
	stmt.BindText(2, string(o.ID[len(idPrefix):]))
	stmt.BindText(3, o.ClientReference)
	stmt.BindText(4, o.UserID)
	stmt.BindText(5, string(itemIDs))
	stmt.BindInt64(6, int64(o.TotalAmount))
	stmt.BindBytes(7, o.Fingerprint[:])
	stmt.BindInt64(8, int64(o.Status))
	stmt.BindInt64(9, encodeTime(o, o.StartedAt))
	stmt.BindInt64(10, encodeTime(o, o.CompletedAt))
}

// decodeOrder decodes a row of selectOrder. Its error says that the row is damaged, and contains
// nothing of the client's input.
func decodeOrder(stmt *sqlite.Stmt) (order.Order, error) {
	o := order.Order{
		ID: order.ID(idPrefix + stmt.ColumnText(1)),
		Details: order.Details{
			ClientReference: stmt.ColumnText(2),
			UserID:          stmt.ColumnText(3),
			TotalAmount:     order.Amount(stmt.ColumnInt64(5)),
		},
		CreatedAt:   createdAt(stmt.ColumnInt64(0)),
		Status:      order.Status(stmt.ColumnInt64(7)),
		StartedAt:   decodeTime(stmt.ColumnInt64(8)),
		CompletedAt: decodeTime(stmt.ColumnInt64(9)),
	}
	stmt.ColumnBytes(6, o.Fingerprint[:])
	damage := findDamage(stmt)
	if damage == "" && json.Unmarshal([]byte(stmt.ColumnText(4)), &o.ItemIDs) != nil {
		damage = "item_ids is not a JSON array of strings"
	}
	if damage == "" {
		o.Exception, damage = decodeException(stmt, 10, o.Status)
	}
	if damage != "" {
		return order.Order{}, fmt.Errorf("read the order at seq %d: %s", stmt.ColumnInt64(0), damage)
	}
	return o, nil
}

// orderTypes are the types of the columns of selectOrder.
var orderTypes = [...]sqlite.ColumnType{
	sqlite.TypeInteger, sqlite.TypeText, sqlite.TypeText, sqlite.TypeText, sqlite.TypeText, sqlite.TypeInteger,
	sqlite.TypeBlob, sqlite.TypeInteger, sqlite.TypeInteger, sqlite.TypeInteger,
}

// findDamage describes a value in a row of selectOrder that this program cannot have written, "" if
// there is none. SQLite checks types and constraints when it writes a row, not when it reads one.
func findDamage(stmt *sqlite.Stmt) string {
	for i, want := range orderTypes {
		if stmt.ColumnType(i) != want {
			return stmt.ColumnName(i) + " has the wrong type"
		}
	}
	switch {
	case stmt.ColumnLen(6) != len(order.Fingerprint{}):
		return "fingerprint has the wrong length"
	case !isStatus(stmt.ColumnInt64(7)):
		return "status is unknown"
	default:
		return ""
	}
}

func isStatus(column int64) bool { return 0 <= column && column < int64(len(order.Statuses)) }

func encodeItems(ids []string) []byte {
	b := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		// The error is about invalid UTF-8, which a draft does not contain.
		b, _ = jsontext.AppendQuote(b, id)
	}
	return append(b, ']')
}

// encodeTime encodes a time of the order. An unset time is the negative creation time: it is as
// wide as the later value, so a transition overwrites the row in place and moves no other row.
func encodeTime(o *order.Order, t time.Time) int64 {
	if t.IsZero() {
		return -o.CreatedAt.UnixMilli()
	}
	return t.UnixMilli()
}

func decodeTime(column int64) time.Time {
	if column <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(column).UTC()
}

// find returns the order of that id and its seq, or order.ErrNotFound. The key index may contain an
// order whose commit has failed since, so the id in the row decides.
func find(conn *sqlite.Conn, keys *keyIndex, id order.ID) (int64, order.Order, error) {
	seq, err := locate(conn, keys, id)
	if err != nil {
		return 0, order.Order{}, err
	}
	o, err := orderAt(conn, seq)
	if err == nil && o.ID != id {
		err = order.ErrNotFound
	}
	return seq, o, err
}

// locate returns the seq of the order of that id, from the id itself or from the key index. It
// returns order.ErrNotFound if there is none.
func locate(conn *sqlite.Conn, keys *keyIndex, id order.ID) (int64, error) {
	stmt, err := prepare(conn, "SELECT seq FROM orders WHERE seq = ? AND id = ?", decodeSeq(id))
	if err != nil {
		return 0, err
	}
	stmt.BindText(2, string(id[len(idPrefix):]))
	seq, err := optionalInt(stmt)
	if err == nil && seq == 0 {
		seq, err = keys.find(conn, id)
	}
	if err == nil && seq == 0 {
		err = order.ErrNotFound
	}
	return seq, err
}

// orderAt returns the order at that seq, or order.ErrNotFound.
func orderAt(conn *sqlite.Conn, seq int64) (order.Order, error) {
	o, failed := order.Order{}, order.ErrNotFound
	err := eachRow(conn, selectOrder, func(row *sqlite.Stmt) { o, failed = decodeOrder(row) }, seq)
	return o, cmp.Or(err, failed)
}

// lookUpKey returns the seq in the table keys for that id, 0 if there is none.
func lookUpKey(conn *sqlite.Conn, id order.ID) (int64, error) {
	stmt, err := conn.Prepare("SELECT seq FROM keys WHERE id = ?")
	if err != nil {
		return 0, err
	}
	stmt.BindText(1, string(id[len(idPrefix):]))
	return optionalInt(stmt)
}

// The names of the checkpoints.
const (
	finishedCheckpoint = "finished"
	keysCheckpoint     = "keys"
)

func checkpoint(conn *sqlite.Conn, name string) (int64, error) {
	return queryInt(conn, "SELECT seq FROM checkpoints WHERE name = '"+name+"'")
}

func setCheckpoint(conn *sqlite.Conn, name string, seq int64) error {
	return execute(conn, "UPDATE checkpoints SET seq = ? WHERE name = '"+name+"'", seq)
}

// errNoTally is returned for a file whose tally was deleted.
var errNoTally = errors.New("the tally is missing")

func loadTally(conn *sqlite.Conn) (t order.Tally, err error) {
	const query = "SELECT pending, processing, completed, failed, cancelled, completed_count, duration_sum_ms FROM tally"
	failed := errNoTally
	err = eachRow(conn, query, func(row *sqlite.Stmt) {
		failed = nil
		for i := range t.ByStatus {
			t.ByStatus[i] = row.ColumnInt64(i)
		}
		t.CompletedCount, t.DurationSumMillis = row.ColumnInt64(5), row.ColumnInt64(6)
	})
	return t, cmp.Or(err, failed)
}

func setTally(conn *sqlite.Conn, t order.Tally) error {
	return execute(conn, `UPDATE tally SET pending = ?, processing = ?, completed = ?, failed = ?, cancelled = ?,
		completed_count = ?, duration_sum_ms = ?`,
		t.ByStatus[order.Pending], t.ByStatus[order.Processing], t.ByStatus[order.Completed], t.ByStatus[order.Failed],
		t.ByStatus[order.Cancelled], t.CompletedCount, t.DurationSumMillis)
}

// prepare returns the cached statement of a query, with its first parameters set.
func prepare(conn *sqlite.Conn, query string, ints ...int64) (*sqlite.Stmt, error) {
	stmt, err := conn.Prepare(query)
	for i, n := range ints {
		if err == nil {
			stmt.BindInt64(i+1, n)
		}
	}
	return stmt, err
}

// execute runs a query that returns no rows.
func execute(conn *sqlite.Conn, query string, ints ...int64) error {
	stmt, err := prepare(conn, query, ints...)
	if err != nil {
		return err
	}
	return exec(stmt)
}

func exec(stmt *sqlite.Stmt) error {
	_, err := stmt.Step()
	return cmp.Or(err, stmt.Reset())
}

// optionalInt returns the first column of the first row, 0 if there is no row.
func optionalInt(stmt *sqlite.Stmt) (n int64, err error) {
	row, err := stmt.Step()
	if row {
		n = stmt.ColumnInt64(0)
	}
	return n, cmp.Or(err, stmt.Reset())
}

// queryInt runs a query that returns one number, 0 if it returns no row.
func queryInt(conn *sqlite.Conn, query string) (int64, error) {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return 0, err
	}
	return optionalInt(stmt)
}

// eachRow calls fn with each row of a query, whose parameters are numbers.
func eachRow(conn *sqlite.Conn, query string, fn func(row *sqlite.Stmt), ints ...int64) (err error) {
	stmt, err := prepare(conn, query, ints...)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, stmt.Reset()) }()
	for {
		row, err := stmt.Step()
		if err != nil || !row {
			return err
		}
		fn(stmt)
	}
}

// isSQLite reports whether an error comes from SQLite. ErrCode returns the first code that it
// finds, and ResultError for errors without one. So a code that no statement returns is joined
// behind: if ErrCode finds that one, err has none.
func isSQLite(err error) bool {
	const second = sqlite.ResultNotice
	return err != nil && sqlite.ErrCode(errors.Join(err, second.ToError())) != second
}
