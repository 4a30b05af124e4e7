package chaos

import (
	"fmt"
	"strings"
	"time"

	"orders/shared/order"
)

// A Step is one thing that happens in a history. It is plain data, which speaks of
// keys by letters and of orders by numbers, so that it means the same wherever it is
// played.
type Step struct {
	Do string `json:"do"` // Create, Deliver, work or tick
	// Fault is what stands in the way. A home that does not know it does the step without.
	Fault    string    `json:"fault,omitempty"`
	Drafts   []Draft   `json:"drafts,omitempty"`   // to create, side by side
	Messages []Message `json:"messages,omitempty"` // to deliver, in one batch
	Worker   string    `json:"worker,omitempty"`   // that works
	By       Duration  `json:"by,omitzero"`        // that the clock moves
}

// What a step may do besides Create and Deliver.
const (
	work = "work"
	tick = "tick"
)

// A Draft asks for an order. Two ask for the same if all their fields are the same
// and they have a key; without one each is a request of its own.
type Draft struct {
	Key string `json:"key,omitempty"`
	As  string `json:"as"` // the status in which the order is taken over
	// Variant makes requests differ: 0 and 1 are small, 2 is as large as one can be.
	Variant int `json:"variant,omitzero"`
}

const variants = 3

// request is what the draft asks a home for. unique is the reference of a draft
// without a key.
func (d Draft) request(unique string) order.Draft {
	var r order.Draft
	r.InitialStatus, _ = order.ParseStatus(d.As)
	r.ClientReference = unique
	if d.Key != "" {
		r.Key = order.KeyedID("", d.Key)
		r.ClientReference = fmt.Sprintf("%s %s %d", d.Key, d.As, d.Variant)
	}
	r.UserID = []string{"645", "Ünïcødé", "a large order"}[d.Variant%variants]
	r.ItemIDs = []string{"890"}
	if d.Variant == 2 {
		r.ItemIDs = make([]string, order.MaxItems)
		for i := range r.ItemIDs {
			r.ItemIDs[i] = fmt.Sprintf("an item with a rather long name, number %d", i)
		}
	}
	r.TotalAmount = order.Amount(165078 + d.Variant)
	r.SetFingerprint()
	return r
}

// A Message is one to deliver: for the order of that number, which begins at 1 and
// comes round beyond the last. 0 is an order that nobody has made.
type Message struct {
	Order int    `json:"order,omitzero"`
	To    string `json:"to,omitempty"`
	// Cut leaves out the first byte of the body.
	Cut bool `json:"cut,omitzero"`
	// More puts members into the body that no reader knows, and that change nothing.
	More bool `json:"more,omitzero"`
	// Body is used instead, if it is set.
	Body string `json:"body,omitempty"`
}

// body is the message on the wire, given the orders that there are.
func (m Message) body(ids []order.ID) string {
	if m.Body != "" {
		return m.Body
	}
	id := order.KeyedID("", "nobody's")
	if n := m.Order % (len(ids) + 1); n > 0 {
		id = ids[n-1]
	}
	to, _ := order.ParseStatus(m.To)
	body := string(order.Message{OrderID: id, To: to}.Body())
	if m.More {
		body = strings.Replace(body, "{", `{"attempt":2,"trace":{"to":[null]},`, 1)
	}
	if m.Cut {
		body = body[1:]
	}
	return body
}

// junk is what is delivered besides messages.
var junk = []string{
	"not a message", "null", "{}", `{"order_id":"ORD0","to":"Processing"}`,
	`{"order_id":"ORD00000000000000000000000000","to":"Pending"}`, strings.Repeat("a long story ", 100),
}

// A Duration is written as "-1m30s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}
