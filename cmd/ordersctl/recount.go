package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
)

// A recounter reads all orders and compares them with the metrics.
//
// Reading takes time. Meanwhile orders change, and the metrics follow the table with a delay. So a
// recount holds only for a table that did not change while it was read. The recounter is sure of
// that when the metrics are the same before and after, and the stream holds no change that the
// metrics do not have: each write moves the metrics, or waits in the stream.
type recounter struct {
	orders  func(context.Context) iter.Seq2[order.Order, error]
	metrics func(context.Context) (order.Tally, error)
	lags    func(context.Context) (bool, error) // whether the metrics lag behind the stream

	fulfilment order.Fulfilment
	grace      time.Duration // how late a message may be
	now        time.Time     // when reading began
	limit      int           // of the messages that are kept
	progress   func()        // called for each order
}

// A recount is the result of reading all orders.
type recount struct {
	Orders  order.Tally
	Metrics order.Tally
	Verdict verdict
	// Inexact says that the metrics are marked as such, because a record was skipped.
	Inexact bool
	// Overdue are orders whose next message is late, up to the limit.
	Overdue []overdue
	// OverdueOrders counts all of them.
	OverdueOrders int
	// Unread has the errors of what could not be read: an order, the rest of the table, or the
	// tally and its checkpoints.
	Unread []error
}

// A verdict is how the metrics compare with the orders.
type verdict string

const (
	agree      verdict = "agree"      // they are equal
	differ     verdict = "differ"     // they are not, and nothing explains it
	moving     verdict = "moving"     // unknown: orders have changed meanwhile
	lagging    verdict = "lagging"    // unknown: changes wait in the stream, or it is too busy
	incomplete verdict = "incomplete" // unknown: not all orders could be read
	damaged    verdict = "damaged"    // unknown: the tally or a checkpoint is damaged
)

// explain is the verdict for a person.
func (v verdict) explain() string {
	switch v {
	case agree:
		return "the metrics equal the orders"
	case differ:
		return "the metrics differ from the orders"
	case moving:
		return "orders have changed while they were read; try again when the table is at rest"
	case lagging:
		return "the stream holds changes that are not counted yet, or is too busy to tell; see to the tally function, then try again"
	case damaged:
		return "what the tally keeps in the table is damaged; see what is unread"
	default:
		return "not all orders could be read"
	}
}

// An overdue is an order whose next message was due long ago.
type overdue struct {
	Status  order.Status
	Message order.Message
}

// recount reads all orders once. A damaged item is a finding, and the rest is read. With an error,
// the recount has what was read before it.
func (r recounter) recount(ctx context.Context) (found recount, err error) {
	before, err := r.metrics(ctx)
	if err != nil && !errors.Is(err, dynamostore.ErrDamaged) {
		return found, err
	}
	for o, err := range r.orders(ctx) {
		if err != nil {
			found.Unread = append(found.Unread, err)
			continue
		}
		r.add(&found, o)
	}
	if err := ctx.Err(); err != nil {
		return found, err
	}
	if err == nil {
		err = r.compare(ctx, &found, before)
	}
	if errors.Is(err, dynamostore.ErrDamaged) {
		found.Verdict, found.Unread, err = damaged, append(found.Unread, err), nil
	}
	return found, err
}

// add adds an order to the recount.
func (r recounter) add(found *recount, o order.Order) {
	r.progress()
	created := order.Change{New: &o}
	found.Orders.Add(created.Tally())
	for _, m := range created.FollowUps(r.fulfilment) {
		if m.NotBefore.Add(r.grace).After(r.now) {
			continue
		}
		found.OverdueOrders++
		if len(found.Overdue) < r.limit {
			found.Overdue = append(found.Overdue, overdue{o.Status, m})
		}
	}
}

// compare sets the verdict. before are the metrics when reading began.
func (r recounter) compare(ctx context.Context, found *recount, before order.Tally) error {
	lags, err := r.lags(ctx)
	if err != nil {
		return fmt.Errorf("see whether the metrics are up to date: %w", err)
	}
	if found.Metrics, err = r.metrics(ctx); err != nil {
		return err
	}
	found.Inexact, found.Metrics.Inexact, before.Inexact = found.Metrics.Inexact, false, false
	switch {
	case len(found.Unread) > 0:
		found.Verdict = incomplete
	case lags:
		found.Verdict = lagging
	case found.Metrics != before:
		found.Verdict = moving
	case found.Metrics == found.Orders:
		found.Verdict = agree
	default:
		found.Verdict = differ
	}
	return nil
}

// difference repairs the metrics when it is added to them.
func (r recount) difference() order.Tally {
	d := r.Orders
	for s, n := range r.Metrics.ByStatus {
		d.ByStatus[s] -= n
	}
	d.CompletedCount -= r.Metrics.CompletedCount
	d.DurationSumMillis -= r.Metrics.DurationSumMillis
	return d
}
