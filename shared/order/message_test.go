package order_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"orders/shared/order"
)

// During a deployment one version reads the messages of another, so that the bytes of a message
// must never change.
func TestMessageBytesNeverChange(t *testing.T) {
	for body, m := range map[string]order.Message{
		`{"order_id":"ORD00000000000000000000000000","to":"Processing"}`: {OrderID: order.NewID(ulid.Zero), To: order.Processing},
		`{"order_id":"ORDXPNXAYDVDHVEBNEVVWXMQTVVE8","to":"Completed"}`:  {OrderID: "ORDXPNXAYDVDHVEBNEVVWXMQTVVE8", To: order.Completed},

		`{"order_id":"ORD00000000000000000000000000","to":"Processing","version":2}`: {OrderID: order.NewID(ulid.Zero), To: order.Processing, Version: 2},
		`{"order_id":"ORD00000000000000000000000000","to":"Failed","version":3}`:     {OrderID: order.NewID(ulid.Zero), To: order.Failed, Version: 3},
	} {
		if got := string(m.Body()); got != body {
			t.Errorf("body %s, not %s", got, body)
		}
		if got, err := order.ParseMessage([]byte(body)); err != nil || got != m {
			t.Errorf("%s is read as %+v, error %v", body, got, err)
		}
		m.NotBefore = noon
		if got := string(m.Body()); got != body {
			t.Errorf("a message with a delay has the body %s, not %s", got, body)
		}
	}
}

// I4, I13: members that a later version adds do not send a message to the dead-letter queue.
func TestUnknownMembersOfAMessageAreIgnored(t *testing.T) {
	want := order.Message{OrderID: "ORD00000000000000000000000000", To: order.Processing}
	for _, added := range []string{
		`"x":1`, `"x":1.5e300`, `"x":"text"`, `"x":true`, `"x":null`, `"x":[]`, `"x":{}`, `"":0`, `"\u0000":0`,
		`"x":[1,"a",null,[{"y":[]}]]`, `"x":{"order_id":1,"to":{"to":null}}`, `"x":1,"y":{"x":2},"z":[3]`,
		`"ORDER_ID":1`, `"To":"Pending"`, `"order_id ":"ORD0"`, `"attempt":3,"caller":"anna"`,
	} {
		for _, body := range []string{
			`{` + added + `,"order_id":"ORD00000000000000000000000000","to":"Processing"}`,
			`{"order_id":"ORD00000000000000000000000000",` + added + `,"to":"Processing"}`,
			"{ \"order_id\" : \"ORD00000000000000000000000000\",\n\"to\":\"Processing\" , " + added + " }\n",
		} {
			if got, err := order.ParseMessage([]byte(body)); err != nil || got != want {
				t.Errorf("%s is read as %+v, error %v", body, got, err)
			}
		}
	}
}

// F15, I13.
func TestMalformedMessagesAreRefused(t *testing.T) {
	for _, body := range []string{
		"", "x", "null", "[]", "{}", `"x"`, `{"order_id":"ORD00000000000000000000000000"}`, `{"to":"Processing"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Pending"}`, `{"order_id":"ORD00000000000000000000000000","to":"x"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Cancelled","version":3}`, `{"order_id":"ORD00000000000000000000000000","to":"Failed"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","version":-1}`, `{"order_id":"ORD00000000000000000000000000","to":"Processing","version":"2"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","version":2.5}`,
		`{"order_id":"ORD0","to":"Processing"}`, `{"order_id":1,"to":"Processing"}`,
		`{"order_id":null,"to":"Processing"}`, `{"order_id":["ORD00000000000000000000000000"],"to":"Processing"}`,
		`{"order_id":"ORD00000000000000000000000000","to":null}`, `{"order_id":"ORD00000000000000000000000000","to":1}`,
		`{"order_id":"ORD00000000000000000000000000","to":"processing"}`, `[{"order_id":"ORD00000000000000000000000000","to":"Processing"}]`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","to":"Processing"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","\u0074o":"Completed"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","x":1,"x":1}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","x":{"y":1,"y":1}}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","x":01}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","x":"` + "\xff" + `"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing",}`,
		// The relay sends this to the dead-letter queue for a stream record that it cannot read.
		`{"event_id":"e","sequence_number":"1","keys":{"pk":"ORDER#ORD00000000000000000000000000","sk":"ORDER"}}`,
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
	// The SHA-256 of "caller\x00key" in Crockford's alphabet, computed with other tools.
	if want := order.ID("ORD20T1CWHT6YX0AMF7H72ZJ8YM9S"); keyed != want {
		t.Errorf("keyed id %s, not %s", keyed, want)
	}
	for _, s := range []string{"", "ORD", "ORD0", string(minted) + "0", "ord01HZX000000000000000000000", "ORD01HZX00000000000000000000I", "XRD01HZX000000000000000000000", "ORD01hzx000000000000000000000"} {
		if id, err := order.ParseID(s); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("%q is read as %s, error %v", s, id, err)
		}
	}
}

// advance is an order.Advancer of one function.
type advance func(order.Message, time.Time) error

func (a advance) Advance(_ context.Context, m order.Message, now time.Time) error {
	return a(m, now)
}

// queue is an order.Queue that records its calls and returns err.
type queue struct {
	err          error
	sent         []order.Message
	deadLettered []string
	reason       error // of the last dead letter
}

func (q *queue) Send(_ context.Context, messages ...order.Message) error {
	q.sent = append(q.sent, messages...)
	return q.err
}

func (q *queue) DeadLetter(_ context.Context, body []byte, reason error) error {
	q.deadLettered, q.reason = append(q.deadLettered, string(body)), reason
	return q.err
}

// F6, F8 to F11, F15, I4, I5, I13: for each result of a transition its message is removed, kept, sent
// again, or moved to the dead-letter queue.
func TestProcessingOneMessage(t *testing.T) {
	down := errors.New("the store is down")
	m := order.Message{OrderID: order.KeyedID("", "k"), To: order.Completed}
	good := string(m.Body())
	later := strings.Replace(good, "{", `{"x":[1],`, 1) // as a later version may write it
	for name, tt := range map[string]struct {
		body         string
		advance      error
		queueErr     error
		want         error
		sent         int
		deadLettered error // the reason
	}{
		"made: removed":                               {body: good},
		"already done: removed":                       {body: good, advance: fmt.Errorf("advance: %w", order.ErrAlreadyDone)},
		"early: sent again, then removed":             {body: good, advance: &order.EarlyError{Until: noon}, sent: 1},
		"early, and sending fails: kept":              {body: good, advance: &order.EarlyError{Until: noon}, queueErr: down, want: down, sent: 1},
		"unknown order: dead letter, removed":         {body: good, advance: order.ErrNotFound, deadLettered: order.ErrNotFound},
		"unknown order: dead letter with all members": {body: later, advance: order.ErrNotFound, deadLettered: order.ErrNotFound},
		"unknown members: removed":                    {body: later},
		"malformed: dead letter, removed":             {body: "{", deadLettered: order.ErrMalformed},
		"malformed, and the queue fails: kept":        {body: "{", queueErr: down, want: down, deadLettered: order.ErrMalformed},
		"the store fails: kept":                       {body: good, advance: down, want: down},
		"the store is unavailable: kept":              {body: good, advance: order.ErrUnavailable, want: order.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			q := &queue{err: tt.queueErr}
			p := order.Processor{Queue: q, Orders: advance(func(got order.Message, now time.Time) error {
				if got != m || !now.Equal(noon) {
					t.Errorf("Advance(%+v, %s)", got, now)
				}
				return tt.advance
			})}
			if err := p.Process(t.Context(), []byte(tt.body), noon); !errors.Is(err, tt.want) {
				t.Errorf("error %v, not %v", err, tt.want)
			}
			if len(q.sent) != tt.sent {
				t.Errorf("sent %v", q.sent)
			}
			if tt.sent > 0 && (q.sent[0].OrderID != m.OrderID || q.sent[0].To != m.To || !q.sent[0].NotBefore.Equal(noon)) {
				t.Errorf("sent %+v again", q.sent[0])
			}
			var want []string
			if tt.deadLettered != nil {
				want = []string{tt.body}
			}
			if !slices.Equal(q.deadLettered, want) || !errors.Is(q.reason, tt.deadLettered) {
				t.Errorf("dead letters %q because of %v, want %v", q.deadLettered, q.reason, tt.deadLettered)
			}
		})
	}
}
