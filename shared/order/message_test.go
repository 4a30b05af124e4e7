package order_test

import (
	"errors"
	"testing"

	"github.com/oklog/ulid/v2"

	"orders/shared/order"
)

func TestAMessageIsReadAsItIsWritten(t *testing.T) {
	for _, to := range []order.Status{order.Processing, order.Completed} {
		m := order.Message{OrderID: order.KeyedID("", "k"), To: to}
		if got, err := order.ParseMessage(m.Body()); err != nil || got != m {
			t.Errorf("%s is read as %+v, error %v", m.Body(), got, err)
		}
	}
	want := `{"order_id":"ORD00000000000000000000000000","to":"Processing"}`
	if got := (order.Message{OrderID: order.NewID(ulid.Zero), To: order.Processing}).Body(); string(got) != want {
		t.Errorf("body %s, not %s", got, want)
	}
}

// F15, I13.
func TestAMessageThatIsNoneIsMalformed(t *testing.T) {
	for _, body := range []string{
		"", "x", "null", "[]", "{}", `"x"`, `{"order_id":"ORD00000000000000000000000000"}`, `{"to":"Processing"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Pending"}`, `{"order_id":"ORD00000000000000000000000000","to":"x"}`,
		`{"order_id":"ORD0","to":"Processing"}`, `{"order_id":1,"to":"Processing"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","x":1}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","to":"Processing"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing"}x`,
		`{"ORDER_ID":"ORD00000000000000000000000000","to":"Processing"}`,
	} {
		if m, err := order.ParseMessage([]byte(body)); !errors.Is(err, order.ErrMalformed) {
			t.Errorf("%s is read as %+v, error %v", body, m, err)
		}
	}
}

// F15, I15.
func TestIDs(t *testing.T) {
	minted, keyed := order.NewID(ulid.MustParse("01HZX000000000000000000000")), order.KeyedID("caller", "key")
	for _, id := range []order.ID{minted, keyed} {
		if got, err := order.ParseID(string(id)); err != nil || got != id {
			t.Errorf("%s is read as %s, error %v", id, got, err)
		}
	}
	if u, ok := minted.ULID(); !ok || u.String() != "01HZX000000000000000000000" {
		t.Errorf("%s has the ULID %s", minted, u)
	}
	// The SHA-256 of "caller\x00key" in Crockford's alphabet, worked out with other tools.
	if want := order.ID("ORD20T1CWHT6YX0AMF7H72ZJ8YM9S"); keyed != want {
		t.Errorf("keyed id %s, not %s", keyed, want)
	}
	for _, s := range []string{"", "ORD", "ORD0", string(minted) + "0", "ord01HZX000000000000000000000", "ORD01HZX00000000000000000000I", "XRD01HZX000000000000000000000", "ORD01hzx000000000000000000000"} {
		if id, err := order.ParseID(s); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("%q is read as %s, error %v", s, id, err)
		}
	}
}
