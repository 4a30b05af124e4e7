package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

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

// alterFile runs a script, in which n is a seq, on a file that is not served.
func alterFile(t *testing.T, path, script string, n int64) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	alter(t, conn, script, n)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// F15, I2, I3, I14: the order of a retry is in a row that cannot be read, or is no longer there.
// Only this request fails, and it creates no second order.
func TestABadRowFailsOnlyTheRequestForIt(t *testing.T) {
	for _, bad := range badRows {
		for _, merged := range []bool{false, true} {
			t.Run(fmt.Sprint(bad.name, ", key in its table: ", merged), func(t *testing.T) {
				path, now := newPath(t), epoch
				s, w := openByHand(t, path, &now)
				seq := decodeSeq(together(w, now, keyed(""), keyed("bad"), keyed(""))[0].order.ID) + 1
				before := int64(3)
				if merged {
					before++
					s.keys.freeze(w.last)
					together(w, now, keyed(""))
					release(t, s)
					s, w = openByHand(t, path, &now)
				}
				alter(t, w.conn, bad.plan, seq)

				c := together(w, now, keyed(""), keyed("bad"), keyed("good"), keyed("bad"), keyed("good"))
				for i, c := range c {
					switch {
					case i == 1 || i == 3:
						if c.err == nil || errors.Is(c.err, order.ErrUnavailable) || errors.Is(c.err, order.ErrKeyReused) || errors.Is(c.err, order.ErrNotFound) {
							t.Errorf("the retry: order %+v, error %v", c.order, c.err)
						}
					case c.err != nil || c.replayed != (i == 4):
						t.Errorf("request %d: replayed %t, error %v", i, c.replayed, c.err)
					}
				}
				if tally, err := s.Metrics(t.Context()); err != nil || tally.Total() != before+2 {
					t.Errorf("metrics %+v, error %v, want %d orders", tally, err, before+2)
				}
				release(t, s)
			})
		}
	}
}

// F15, I14: no other request of the group fails.
func TestARandomSourceThatFailsFailsOnlyTheCreateThatUsedIt(t *testing.T) {
	now := epoch
	s, w := openByHand(t, newPath(t), &now)
	s.cfg.Random = io.MultiReader(bytes.NewReader(make([]byte, 8)), iotest.ErrReader(errors.New("no randomness")))
	c := together(w, now, keyed(""), keyed(""), keyed("k"))
	if c[0].err != nil || c[1].err == nil || c[2].err != nil || errors.Is(c[1].err, order.ErrUnavailable) {
		t.Errorf("the errors are %v, %v and %v", c[0].err, c[1].err, c[2].err)
	}
	release(t, s)
}

// F15, I1, I2, I3, I14: under load, groups contain retries that fail. No other client notices.
func TestRetriesThatFailHarmNoOtherClientUnderLoad(t *testing.T) {
	path := fileWithBadKeys(t)
	s := openStore(t, path, time.Minute)
	const clients, creates = 8, 100
	var healthy, retries sync.WaitGroup
	ctx, over := context.WithCancel(t.Context())
	for key := range badKeys {
		retries.Go(func() {
			for ctx.Err() == nil {
				o, _, err := s.Create(context.Background(), keyed(key))
				if err == nil || errors.Is(err, order.ErrUnavailable) {
					t.Errorf("the retry of the key %s: order %+v, error %v", key, o, err)
					return
				}
			}
		})
	}
	for client := range clients {
		healthy.Go(func() { createAndReplay(t, s, client, creates) })
	}
	healthy.Wait()
	over()
	retries.Wait()
	closeStore(t, s)
	report, err := Check(t.Context(), path)
	if want := int64(1 + clients*creates*3/4); err != nil || report.Tally.Total() != want {
		t.Errorf("%d orders, error %v, want %d", report.Tally.Total(), err, want)
	}
}

// badKeys are keys, and what happens to the rows of their orders.
var badKeys = map[string]string{
	"damaged": "UPDATE orders SET item_ids = '[' WHERE seq = n",
	"deleted": "DELETE FROM orders WHERE seq = n",
}

// fileWithBadKeys makes a file whose table keys has the keys of badKeys.
func fileWithBadKeys(t *testing.T) (path string) {
	t.Helper()
	path = newPath(t)
	s, seqs := openStore(t, path, time.Minute), map[string]int64{}
	for key := range badKeys {
		if _, _, err := s.Create(t.Context(), keyed(key)); err != nil {
			t.Fatal(err)
		}
		seqs[key] = s.keys.recent[order.KeyedID("", key)]
	}
	closeStore(t, s)
	for key, plan := range badKeys {
		alterFile(t, path, "INSERT INTO keys SELECT id, seq FROM orders WHERE seq = n;"+plan, seqs[key])
	}
	return path
}

// createAndReplay is a client. Of four creates, two have the same key.
func createAndReplay(t *testing.T, s *Store, client, creates int) {
	for n := range creates {
		d := keyed("")
		if n%2 == 0 {
			d = keyed(fmt.Sprint(client, "-", n/4))
		}
		o, replayed, err := s.Create(t.Context(), d)
		if err != nil || replayed != (n%4 == 2) {
			t.Errorf("client %d, create %d: replayed %t, error %v", client, n, replayed, err)
			return
		}
		if read, err := s.Get(t.Context(), o.ID); err != nil || read.ID != o.ID {
			t.Errorf("Get(%s): %+v, error %v", o.ID, read, err)
		}
	}
}

// F23, I2, I14: SQLite may roll back the transaction when a statement fails, here because of a
// trigger. Then the whole group fails, and nothing of it is stored.
func TestAGroupFailsWithItsTransaction(t *testing.T) {
	now := epoch
	s, w := openByHand(t, newPath(t), &now)
	runSQL(t, w.conn, `CREATE TRIGGER t BEFORE INSERT ON orders WHEN new.client_reference = 'bad'
		BEGIN SELECT RAISE(ROLLBACK, 'by a trigger'); END`)
	bad := keyed("")
	bad.ClientReference = "bad"
	for i, c := range together(w, now, keyed(""), bad, keyed("")) {
		if !errors.Is(c.err, order.ErrUnavailable) {
			t.Errorf("request %d: error %v, not %v", i, c.err, order.ErrUnavailable)
		}
	}
	if page, err := s.List(t.Context(), 10, ""); err != nil || len(page.IDs) != 0 {
		t.Errorf("stored: %v, error %v", page.IDs, err)
	}
	if c := together(w, now, keyed("")); c[0].err != nil {
		t.Errorf("the next group: %v", c[0].err)
	}
	release(t, s)
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
	now := epoch
	s, w := openByHand(t, newPath(t), &now)
	c := together(w, now, keyed(""), keyed(""))
	// The row is not in the state that its range expects, so it is read; and it cannot be read.
	alter(t, w.conn, "UPDATE orders SET status = 1, started_at = seq >> 15, item_ids = 'x' WHERE seq = n", decodeSeq(c[0].order.ID))
	work(w, now)
	if o, err := s.Get(t.Context(), c[1].order.ID); err != nil || o.Status != order.Processing {
		t.Errorf("the healthy order is %+v, error %v", o, err)
	}
	if got := len(w.queue.waiting); got != 2 {
		t.Errorf("%d ranges wait, not the completion of one order and the start of the other", got)
	}
	release(t, s)
}

func TestAnIDFindsOnlyItsOwnOrder(t *testing.T) {
	now := epoch
	s, w := openByHand(t, newPath(t), &now)
	c := together(w, now, keyed(""))[0]
	// As if a commit had failed during the read, and its seq had been given to another order.
	id := order.KeyedID("", "k")
	s.keys.add(id, decodeSeq(c.order.ID))
	if o, err := s.Get(t.Context(), id); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("Get(%s): %+v, error %v", id, o, err)
	}
	release(t, s)
}
