// Package chaos plays random histories with faults on a home for orders, and holds
// the home to a model after every step.
//
// A history is a list of steps: orders created, work done in the background, messages
// delivered that nobody sent, clocks that jump; each of them possibly meets one of the
// faults that the home knows. After each step everything is read and compared with what
// the model expects, and after the last the faults end, time passes, and every order
// must be completed and counted.
//
// The same histories are played on every home. One that fails is shrunk to the few
// steps that matter and printed; put into testdata it is played by every home from then on.
package chaos

import (
	"context"
	"time"

	"orders/shared/order"
)

// T is the part of testing.T and rapid.T that a home may use.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// A Deployment is fresh and empty when a history begins. It does what a step asks of it
// and then stands still: nothing happens in the background, and its clock moves only
// when it is told to, so that a history that is played again takes the same course.
//
// What goes wrong beyond what a fault explains it reports by the T it was opened with.
type Deployment interface {
	// Store is read, through no fault.
	order.MetricsReader
	Get(ctx context.Context, id order.ID) (order.Order, error)
	List(ctx context.Context, limit int, after string) (order.Page, error)

	// Create hands in drafts side by side and returns what each caller was told.
	Create(drafts []order.Draft, fault string) []Created
	// Work lets one of the Workers do what there is for it to do at this moment.
	Work(worker, fault string)
	// Deliver hands bodies to whoever works off the queue, in one batch, as a queue
	// does that delivers more than once, too early and out of order.
	Deliver(bodies [][]byte, fault string)
	// TakesForeign reports whether Deliver reads bodies, as from a queue that others may write to.
	// If not, it gets messages of orders that exist only.
	TakesForeign() bool
	// Tick moves the clock, forward or back.
	Tick(d time.Duration)

	// Workers names what works in the background, in the order in which an order
	// needs them.
	Workers() []string
	// Faults names what may stand in the way of Create, of Deliver (see the
	// constants) or of a worker. A fault ends with its step.
	Faults(doing string) []string
	// Met counts the faults that have come about so far, by "doing: fault": one that
	// is armed for a call that is never made has not.
	Met() map[string]int

	// Now is the home's clock.
	Now() time.Time
	// ProcessingTime is how long an order stays in Processing.
	ProcessingTime() time.Duration
	// Counted reports whether the metrics are to equal a recount now. They may
	// follow later, and are always right once all Workers had their turn.
	Counted() bool
	// Waits reports whether an unfinished order is in the queue, in flight, or on its
	// way there (I13).
	Waits(id order.ID) bool
	// DeadLetters are the bodies in the dead-letter queue.
	DeadLetters() [][]byte
}

// What Faults is asked for besides workers.
const (
	Create  = "create"
	Deliver = "deliver"
)

// Created is what the caller of a create was told. An Err that is
// order.ErrUnavailable leaves open whether the order is there; without a fault it
// must not come.
type Created struct {
	Order    order.Order
	Replayed bool
	Err      error
}
