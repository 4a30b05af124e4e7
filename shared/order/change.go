package order

import "time"

// A Change is what one write did to one order. Old is nil for a creation. New is
// nil for a deletion, which the service never makes, but an operator may.
type Change struct {
	Old, New *Order
}

// FollowUps is what a change puts on the queue: the transition that follows.
// processing is the time an order spends in Processing.
//
// For an order that is as it is, Change{New: &o}.FollowUps says what it waits for.
func (c Change) FollowUps(processing time.Duration) []Message {
	if c.New == nil || c.Old != nil && c.Old.Status == c.New.Status {
		return nil
	}
	switch c.New.Status {
	case Pending:
		return []Message{{OrderID: c.New.ID, To: Processing, NotBefore: c.New.CreatedAt}}
	case Processing:
		return []Message{{OrderID: c.New.ID, To: Completed, NotBefore: c.New.StartedAt.Add(processing)}}
	default:
		return nil
	}
}

// Tally is what a change adds to the metrics.
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

// A Tally counts orders: the sum of Change.Tally over all changes so far, and
// just as well the sum over all orders as they are.
type Tally struct {
	ByStatus [len(Statuses)]int64
	// CompletedCount counts the orders that the system itself has completed, and
	// DurationSumMillis sums their completed_at - created_at in milliseconds.
	CompletedCount    int64
	DurationSumMillis int64
}

func (t *Tally) count(o *Order, n int64) {
	t.ByStatus[o.Status] += n
	if !o.CompletedAt.IsZero() {
		t.CompletedCount += n
		t.DurationSumMillis += n * o.CompletedAt.Sub(o.CreatedAt).Milliseconds()
	}
}

// Add adds what u counts to t.
func (t *Tally) Add(u Tally) {
	for s := range u.ByStatus {
		t.ByStatus[s] += u.ByStatus[s]
	}
	t.CompletedCount += u.CompletedCount
	t.DurationSumMillis += u.DurationSumMillis
}

// Total is the number of orders.
func (t Tally) Total() int64 {
	var n int64
	for _, count := range t.ByStatus {
		n += count
	}
	return n
}

// AvgProcessTime is the mean time from creation to completion in seconds over
// the orders that the system has completed, 0 when there is none.
func (t Tally) AvgProcessTime() float64 {
	if t.CompletedCount == 0 {
		return 0
	}
	return float64(t.DurationSumMillis) / float64(t.CompletedCount) / 1000
}
