package sqlite

import (
	"encoding/binary"
	"encoding/json/jsontext"
	"encoding/json/v2"
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
func seqOf(id order.ID) int64 {
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
	stmt.BindInt64(9, timeColumn(o, o.StartedAt))
	stmt.BindInt64(10, timeColumn(o, o.CompletedAt))
}

// scanOrder reads the order off a row of selectOrder. Its error says that the row is
// damaged, and nothing of what the client wrote.
func scanOrder(stmt *sqlite.Stmt) (order.Order, error) {
	o := order.Order{
		ID: order.ID(idPrefix + stmt.ColumnText(1)),
		Details: order.Details{
			ClientReference: stmt.ColumnText(2),
			UserID:          stmt.ColumnText(3),
			TotalAmount:     order.Amount(stmt.ColumnInt64(5)),
		},
		CreatedAt:   createdAt(stmt.ColumnInt64(0)),
		Status:      order.Status(stmt.ColumnInt64(7)),
		StartedAt:   timeOf(stmt.ColumnInt64(8)),
		CompletedAt: timeOf(stmt.ColumnInt64(9)),
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
func itemsColumn(ids []string) []byte {
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
func timeColumn(o *order.Order, t time.Time) int64 {
	if t.IsZero() {
		return -o.CreatedAt.UnixMilli()
	}
	return t.UnixMilli()
}

func timeOf(column int64) time.Time {
	if column <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(column).UTC()
}
