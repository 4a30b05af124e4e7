package chaos

import (
	"bytes"
	"embed"
	"encoding/json/v2"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orders/shared/order"
)

// A Step is a step of a history. It is plain data with letters for keys and numbers for orders, so
// that it means the same on every deployment.
type Step struct {
	Do string `json:"do"` // Create, Deliver, work or tick
	// Fault is a fault of the step. A deployment that does not support it carries out the step
	// without it.
	Fault    string    `json:"fault,omitempty"`
	Drafts   []Draft   `json:"drafts,omitempty"`   // to create, concurrently
	Messages []Message `json:"messages,omitempty"` // to deliver, in one batch
	Worker   string    `json:"worker,omitempty"`   // of the step work
	By       Duration  `json:"by,omitzero"`        // of the step tick
}

// The steps besides Create and Deliver.
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
	// Cut leaves out the first byte of the body.
	Cut bool `json:"cut,omitzero"`
	// More adds unknown members to the body, which change nothing.
	More bool `json:"more,omitzero"`
	// Body is used instead, if it is set.
	Body string `json:"body,omitempty"`
}

// body is the body of the message, given the ids of all orders.
func (m Message) body(ids []order.ID) string {
	if m.Body != "" {
		return m.Body
	}
	id := order.KeyedID("", "no order")
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
// are about the same orders, and every second step meets a fault. A failing history shrinks towards
// the first element of each list.
type drawer struct{ deployment Deployment }

func (d drawer) step(t *rapid.T) Step {
	switch rapid.SampledFrom([]string{tick, tick, work, work, work, work, work, work, Create, Create, Deliver, "step back"}).Draw(t, "do") {
	case Create:
		return Step{Do: Create, Drafts: listOf(t, 4, draft), Fault: d.fault(t, Create)}
	case Deliver:
		return Step{Do: Deliver, Messages: listOf(t, 5, message), Fault: d.fault(t, Deliver)}
	case work:
		worker := d.worker(t)
		return Step{Do: work, Worker: worker, Fault: d.fault(t, worker)}
	case tick:
		return Step{Do: tick, By: d.forward(t)}
	default:
		return Step{Do: tick, By: -amount(t, time.Millisecond, time.Second, 10*time.Second)}
	}
}

// worker draws the first workers more often, because the others depend on them.
func (d drawer) worker(t *rapid.T) string {
	var weighed []string
	workers := d.deployment.Workers()
	for i, worker := range workers {
		weighed = append(weighed, slices.Repeat([]string{worker}, len(workers)-i)...)
	}
	return rapid.SampledFrom(weighed).Draw(t, "worker")
}

func (d drawer) fault(t *rapid.T, doing string) string {
	faults := d.deployment.Faults(doing)
	if len(faults) == 0 || rapid.Bool().Draw(t, "in good order") {
		return ""
	}
	return rapid.SampledFrom(faults).Draw(t, "fault")
}

// forward is often the processing time, for which orders wait.
func (d drawer) forward(t *rapid.T) Duration {
	if rapid.Bool().Draw(t, "processing time") {
		return Duration(d.deployment.ProcessingTime())
	}
	return amount(t, time.Microsecond, time.Millisecond, time.Second)
}

// amount is 1 to 60 of one of the units.
func amount(t *rapid.T, units ...time.Duration) Duration {
	n := rapid.IntRange(1, 60).Draw(t, "amount")
	return Duration(n) * Duration(rapid.SampledFrom(units).Draw(t, "unit"))
}

func listOf[E any](t *rapid.T, most int, draw func(*rapid.T) E) []E {
	return rapid.SliceOfN(rapid.Custom(draw), 1, most).Draw(t, "list")
}

func draft(t *rapid.T) Draft {
	return Draft{
		Key:     rapid.SampledFrom([]string{"", "", "a", "b", "c", "d", "e", "f"}).Draw(t, "key"),
		As:      rapid.SampledFrom(order.Statuses[:]).Draw(t, "as").String(),
		Variant: rapid.IntRange(0, variants-1).Draw(t, "variant"),
	}
}

func message(t *rapid.T) Message {
	switch rapid.IntRange(0, 8).Draw(t, "kind") {
	default:
		return sound(t)
	case 6:
		m := sound(t)
		m.Cut = true
		return m
	case 7:
		return Message{Body: rapid.SampledFrom(junk).Draw(t, "junk")}
	case 8:
		m := sound(t)
		m.More = true
		return m
	}
}

func sound(t *rapid.T) Message {
	return Message{
		Order: rapid.IntRange(0, 8).Draw(t, "order"),
		To:    rapid.SampledFrom(order.Statuses[1:]).Draw(t, "to").String(),
	}
}

// A script is a history in a file of testdata.
type script struct {
	// Why is the failure for which the history was kept.
	Why   string `json:"why"`
	Steps []Step `json:"steps"`
}

// String is the script as a file, with a line for each step.
func (s script) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"why\": %s,\n  \"steps\": [", text(s.Why))
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
func replay(t *testing.T, open func(T) Deployment) {
	files, err := scripts.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			s := read(t, path.Join("testdata", file.Name()))
			if failure := perform(t.Context(), open, s.Steps); failure != "" {
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
