package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// badRows are what another program may do to the row at seq n.
var badRows = []struct {
	name, plan string
}{
	{"its items are no list", "UPDATE orders SET item_ids = '[' WHERE seq = n"},
	{"its status is none", noStatus},
	{"its fingerprint is cut", "UPDATE orders SET fingerprint = x'00' WHERE seq = n"},
	{"its amount is a text", loosen + "UPDATE orders SET total_amount = 'x' WHERE seq = n;" + tighten},
	{"its user is missing", loosen + "UPDATE orders SET user_id = NULL WHERE seq = n;" + tighten},
	{"its id is another", "UPDATE orders SET id = '00000000000000000000000000' WHERE seq = n"},
	{"its row was deleted", "DELETE FROM orders WHERE seq = n"},
}

const noStatus = `PRAGMA ignore_check_constraints = ON; UPDATE orders SET status = 7 WHERE seq = n;
	PRAGMA ignore_check_constraints = OFF`

// loosen lets the table orders take values of any type, until tighten.
const (
	loosen = `PRAGMA writable_schema = ON;
		UPDATE sqlite_schema SET sql = replace(replace(sql, ' NOT NULL', ' DEFAULT 0'), ') STRICT', ')/*T*/') WHERE name = 'orders';
		PRAGMA writable_schema = RESET;`
	tighten = `PRAGMA writable_schema = ON;
		UPDATE sqlite_schema SET sql = replace(replace(sql, ' DEFAULT 0', ' NOT NULL'), ')/*T*/', ') STRICT') WHERE name = 'orders';
		PRAGMA writable_schema = RESET;`
)

// alter runs a script, in which n is a seq.
func alter(t *testing.T, conn *sqlite.Conn, script string, n int64) {
	t.Helper()
	script = strings.ReplaceAll(script, "seq = n", fmt.Sprintf("seq = %d", n))
	for statement := range strings.SplitSeq(script, ";") {
		if strings.TrimSpace(statement) != "" {
			runSQL(t, conn, statement)
		}
	}
}

// F15, I2, I3, I14: the order of a retry is in a row that cannot be read, or is no longer there.
// Only this request fails, and it creates no second order.
func TestABadRowFailsOnlyTheRequestForIt(t *testing.T) {
	for _, bad := range badRows {
		for _, merged := range []bool{false, true} {
			t.Run(fmt.Sprint(bad.name, ", key in its table: ", merged), func(t *testing.T) {
				r, before := newRig(t), int64(3)
				seq := decodeSeq(r.create(keyed(""), keyed("bad"), keyed(""))[0].order.ID) + 1
				if merged {
					before++
					r.store.keys.freeze(r.w.last)
					r.createOne()
					r.close()
					r.open()
				}
				alter(t, r.w.conn, bad.plan, seq)
				for i, c := range r.create(keyed(""), keyed("bad"), keyed("good"), keyed("bad"), keyed("good")) {
					switch {
					case i == 1 || i == 3:
						if c.err == nil || errors.Is(c.err, order.ErrUnavailable) || errors.Is(c.err, order.ErrKeyReused) || errors.Is(c.err, order.ErrNotFound) {
							t.Errorf("the retry: order %+v, error %v", c.order, c.err)
						}
					case c.err != nil || c.replayed != (i == 4):
						t.Errorf("request %d: replayed %t, error %v", i, c.replayed, c.err)
					}
				}
				if tally, err := r.store.Metrics(t.Context()); err != nil || tally.Total() != before+2 {
					t.Errorf("metrics %+v, error %v, want %d orders", tally, err, before+2)
				}
			})
		}
	}
}

// F15, I14: no other request of the group fails.
func TestARandomSourceThatFailsFailsOnlyTheCreateThatUsedIt(t *testing.T) {
	r := newRig(t)
	r.store.cfg.Random = io.MultiReader(bytes.NewReader(make([]byte, 8)), iotest.ErrReader(errors.New("no randomness")))
	c := r.create(keyed(""), keyed(""), keyed("k"))
	if c[0].err != nil || c[1].err == nil || c[2].err != nil || errors.Is(c[1].err, order.ErrUnavailable) {
		t.Errorf("the errors are %v, %v and %v", c[0].err, c[1].err, c[2].err)
	}
}

// F23, I2, I14: SQLite may roll back the transaction when a statement fails, here because of a
// trigger. Then the whole group fails, and nothing of it is stored.
func TestAGroupFailsWithItsTransaction(t *testing.T) {
	r := newRig(t)
	runSQL(t, r.w.conn, `CREATE TRIGGER t BEFORE INSERT ON orders WHEN new.client_reference = 'bad'
		BEGIN SELECT RAISE(ROLLBACK, 'by a trigger'); END`)
	bad := keyed("")
	bad.ClientReference = "bad"
	for i, c := range r.create(keyed(""), bad, keyed("")) {
		unavailable(t, fmt.Sprint("request ", i), c.err)
	}
	next := r.create(keyed(""))[0]
	if page, err := r.store.List(t.Context(), 10, ""); err != nil || next.err != nil || len(page.IDs) != 1 {
		t.Errorf("stored: %v, error %v; the next group: %v", page.IDs, err, next.err)
	}
}

// I14: an error of SQLite ends a transaction, because SQLite may have rolled it back. Any other
// error belongs to its request.
func TestSQLiteErrorsAreDistinguishedFromOthers(t *testing.T) {
	_, mistake := connect(t, ":memory:").Prepare("SELECT no_such_column")
	if code := sqlite.ErrCode(mistake); code != sqlite.ResultError {
		t.Fatalf("a statement with a mistake has the code %v", code)
	}
	for err, want := range map[error]bool{
		mistake: true, fmt.Errorf("wrapped: %w", mistake): true, sqlite.ResultFull.ToError(): true,
		errors.Join(order.ErrUnavailable, mistake): true,
		nil: false, order.ErrNotFound: false, errors.New("of another origin"): false,
	} {
		if isSQLite(err) != want {
			t.Errorf("%v: %t, want %t", err, !want, want)
		}
	}
}

func TestAnOrderThatCannotBeReadDelaysNoOther(t *testing.T) {
	r := newRig(t)
	c := r.create(keyed(""), keyed(""))
	// The row is not in the state that its range expects, so it is read; and it cannot be read.
	alter(t, r.w.conn, "UPDATE orders SET status = 1, started_at = seq >> 15, item_ids = 'x' WHERE seq = n", decodeSeq(c[0].order.ID))
	work(r.w, r.now)
	r.has(c[1].order.ID, order.Processing)
	r.waits(2, 1) // the completion of one order, and the start of the other
}

func TestAnIDFindsOnlyItsOwnOrder(t *testing.T) {
	r := newRig(t)
	// As if a commit had failed during the read, and its seq had been given to another order.
	id := order.KeyedID("", "k")
	r.store.keys.add(id, decodeSeq(r.createOne()))
	if o, err := r.store.Get(t.Context(), id); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("Get(%s): %+v, error %v", id, o, err)
	}
}
