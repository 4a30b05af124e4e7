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
// Reading takes its time, while orders go on, and the metrics follow the table with
// some delay. So a recount holds only for a table that nothing has changed in
// between. That is so when the metrics are the same before and after, and the
// stream holds no change that they do not have: whatever is written meanwhile moves
// the metrics, or waits in the stream.
type recounter struct {
	orders    func(context.Context) iter.Seq2[order.Order, error]
	metrics   func(context.Context) (order.Tally, error)
	uncounted func(context.Context) (bool, error)

	processing time.Duration // what an order spends in Processing
	grace      time.Duration // how late a message may be
	now        time.Time     // when reading began
	limit      int           // of the messages that are kept
	read       func()        // called for each order
}

// A recount is what reading all orders has shown.
type recount struct {
	Orders  order.Tally
	Metrics order.Tally
	Verdict verdict
	// Overdue are orders whose next message is late, up to the limit.
	Overdue []overdue
	// OverdueOrders counts all of them.
	OverdueOrders int
	// Unread says what could not be read: an order, the rest of the table, or what the
	// tally keeps there.
	Unread []error
}

// A verdict is how the metrics compare with the orders.
type verdict string

const (
	agree      verdict = "agree"      // they are equal
	differ     verdict = "differ"     // they are not, and nothing explains it
	moving     verdict = "moving"     // orders have changed meanwhile: nothing can be said
	lagging    verdict = "lagging"    // changes wait in the stream, or it is too busy: nothing can be said
	incomplete verdict = "incomplete" // not all could be read: nothing can be said
	damaged    verdict = "damaged"    // the tally or a checkpoint is damaged: nothing can be said
)

// An overdue is an order that waits for longer than it should, for a message that
// was due long ago.
type overdue struct {
	Status  order.Status
	Message order.Message
}

// recount reads all orders once. A damaged item is a finding, and the rest is read. When
// it returns an error, the recount is as far as it got.
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
		r.take(&found, o)
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

// compare gives the verdict on the metrics, which were as before when reading began.
func (r recounter) compare(ctx context.Context, found *recount, before order.Tally) error {
	uncounted, err := r.uncounted(ctx)
	if err != nil {
		return fmt.Errorf("see whether the metrics are up to date: %w", err)
	}
	if found.Metrics, err = r.metrics(ctx); err != nil {
		return err
	}
	switch {
	case len(found.Unread) > 0:
		found.Verdict = incomplete
	case uncounted:
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

func (r recounter) take(found *recount, o order.Order) {
	r.read()
	found.Orders.Add(order.Change{New: &o}.Tally())
	for _, m := range (order.Change{New: &o}).FollowUps(r.processing) {
		if m.NotBefore.Add(r.grace).After(r.now) {
			continue
		}
		found.OverdueOrders++
		if len(found.Overdue) < r.limit {
			found.Overdue = append(found.Overdue, overdue{o.Status, m})
		}
	}
}

// difference is what repairs the metrics when it is added to them.
func (r recount) difference() order.Tally { return minus(r.Orders, r.Metrics) }

func minus(a, b order.Tally) order.Tally {
	for s := range b.ByStatus {
		a.ByStatus[s] -= b.ByStatus[s]
	}
	a.CompletedCount -= b.CompletedCount
	a.DurationSumMillis -= b.DurationSumMillis
	return a
}
