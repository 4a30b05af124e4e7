// Package order is the domain of the order service: what an order is, which
// way it goes from Pending to Completed, what follows from every step, and how
// one message from the queue is worked off.
//
// It promises that the rules are the same wherever orders are kept. Storing,
// queueing and HTTP are left to the adapters, which implement the ports in
// ports.go and are held to them by the conformance suite in test/conformance.
//
// Times are UTC with millisecond precision. Nothing in this package reads a
// clock or a source of randomness: both are passed in.
package order

import "time"

// An Order is what a client has ordered and how far the system has got with it.
//
// StartedAt and CompletedAt are zero until the system has taken that step. They
// stay zero in an order taken over as Completed: the system did not take it.
type Order struct {
	ID ID
	Details
	Status      Status
	CreatedAt   time.Time
	StartedAt   time.Time
	CompletedAt time.Time
}

// New makes the order that a draft becomes when a store accepts it under id at
// the time now. One taken over as Processing is started at its creation.
func New(d Draft, id ID, now time.Time) Order {
	o := Order{ID: id, Details: d.Details, Status: d.InitialStatus, CreatedAt: Timestamp(now)}
	if o.Status == Processing {
		o.StartedAt = o.CreatedAt
	}
	return o
}

// Advance returns the order as it is after the transition to status to at the
// time now, or says why that transition is not made:
//
//   - ErrAlreadyDone: the order has reached that status, or one beyond it;
//   - *EarlyError: its time has not come, or an earlier transition is still out.
//
// A start whose clock lies behind the creation starts at the creation, so that
// times never run backwards within an order, whatever the clocks do.
func (o Order) Advance(to Status, now time.Time, processing time.Duration) (Order, error) {
	now = Timestamp(now)
	switch {
	case o.Status >= to:
		return o, ErrAlreadyDone
	case predecessor[to] != o.Status:
		return o, &EarlyError{Until: now.Add(processing)}
	case to == Processing:
		o.StartedAt = latest(now, o.CreatedAt)
	case now.Before(o.StartedAt.Add(processing)):
		return o, &EarlyError{Until: o.StartedAt.Add(processing)}
	default:
		o.CompletedAt = now
	}
	o.Status = to
	return o, nil
}

// Timestamp is t as orders keep it: UTC, cut to the millisecond.
func Timestamp(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
