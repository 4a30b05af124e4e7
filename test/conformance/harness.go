// Package conformance is the specification of a backend for orders: what its store, its queue
// and its worker must do, written as sentences and run against a real backend.
//
// An adapter runs all of it in one line:
//
//	func TestConformance(t *testing.T) { conformance.Run(t, openBackend) }
//
// The names of the tests cite the invariants I1 to I17 of docs/design.md.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"orders/shared/order"
)

// A Harness is a backend to be tested: fresh, empty, and with its worker running until the test
// ends.
type Harness struct {
	Store   order.Store
	Metrics order.MetricsReader

	// Deliver hands bodies to the worker in one batch, as the queue would, and returns when
	// the worker has handled each of them once. It is nil for a backend that takes no foreign
	// messages: the sentences about them are skipped.
	Deliver func(ctx context.Context, bodies ...[]byte) error

	// DeadLetters returns the bodies in the dead-letter queue.
	DeadLetters func(ctx context.Context) ([][]byte, error)

	// ProcessingTime is the one that the backend is configured with. It is long enough for a
	// test to see an order in Processing, and short enough to wait for.
	ProcessingTime time.Duration
}

// Run tests a backend against the whole specification. It calls open once a test. With external,
// workers complete the orders: in two attempts of t.AttemptTimeout each.
func Run(t *testing.T, open func(t *testing.T, external bool) Harness) {
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
		{"transition", transitionTests},
		{"worker", workerTests},
	} {
		for _, tt := range part.tests {
			t.Run(part.name+"/"+tt.sentence, func(t *testing.T) {
				tt.run(&tester{TB: t, Harness: open(t, part.name == "worker")})
			})
		}
	}
}

// A test is one sentence of the specification.
type test struct {
	sentence string
	run      func(*tester)
}

// A tester tests one backend.
type tester struct {
	testing.TB
	Harness
	repeated atomic.Int64 // creates that were sent again
}

// needsDeliver skips the test for a backend that takes no foreign messages.
func (t *tester) needsDeliver() {
	t.Helper()
	if t.Deliver == nil {
		t.Skip("this backend takes no foreign messages")
	}
}

// deliver hands bodies to the worker in one batch.
func (t *tester) deliver(bodies ...[]byte) {
	t.Helper()
	t.needsDeliver()
	if err := t.Deliver(t.Context(), bodies...); err != nil {
		t.Fatalf("Deliver: %v", err)
	}
}

// stallTimeout is how long Eventually waits while nothing changes.
const stallTimeout = time.Minute

// Eventually waits until check returns nil. It fails the test when check has returned the same
// error for a minute: a slow machine may take longer as long as there is progress.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	var last string
	for changed := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := check()
		switch {
		case err == nil:
			return
		case err.Error() != last:
			last, changed = err.Error(), time.Now()
		case time.Since(changed) > stallTimeout:
			t.Fatalf("nothing has changed for %s: %v", stallTimeout, err)
		}
	}
}

// draft is the request of most tests, with changes. The result is the same for the same changes.
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

// imported gives a draft the status that the order begins in.
func imported(s order.Status) func(*order.Draft) {
	return func(d *order.Draft) { d.InitialStatus = s }
}

// create stores a draft as a new order.
func (t *tester) create(change ...func(*order.Draft)) order.Order {
	t.Helper()
	o, replayed, err := t.store(t.draft(change...))
	if err != nil || replayed && t.repeated.Load() == 0 {
		t.Fatalf("Create: replayed %v, error %v", replayed, err)
	}
	return o
}

// store creates an order. While the backend says that it is unavailable, store sends a request
// with a key again, as a client may. It gives up after a minute. Without a key, a second request
// could make a second order: then the first error counts.
func (t *tester) store(d order.Draft) (o order.Order, replayed bool, err error) {
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		o, replayed, err = t.Store.Create(t.Context(), d)
		switch {
		case !errors.Is(err, order.ErrUnavailable):
			return o, replayed, err
		case d.Key == "" || time.Since(began) > stallTimeout:
			return o, replayed, fmt.Errorf("the backend is broken, or the machine too slow for it: %w", err)
		}
		t.repeated.Add(1)
	}
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
	Eventually(t, func() error {
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
	Eventually(t, func() error {
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

// awaitCompleted waits until there are n orders, all are completed, and the metrics equal the
// recount (I4, I9, I17).
func (t *tester) awaitCompleted(n int) {
	t.Helper()
	Eventually(t, func() error {
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

// whileRunning calls watch again and again, concurrently with run, until run returns.
func whileRunning(run, watch func()) {
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !done.Load() {
			watch()
		}
	})
	defer wg.Wait()
	defer done.Store(true)
	run()
}

// concurrently runs f(0) to f(n-1) at the same time and waits for all. The test ends with the
// first error.
func (t *tester) concurrently(n int, f func(i int) error) {
	t.Helper()
	var group errgroup.Group
	for i := range n {
		group.Go(func() error { return f(i) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// sameSet reports whether two lists have the same ids in any order.
func sameSet(a, b []order.ID) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
