package sqlite

import (
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

// counterBits is how many bits of a seq count the orders of one millisecond. A
// 32,769th order takes the next millisecond's first number.
const counterBits = 15

// idPrefix is common to all ids and not stored.
const idPrefix = "ORD"

func createdAt(seq int64) time.Time { return time.UnixMilli(seq >> counterBits).UTC() }

// newID makes the id whose ULID begins with seq and ends with random bits.
func newID(seq int64, random uint64) order.ID {
	var u ulid.ULID
	binary.BigEndian.PutUint64(u[:8], uint64(seq)<<1)
	binary.BigEndian.PutUint64(u[8:], random)
	return order.NewID(u)
}

// seqOf returns the seq in an id that newID made; of any other id, nonsense.
func decodeSeq(id order.ID) int64 {
	u, _ := id.ULID()
	return int64(binary.BigEndian.Uint64(u[:8]) >> 1)
}

const (
	insertOrder = `INSERT INTO orders (seq, id, client_reference, user_id, item_ids,
		total_amount, fingerprint, status, started_at, completed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	selectOrder = `SELECT seq, id, client_reference, user_id, item_ids, total_amount,
		fingerprint, status, started_at, completed_at FROM orders WHERE seq = ?`
)

// bindOrder fills in insertOrder. itemIDs is o.ItemIDs as JSON.
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

// scanOrder reads the order off a row of selectOrder. Its error says that the row is
// damaged, and nothing of what the client wrote.
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
	damage := damageIn(stmt)
	if damage == "" && json.Unmarshal([]byte(stmt.ColumnText(4)), &o.ItemIDs) != nil {
		damage = "item_ids is no list of texts"
	}
	if damage != "" {
		return order.Order{}, fmt.Errorf("the order at seq %d cannot be read: %s", stmt.ColumnInt64(0), damage)
	}
	return o, nil
}

// orderTypes are the types of the columns of selectOrder.
var orderTypes = [...]sqlite.ColumnType{
	sqlite.TypeInteger, sqlite.TypeText, sqlite.TypeText, sqlite.TypeText, sqlite.TypeText, sqlite.TypeInteger,
	sqlite.TypeBlob, sqlite.TypeInteger, sqlite.TypeInteger, sqlite.TypeInteger,
}

// damageIn says which value in a row of selectOrder cannot be one of ours, "" if each can.
// SQLite looks at types and constraints when it writes a row, not when it reads one.
func damageIn(stmt *sqlite.Stmt) string {
	for i, want := range orderTypes {
		if stmt.ColumnType(i) != want {
			return stmt.ColumnName(i) + " has the wrong type"
		}
	}
	switch {
	case stmt.ColumnLen(6) != len(order.Fingerprint{}):
		return "fingerprint has the wrong length"
	case !isStatus(stmt.ColumnInt64(7)):
		return "status is none that there is"
	default:
		return ""
	}
}

// isStatus reports whether the value of a column status stands for one.
func isStatus(column int64) bool { return 0 <= column && column < int64(len(order.Statuses)) }

// itemsColumn is how item ids are stored: as a JSON array.
func encodeItems(ids []string) []byte {
	b := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		// The error is about invalid UTF-8, which a draft does not hold and which
		// would be replaced.
		b, _ = jsontext.AppendQuote(b, id)
	}
	return append(b, ']')
}

// timeColumn is how a time of the order is stored. One that is not set yet is the
// negative creation time: as wide as the value to come, so that a transition
// overwrites its row in place instead of moving the rows behind it.
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

// The names of the checkpoints.
const (
	finishedCheckpoint = "finished"
	keysCheckpoint     = "keys"
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

// find returns the order of that id and where it is, or ErrNotFound. The key index
// may know of an order whose commit has failed since, so the row decides.
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

// locate returns the seq at which the order of that id would be: by the time in
// the id, or by the key index. It returns ErrNotFound when there is none.
func locate(conn *sqlite.Conn, keys *keyIndex, id order.ID) (int64, error) {
	stmt, err := conn.Prepare("SELECT seq FROM orders WHERE seq = ? AND id = ?")
	if err != nil {
		return 0, err
	}
	stmt.BindInt64(1, decodeSeq(id))
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

// orderAt returns the order at that seq, or ErrNotFound.
func orderAt(conn *sqlite.Conn, seq int64) (o order.Order, err error) {
	stmt, err := conn.Prepare(selectOrder)
	if err != nil {
		return o, err
	}
	stmt.BindInt64(1, seq)
	defer func() { err = firstError(err, stmt.Reset()) }()
	row, err := stmt.Step()
	if err != nil {
		return o, err
	}
	if !row {
		return o, order.ErrNotFound
	}
	return decodeOrder(stmt)
}

// eachRow calls do with each row of a query that takes one number.
func eachRow(conn *sqlite.Conn, query string, arg int64, do func(row *sqlite.Stmt)) (err error) {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, arg)
	defer func() { err = firstError(err, stmt.Reset()) }()
	for {
		row, err := stmt.Step()
		if err != nil || !row {
			return err
		}
		do(stmt)
	}
}

func queryInt(conn *sqlite.Conn, query string) (int64, error) {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return 0, fmt.Errorf("prepare: %w", err)
	}
	return optionalInt(stmt)
}
