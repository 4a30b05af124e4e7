// Package conformance is the specification of a home for orders: what a store, a
// queue and a worker must do, stated as sentences and run against real parts.
//
// An adapter runs all of it in one line:
//
//	func TestConformance(t *testing.T) { conformance.Run(t, openHome) }
//
// The invariants I1 to I17 that the names of tests cite are those of
// docs/design.md.
package conformance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"orders/shared/order"
)

// A Harness is what an adapter gives to be tested: fresh, empty, and with its
// worker running until the test ends.
type Harness struct {
	Store   order.Store
	Metrics order.MetricsReader

	// Deliver hands bodies to the worker in one batch, as the queue would, and
	// returns when each has been worked on once. It is nil for a backend that takes no foreign
	// messages: the sentences about them are skipped.
	Deliver func(ctx context.Context, bodies ...[]byte) error

	// DeadLetters returns the bodies in the dead-letter queue.
	DeadLetters func(ctx context.Context) ([][]byte, error)

	// ProcessingTime is what the home is configured with: long enough to be
	// seen, short enough to be waited for.
	ProcessingTime time.Duration
}

// Run holds a home to the whole specification. open is called once a test.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, part := range []struct {
		name  string
		tests []test
	}{
		{"create", createTests},
		{"read", readTests},
		{"list", listTests},
		{"process", processTests},
		{"queue", queueTests},
		{"metrics", metricsTests},
	} {
		for _, tt := range part.tests {
			t.Run(part.name+"/"+tt.sentence, func(t *testing.T) {
				tt.run(&tester{T: t, Harness: open(t)})
			})
		}
	}
}

// A test is one sentence of the specification.
type test struct {
	sentence string
	run      func(*tester)
}

// A tester is a home under test.
type tester struct {
	*testing.T
	Harness
}

// needsDeliver skips the test for a backend that takes no foreign messages.
func (t *tester) needsDeliver() {
	t.Helper()
	if t.Deliver == nil {
		t.Skip("this backend takes no foreign messages")
	}
}

// patience bounds every wait for something that is to happen by itself.
const patience = time.Minute

// eventually waits until check returns nil.
func (t *tester) eventually(check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// draft is a request like many, each call another.
func (t *tester) draft(change ...func(*order.Draft)) order.Draft {
	d := order.Draft{Details: order.Details{
		ClientReference: "userTest23",
		UserID:          "645",
		ItemIDs:         []string{"890", "563"},
		TotalAmount:     1650_78,
	}}
	for _, c := range change {
		c(&d)
	}
	d.SetFingerprint()
	return d
}

// keyed gives a draft the idempotency key of that name.
func keyed(key string) func(*order.Draft) {
	return func(d *order.Draft) { d.Key = order.KeyedID("", key) }
}

// takenOver gives a draft the status that it begins in.
func takenOver(s order.Status) func(*order.Draft) {
	return func(d *order.Draft) { d.InitialStatus = s }
}

// create stores a draft that is to be a new order.
func (t *tester) create(change ...func(*order.Draft)) order.Order {
	t.Helper()
	o, replayed, err := t.Store.Create(t.Context(), t.draft(change...))
	if err != nil || replayed {
		t.Fatalf("Create: replayed %v, error %v", replayed, err)
	}
	return o
}

func (t *tester) get(id order.ID) order.Order {
	t.Helper()
	o, err := t.Store.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%s): %v", id, err)
	}
	return o
}

// awaitStatus waits for the order to reach a status and returns it.
func (t *tester) awaitStatus(id order.ID, s order.Status) (o order.Order) {
	t.Helper()
	t.eventually(func() error {
		o = t.get(id)
		if o.Status < s {
			return fmt.Errorf("order %s is %s, not %s", id, o.Status, s)
		}
		return nil
	})
	return o
}

// all returns every id, page by page.
func (t *tester) all(limit int) []order.ID {
	t.Helper()
	var ids []order.ID
	for after := ""; ; {
		page, err := t.Store.List(t.Context(), limit, after)
		if err != nil {
			t.Fatalf("List(%d, %q): %v", limit, after, err)
		}
		if len(page.IDs) > limit {
			t.Fatalf("List(%d, %q) has %d ids", limit, after, len(page.IDs))
		}
		ids = append(ids, page.IDs...)
		if page.Next == "" {
			return ids
		}
		after = page.Next
	}
}

// awaitCount waits until the list holds n orders.
func (t *tester) awaitCount(n int) {
	t.Helper()
	t.eventually(func() error {
		if got := len(t.all(1000)); got != n {
			return fmt.Errorf("the list has %d orders, not %d", got, n)
		}
		return nil
	})
}

func (t *tester) metrics() order.Tally {
	t.Helper()
	tally, err := t.Metrics.Metrics(t.Context())
	if err != nil {
		t.Fatalf("Metrics: %v", err)
	}
	return tally
}

// recount folds all orders as they are.
func (t *tester) recount() (sum order.Tally) {
	t.Helper()
	for _, id := range t.all(1000) {
		o := t.get(id)
		sum.Add(order.Change{New: &o}.Tally())
	}
	return sum
}

// awaitQuiet waits until n orders are completed and the metrics equal the
// recount (I4, I9, I17).
func (t *tester) awaitQuiet(n int) {
	t.Helper()
	t.eventually(func() error {
		got := t.metrics()
		if got.ByStatus[order.Completed] != int64(n) || got.Total() != int64(n) {
			return fmt.Errorf("metrics are %+v, not %d orders completed", got, n)
		}
		if want := t.recount(); got != want {
			return fmt.Errorf("metrics are %+v, a recount gives %+v", got, want)
		}
		return nil
	})
}
