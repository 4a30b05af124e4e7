package order

import (
	"fmt"
	"strings"
)

// A Change is one write to one order: the order before and after it. Old is nil for a creation. New
// is nil for a deletion; the service never deletes an order, but an operator can.
type Change struct {
	Old, New *Order
}

// FollowUps returns the messages that must be queued after the change: one for the next transition
// that the service itself makes, none if there is none.
//
// For an order o in any state, Change{New: &o}.FollowUps is the message that it waits for.
func (c Change) FollowUps(f Fulfilment) []Message {
	if c.New == nil || c.Old != nil && c.Old.Version() == c.New.Version() {
		return nil
	}
	t, due, ok := c.New.next(f)
	if !ok {
		return nil
	}
	m := Message{OrderID: c.New.ID, To: t.To(), NotBefore: due}
	if c.New.Exception != nil || t > Complete {
		m.Version = c.New.Version()
	}
	return []Message{m}
}

// Tally returns what the change adds to the metrics. Its counts can be negative.
func (c Change) Tally() Tally {
	var t Tally
	if c.New != nil {
		t.count(c.New, +1)
	}
	if c.Old != nil {
		t.count(c.Old, -1)
	}
	return t
}

// A Tally counts orders. The sum of Change.Tally over all changes so far equals a recount: the sum
// of Change{New: &o}.Tally over all orders o.
type Tally struct {
	ByStatus Counts
	// CompletedCount counts the orders that the service has completed. It leaves out those that
	// were imported as Completed.
	CompletedCount int64
	// DurationSumMillis is the sum over these orders of the time from creation to completion.
	DurationSumMillis int64
	// Inexact says that a change was left out, because it could not be read and an operator had it
	// skipped. A recount makes the tally exact again.
	Inexact bool
}

// Counts has a number for each status.
type Counts [len(Statuses)]int64

// String returns the numbers, as in "1 Pending, 0 Processing, 3 Completed, 0 Failed, 0 Cancelled".
func (c Counts) String() string {
	texts := make([]string, len(c))
	for s, n := range c {
		texts[s] = fmt.Sprintf("%d %s", n, Status(s))
	}
	return strings.Join(texts, ", ")
}

func (t *Tally) count(o *Order, n int64) {
	t.ByStatus[o.Status] += n
	if !o.CompletedAt.IsZero() {
		t.CompletedCount += n
		t.DurationSumMillis += n * o.CompletedAt.Sub(o.CreatedAt).Milliseconds()
	}
}

// Add adds u to t.
func (t *Tally) Add(u Tally) {
	for s := range u.ByStatus {
		t.ByStatus[s] += u.ByStatus[s]
	}
	t.CompletedCount += u.CompletedCount
	t.DurationSumMillis += u.DurationSumMillis
	t.Inexact = t.Inexact || u.Inexact
}

// Total returns the number of orders.
func (t Tally) Total() int64 {
	var n int64
	for _, count := range t.ByStatus {
		n += count
	}
	return n
}

// AvgProcessTime returns the mean time from creation to completion, in seconds, of the orders that
// the service has completed. It is 0 if there are none.
func (t Tally) AvgProcessTime() float64 {
	if t.CompletedCount == 0 {
		return 0
	}
	return float64(t.DurationSumMillis) / float64(t.CompletedCount) / 1000
}
