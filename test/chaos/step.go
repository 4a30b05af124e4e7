package chaos

import (
	"bytes"
	"embed"
	"encoding/json/v2"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
)

// A Step is a step of a history. It is plain data with letters for keys and numbers for orders, so
// that it means the same on every deployment.
type Step struct {
	Do string `json:"do"` // Create, Deliver, Calling, work or tick
	// Fault is a fault of the step. A deployment that does not support it carries out the step
	// without it.
	Fault    string    `json:"fault,omitempty"`
	Drafts   []Draft   `json:"drafts,omitempty"`   // to create, concurrently
	Messages []Message `json:"messages,omitempty"` // to deliver, in one batch
	Calls    []Call    `json:"calls,omitempty"`    // to make, concurrently
	Race     bool      `json:"race,omitzero"`      // with what is due
	Worker   string    `json:"worker,omitempty"`   // of the step work
	By       Duration  `json:"by,omitzero"`        // of the step tick
}

// The steps besides Create, Deliver and Calling.
const (
	work = "work"
	tick = "tick"
)

// A Draft is a request for an order. Two drafts with a key and the same fields are the same request.
// Without a key, each draft is a request of its own.
type Draft struct {
	Key string `json:"key,omitempty"`
	As  string `json:"as"` // the initial status
	// Variant makes requests differ: 0 and 1 are small, 2 is as large as one can be.
	Variant int `json:"variant,omitzero"`
}

const variants = 3

// request is the draft for the domain. unique is the reference of a draft without a key.
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

// A Message is a message to deliver, about the order of that number. Numbers begin at 1 and wrap
// around beyond the last. 0 is an order that does not exist.
type Message struct {
	Order int    `json:"order,omitzero"`
	To    string `json:"to,omitempty"`
	// Age counts versions back: 1 is a message for the present version of the order, 2 for the
	// one before. 0, or an age before the creation, is a message without a version.
	Age int `json:"age,omitzero"`
	// Cut leaves out the first byte of the body.
	Cut bool `json:"cut,omitzero"`
	// More adds unknown members to the body, which change nothing.
	More bool `json:"more,omitzero"`
	// Body is used instead, if it is set.
	Body string `json:"body,omitempty"`
}

// numbered is the order of a number. 0 is one that does not exist.
func numbered(orders []order.Order, number int) order.Order {
	if n := number % (len(orders) + 1); n > 0 {
		return orders[n-1]
	}
	return order.Order{ID: order.KeyedID("", "no order")}
}

// body is the body of the message, given all orders.
func (m Message) body(orders []order.Order) string {
	if m.Body != "" {
		return m.Body
	}
	o := numbered(orders, m.Order)
	message := order.Message{OrderID: o.ID}
	message.To, _ = order.ParseStatus(m.To)
	if m.Age > 0 {
		message.Version = max(o.Version()+1-m.Age, 0)
	}
	body := string(message.Body())
	if m.More {
		body = strings.Replace(body, "{", `{"attempt":2,"trace":{"to":[null]},`, 1)
	}
	if m.Cut {
		body = body[1:]
	}
	return body
}

// A Call asks for a transition of the order of that number, counted as for a Message.
type Call struct {
	Order int    `json:"order,omitzero"`
	Do    string `json:"do"` // the transition
	// Version is relative to the version of the order before the step: "this", "last", "next", or
	// "" for a call without a version.
	Version string `json:"version,omitempty"`
}

// request is the call of a caller, given all orders.
func (c Call) request(orders []order.Order, by string) CallRequest {
	o := numbered(orders, c.Order)
	r := CallRequest{ID: o.ID, TransitionRequest: order.TransitionRequest{By: by, Reason: c.Do + " by " + by}}
	_ = r.Transition.UnmarshalText([]byte(c.Do))
	if relative, ok := map[string]int{"last": -1, "this": 0, "next": 1}[c.Version]; ok {
		r.Version = max(o.Version()+relative, 1)
	}
	return r
}

// junk are bodies that are no messages.
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

// A drawer draws steps for one deployment. A history has few keys and few orders, so that its steps
// are about the same orders, and every second step meets a fault.
type drawer struct {
	*rand.Rand
	deployment Deployment
}

// pick draws one of a list.
func pick[E any](d drawer, list ...E) E { return list[d.IntN(len(list))] }

// several draws one to most.
func several[E any](d drawer, most int, draw func() E) (list []E) {
	for range 1 + d.IntN(most) {
		list = append(list, draw())
	}
	return list
}

func (d drawer) step() Step {
	switch pick(d, tick, tick, work, work, work, work, work, work, Create, Create, Deliver, Calling, Calling, Calling, "step back") {
	case Create:
		return Step{Do: Create, Drafts: several(d, 4, d.draft), Fault: d.fault(Create)}
	case Deliver:
		return Step{Do: Deliver, Messages: several(d, 5, d.message), Fault: d.fault(Deliver)}
	case Calling:
		return Step{Do: Calling, Calls: several(d, 3, d.call), Race: d.IntN(2) == 0, Fault: d.fault(Calling)}
	case work:
		worker := d.worker()
		return Step{Do: work, Worker: worker, Fault: d.fault(worker)}
	case tick:
		if d.IntN(2) == 0 {
			return Step{Do: tick, By: Duration(d.deployment.Fulfilment().Wait())} // for which orders wait
		}
		return Step{Do: tick, By: d.amount(time.Microsecond, time.Millisecond, time.Second)}
	default:
		return Step{Do: tick, By: -d.amount(time.Millisecond, time.Second, 10*time.Second)}
	}
}

// worker draws the first workers more often, because the others depend on them.
func (d drawer) worker() string {
	var weighed []string
	workers := d.deployment.Workers()
	for i, worker := range workers {
		weighed = append(weighed, slices.Repeat([]string{worker}, len(workers)-i)...)
	}
	return pick(d, weighed...)
}

func (d drawer) fault(doing string) string {
	faults := d.deployment.Faults(doing)
	if len(faults) == 0 || d.IntN(2) == 0 {
		return ""
	}
	return pick(d, faults...)
}

// amount is 1 to 60 of one of the units.
func (d drawer) amount(units ...time.Duration) Duration {
	return Duration(1+d.IntN(60)) * Duration(pick(d, units...))
}

func (d drawer) draft() Draft {
	return Draft{
		Key:     pick(d, "", "", "a", "b", "c", "d", "e", "f"),
		As:      pick(d, order.InitialStatuses...).String(),
		Variant: d.IntN(variants),
	}
}

func (d drawer) call() Call {
	return Call{
		Order: d.IntN(9), Do: pick(d, "complete", "fail", "fail", "retry", "retry", "cancel"),
		Version: pick(d, "", "", "this", "this", "this", "last", "next"),
	}
}

func (d drawer) message() Message {
	m := Message{Order: d.IntN(9), To: pick(d, order.Statuses[1:]...).String(), Age: max(d.IntN(6)-2, 0)}
	switch d.IntN(9) {
	case 6:
		m.Cut = true
	case 7:
		m = Message{Body: pick(d, junk...)}
	case 8:
		m.More = true
	}
	return m
}

// A script is a history in a file of testdata.
type script struct {
	// Why is the failure for which the history was kept.
	Why string `json:"why"`
	// External is the fulfilment: by workers, or by the timer.
	External bool   `json:"external,omitzero"`
	Steps    []Step `json:"steps"`
}

// String is the script as a file, with a line for each step.
func (s script) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"why\": %s,\n", text(s.Why))
	if s.External {
		b.WriteString("  \"external\": true,\n")
	}
	b.WriteString("  \"steps\": [")
	for i, step := range s.Steps {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n    %s", text(step))
	}
	b.WriteString("\n  ]\n}\n")
	return b.String()
}

func text(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values always have a JSON form
	}
	return b
}

//go:embed testdata/*.json
var scripts embed.FS

// replay plays the histories of testdata.
func replay(t *testing.T, open Open) {
	files, err := scripts.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			s := read(t, path.Join("testdata", file.Name()))
			if failure := perform(t.Context(), open, s.External, s.Steps); failure != "" {
				t.Fatal(failure)
			}
		})
	}
}

func read(t *testing.T, name string) (s script) {
	b, err := scripts.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, &s, json.RejectUnknownMembers(true))
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}
