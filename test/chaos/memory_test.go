package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"orders/shared/order"
)

// A memory is a deployment in memory, with at most one bug.
type memory struct {
	T
	bug    string
	now    time.Time
	works  order.Fulfilment
	orders map[order.ID]order.Order
	ids    []order.ID // oldest first
	tally  order.Tally
	queue  []order.Message
	dead   [][]byte
	met    map[string]int
}

const (
	unfinished = "response lost"
	failing    = "commit fails"
	restart    = "restart"
)

func openMemory(bug string) Open {
	return func(t T, f order.Fulfilment) Deployment {
		m := &memory{T: t, bug: bug, now: time.UnixMilli(1_800_000_000_000), works: f, orders: map[order.ID]order.Order{}, met: map[string]int{}}
		if bug == "makes an attempt too many" {
			m.works.MaxAttempts++
		}
		return m
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
	if m.bug != "lists the oldest first" {
		slices.Reverse(ids)
	}
	last := min(first+limit, len(ids))
	page.IDs = ids[first:last]
	if last < len(ids) {
		page.Next = strconv.Itoa(last)
		if m.bug == "lists an order on two pages" {
			page.Next = strconv.Itoa(last - 1)
		}
	}
	return page, nil
}

func (m *memory) Metrics(context.Context) (order.Tally, error) {
	tally := m.tally
	if !m.Counted() {
		tally.ByStatus[order.Pending]++
	}
	return tally, nil
}

func (m *memory) Create(drafts []order.Draft, fault string) (responses []Created) {
	for _, d := range drafts {
		r := m.create(d)
		if fault != "" || m.bug == "is unavailable without a reason" && len(m.ids) == 5 {
			r = Created{Err: order.ErrUnavailable}
			m.met[Create+": "+unfinished]++
		}
		responses = append(responses, r)
	}
	return responses
}

func (m *memory) create(d order.Draft) Created {
	id := d.Key
	if o, ok := m.orders[id]; ok {
		return m.replay(o, d)
	}
	if id == "" {
		id = order.NewID(ulid.ULID{15: byte(len(m.ids))})
	}
	now := m.now
	if len(m.ids) > 0 {
		now = later(now, m.orders[m.ids[len(m.ids)-1]].CreatedAt)
	}
	o := order.New(d, id, now)
	switch {
	case m.bug == "loses an order" && len(m.ids) == 5:
		return Created{Order: o}
	case m.bug == "makes an order without a request" && len(m.ids) == 2:
		other := order.New(order.Draft{Details: order.Details{ClientReference: "no request"}}, order.NewID(ulid.ULID{0: 1}), now)
		m.ids = append(m.ids, other.ID)
		m.changed(order.Change{New: &other})
	case m.bug == "dates an order into the past":
		o.CreatedAt = o.CreatedAt.Add(-time.Hour)
		if !o.StartedAt.IsZero() {
			o.StartedAt = o.CreatedAt
		}
	case m.bug == "imports with a later start" && o.Status == order.Processing:
		o.StartedAt = o.StartedAt.Add(time.Millisecond)
	}
	m.ids = append(m.ids, id)
	m.changed(order.Change{New: &o})
	return Created{Order: o}
}

// replay responds to a request whose key has an order.
func (m *memory) replay(o order.Order, d order.Draft) Created {
	same := o.Fingerprint == d.Fingerprint
	switch {
	case same && m.bug == "refuses a replay", !same && m.bug != "takes a clash for a replay":
		if m.bug == "stores what it refuses" {
			o.Details = d.Details
			m.orders[o.ID] = o
		}
		return Created{Err: order.ErrKeyReused}
	default:
		return Created{Order: o, Replayed: m.bug != "says that a replay is new"}
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
	if m.bug == "counts no processing time" {
		m.tally.DurationSumMillis = 0
	}
	if m.bug == "counts a completion twice" && c.Old != nil && c.New.Status == order.Completed {
		m.tally.CompletedCount++
	}
	if m.bug == "forgets a message" && len(m.orders) > 3 && c.Old != nil {
		return
	}
	if m.bug == "is completed by a timer, not by a worker" && c.New.Status == order.Processing {
		m.queue = append(m.queue, order.Change{New: c.New}.FollowUps(order.Timer(m.works.Wait()))...)
		return
	}
	m.queue = append(m.queue, c.FollowUps(m.works)...)
}

func (m *memory) Call(requests []CallRequest, race bool, fault string) (responses []Called) {
	if race {
		m.Work("worker", "")
	}
	for _, r := range requests {
		o, err := m.transition(r)
		if fault != "" {
			o, err = order.Order{}, order.ErrUnavailable
			m.met[Calling+": "+unfinished]++
		}
		responses = append(responses, Called{Order: o, Err: err})
	}
	return responses
}

func (m *memory) transition(r CallRequest) (order.Order, error) {
	before, ok := m.orders[r.ID]
	if !ok {
		return before, order.ErrNotFound
	}
	if m.bug == "takes any version" {
		r.Version = 0
	}
	after, err := before.Transition(r.TransitionRequest, m.now, m.works)
	conflict, refused := errors.AsType[*order.ConflictError](err)
	switch {
	case m.bug == "refuses and does it all the same" && refused && before.Status == order.Processing && r.Transition == order.Fail:
		m.changed(order.Change{Old: &before, New: new(m.spoiled(before, r))})
	case m.bug == "refuses a call that was made before" && errors.Is(err, order.ErrAlreadyDone):
		return before, &order.ConflictError{Status: before.Status, Version: before.Version()}
	case m.bug == "tells the version that was asked for" && refused && r.Version != 0:
		conflict.Version = r.Version
	case m.bug == "says done and does nothing" && err == nil && r.Transition == order.Cancel:
		return after, nil
	case errors.Is(err, order.ErrAlreadyDone):
		return before, nil
	case err == nil:
		m.changed(order.Change{Old: &before, New: new(m.spoiled(after, r))})
	}
	return after, err
}

// spoiled is an order after a call, with the bug.
func (m *memory) spoiled(o order.Order, r CallRequest) order.Order {
	var e order.Exception
	if o.Exception != nil {
		e = *o.Exception
		e.History = slices.Clone(e.History)
	}
	switch {
	case m.bug == "refuses and does it all the same":
		o, _ = o.Transition(order.TransitionRequest{Transition: r.Transition, By: r.By, Reason: r.Reason}, m.now, m.works)
		return o
	case o.Exception == nil:
		return o
	case m.bug == "goes back to an earlier version" && r.Transition == order.Retry:
		e.Version, e.History = 2, e.History[:1]
	case m.bug == "forgets who has called":
		e.History[len(e.History)-1].By = ""
	case m.bug == "fails an order twice" && r.Transition == order.Fail:
		e.Version, e.History = e.Version+1, append(e.History, e.History[len(e.History)-1])
	case m.bug == "keeps the attempts of before a retry" && r.Transition == order.Retry:
		e.Attempt = 1
	}
	o.Exception = &e
	return o
}

// Advance implements order.Advancer.
func (m *memory) Advance(_ context.Context, message order.Message, now time.Time) error {
	id, to := message.OrderID, message.To
	before, ok := m.orders[id]
	if !ok {
		return order.ErrNotFound
	}
	from := before
	switch {
	case m.bug == "restarts a completed order" && to == order.Processing && from.Status == order.Completed && !from.CompletedAt.IsZero():
		from.Status, from.StartedAt, from.CompletedAt = order.Pending, time.Time{}, time.Time{}
	case m.bug == "does not wait" && to != order.Processing:
		now = later(now, from.StartedAt.Add(m.works.Wait()))
	case m.bug == "completes a cancelled order by an old message" && from.Status == order.Cancelled && to == order.Completed:
		from.Status, from.CompletedAt = order.Completed, now
		m.changed(order.Change{Old: &before, New: &from})
		return nil
	}
	works := m.works
	if m.bug == "is completed by a timer, not by a worker" {
		works = order.Timer(m.works.Wait())
	}
	after, err := from.Advance(message, now, works)
	if err != nil {
		return err
	}
	switch {
	case m.bug == "starts before the creation" && to == order.Processing:
		after.StartedAt = order.Timestamp(now)
	case m.bug == "changes an order":
		after.UserID = "another"
	case m.bug == "moves a start" && to == order.Completed:
		after.StartedAt, after.CompletedAt = after.StartedAt.Add(time.Millisecond), after.CompletedAt.Add(time.Millisecond)
	case m.bug == "completes too early" && to == order.Completed:
		after.CompletedAt = after.StartedAt.Add(m.works.Wait() - time.Millisecond)
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
	if m.bug != "drops an unreadable message" {
		m.dead = append(m.dead, body)
	}
	return nil
}

func (m *memory) TakesForeign() bool { return true }

func (m *memory) Deliver(bodies [][]byte, _ string) {
	for _, body := range bodies {
		if m.bug == "dead-letters unknown members" && bytes.Contains(body, []byte(`"trace"`)) {
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
	if m.bug == "loses dead letters" {
		m.dead = nil
	}
	if fault == restart {
		m.restart()
		return
	}
	for _, message := range waiting {
		switch {
		case message.NotBefore.After(m.now):
			m.queue = append(m.queue, message)
		case fault != "":
			m.met["worker: "+failing]++
			if m.bug == "retries after a minute" {
				message.NotBefore = m.now.Add(time.Minute)
			}
			if m.bug != "loses a message when a commit fails" {
				m.queue = append(m.queue, message)
			}
		default:
			m.handle(message)
		}
	}
}

// restart computes the queue from the orders again.
func (m *memory) restart() {
	m.met["worker: "+restart]++
	for _, id := range m.ids {
		o := m.orders[id]
		if m.bug != "forgets a retry at a restart" || o.Status != order.Pending || o.Exception == nil {
			m.queue = append(m.queue, order.Change{New: &o}.FollowUps(m.works)...)
		}
	}
}

func (m *memory) handle(message order.Message) {
	if m.bug == "dead-letters a good message" && len(m.ids) > 3 {
		m.dead = append(m.dead, message.Body())
	}
	if m.bug == "panics" && message.To == order.Completed {
		panic(fmt.Sprint("on ", message))
	}
	if err := (order.Processor{Orders: m, Queue: m}).Handle(m.Context(), message, m.now); err != nil {
		m.Fatalf("%+v: %v", message, err)
	}
}

func (m *memory) Tick(d time.Duration)         { m.now = m.now.Add(d) }
func (m *memory) Workers() []string            { return []string{"worker"} }
func (m *memory) Met() map[string]int          { return m.met }
func (m *memory) Now() time.Time               { return m.now }
func (m *memory) Fulfilment() order.Fulfilment { return fulfilment(m.works.External) }
func (m *memory) Counted() bool {
	return m.bug != "never counts" && (m.bug != "counts too early" || len(m.queue) == 0)
}
func (m *memory) DeadLetters() [][]byte { return m.dead }

func (m *memory) Faults(doing string) []string {
	return map[string][]string{Create: {unfinished}, Calling: {unfinished}, "worker": {failing, restart}}[doing]
}

func (m *memory) Waits(id order.ID) bool {
	return slices.ContainsFunc(m.queue, func(q order.Message) bool { return q.OrderID == id }) ||
		m.bug == "keeps its messages" && m.orders[id].Status == order.Completed
}
