package chaos

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"orders/shared/order"
)

// A memory is a home in memory, which is right unless it is broken.
type memory struct {
	T
	broken string
	now    time.Time
	orders map[order.ID]order.Order
	ids    []order.ID // oldest first
	tally  order.Tally
	queue  []order.Message
	dead   [][]byte
	met    map[string]int
}

const (
	unfinished = "answer lost"
	failing    = "commit fails"
	processing = 50 * time.Second
)

func openMemory(broken string) func(T) Deployment {
	return func(t T) Deployment {
		return &memory{T: t, broken: broken, now: time.UnixMilli(1_800_000_000_000), orders: map[order.ID]order.Order{}, met: map[string]int{}}
	}
}

func (m *memory) Get(_ context.Context, id order.ID) (order.Order, error) {
	o, ok := m.orders[id]
	if !ok {
		return o, order.ErrNotFound
	}
	return o, nil
}

func (m *memory) List(_ context.Context, limit int, after string) (page order.Page, err error) {
	first := 0
	if after != "" {
		if first, err = strconv.Atoi(after); err != nil {
			return page, order.ErrInvalidCursor
		}
	}
	ids := slices.Clone(m.ids)
	if m.broken != "lists the oldest first" {
		slices.Reverse(ids)
	}
	last := min(first+limit, len(ids))
	page.IDs = ids[first:last]
	if last < len(ids) {
		page.Next = strconv.Itoa(last)
		if m.broken == "lists an order on two pages" {
			page.Next = strconv.Itoa(last - 1)
		}
	}
	return page, nil
}

func (m *memory) Metrics(context.Context) (order.Tally, error) { return m.tally, nil }

func (m *memory) Create(drafts []order.Draft, fault string) (answers []Created) {
	for _, d := range drafts {
		a := m.create(d)
		if fault != "" || m.broken == "is unavailable without a reason" && len(m.ids) == 5 {
			a = Created{Err: order.ErrUnavailable}
			m.met[Create+": "+unfinished]++
		}
		answers = append(answers, a)
	}
	return answers
}

func (m *memory) create(d order.Draft) Created {
	id := d.Key
	if o, ok := m.orders[id]; ok {
		return m.again(o, d)
	}
	if id == "" {
		id = order.NewID(ulid.ULID{15: byte(len(m.ids))})
	}
	now := m.now
	if len(m.ids) > 0 {
		now = later(now, m.orders[m.ids[len(m.ids)-1]].CreatedAt)
	}
	o := order.New(d, id, now)
	if m.broken == "loses an order" && len(m.ids) == 5 {
		return Created{Order: o}
	}
	m.ids = append(m.ids, id)
	m.changed(order.Change{New: &o})
	return Created{Order: o}
}

// again answers a request whose key has an order.
func (m *memory) again(o order.Order, d order.Draft) Created {
	same := o.Fingerprint == d.Fingerprint
	switch {
	case same && m.broken == "refuses a replay", !same && m.broken != "takes a clash for a replay":
		if m.broken == "stores what it refuses" {
			o.Details = d.Details
			m.orders[o.ID] = o
		}
		return Created{Err: order.ErrKeyReused}
	default:
		return Created{Order: o, Replayed: m.broken != "says that a replay is new"}
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// changed writes a change and what follows from it.
func (m *memory) changed(c order.Change) {
	m.orders[c.New.ID] = *c.New
	m.tally.Add(c.Tally())
	if m.broken == "counts a completion twice" && c.Old != nil && c.New.Status == order.Completed {
		m.tally.CompletedCount++
	}
	if m.broken == "forgets a message" && len(m.orders) > 3 && c.Old != nil {
		return
	}
	m.queue = append(m.queue, c.FollowUps(processing)...)
}

// Advance implements order.Advancer.
func (m *memory) Advance(_ context.Context, id order.ID, to order.Status, now time.Time) error {
	before, ok := m.orders[id]
	if !ok {
		return order.ErrNotFound
	}
	from := before
	switch {
	case m.broken == "starts again what is completed" && to == order.Processing && from.Status == order.Completed && !from.CompletedAt.IsZero():
		from.Status, from.StartedAt, from.CompletedAt = order.Pending, time.Time{}, time.Time{}
	case m.broken == "waits for nothing" && to == order.Completed:
		now = later(now, from.StartedAt.Add(processing))
	}
	after, err := from.Advance(to, now, processing)
	if err != nil {
		return err
	}
	if m.broken == "starts before the creation" && to == order.Processing {
		after.StartedAt = order.Timestamp(now)
	}
	m.changed(order.Change{Old: &before, New: &after})
	return nil
}

// Send implements order.Queue.
func (m *memory) Send(_ context.Context, messages ...order.Message) error {
	m.queue = append(m.queue, messages...)
	return nil
}

// DeadLetter implements order.Queue.
func (m *memory) DeadLetter(_ context.Context, body []byte, _ error) error {
	if m.broken != "drops what it cannot read" {
		m.dead = append(m.dead, body)
	}
	return nil
}

func (m *memory) TakesForeign() bool { return true }

func (m *memory) Deliver(bodies [][]byte, _ string) {
	for _, body := range bodies {
		if m.broken == "buries what says more than it knows" && bytes.Contains(body, []byte(`"trace"`)) {
			m.dead = append(m.dead, body)
			continue
		}
		if err := (order.Processor{Orders: m, Queue: m}).Process(m.Context(), body, m.now); err != nil {
			m.Fatalf("%s: %v", body, err)
		}
	}
}

func (m *memory) Work(_, fault string) {
	waiting := m.queue
	m.queue = nil
	for _, message := range waiting {
		switch {
		case message.NotBefore.After(m.now):
			m.queue = append(m.queue, message)
		case fault != "":
			m.met["worker: "+failing]++
			if m.broken != "loses a message when a commit fails" {
				m.queue = append(m.queue, message)
			}
		default:
			m.handle(message)
		}
	}
}

func (m *memory) handle(message order.Message) {
	if m.broken == "buries what it could do" && len(m.ids) > 3 {
		m.dead = append(m.dead, message.Body())
	}
	if m.broken == "panics" && message.To == order.Completed {
		panic(fmt.Sprint("on ", message))
	}
	if err := (order.Processor{Orders: m, Queue: m}).Handle(m.Context(), message, m.now); err != nil {
		m.Fatalf("%+v: %v", message, err)
	}
}

func (m *memory) Tick(d time.Duration)          { m.now = m.now.Add(d) }
func (m *memory) Workers() []string             { return []string{"worker"} }
func (m *memory) Met() map[string]int           { return m.met }
func (m *memory) Now() time.Time                { return m.now }
func (m *memory) ProcessingTime() time.Duration { return processing }
func (m *memory) Counted() bool                 { return m.broken != "never counts" }
func (m *memory) DeadLetters() [][]byte         { return m.dead }

func (m *memory) Faults(doing string) []string {
	return map[string][]string{Create: {unfinished}, "worker": {failing}}[doing]
}

func (m *memory) Waits(id order.ID) bool {
	return slices.ContainsFunc(m.queue, func(q order.Message) bool { return q.OrderID == id }) ||
		m.broken == "never lets go" && m.orders[id].Status == order.Completed
}
