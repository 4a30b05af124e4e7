package awstest_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"orders/test/awstest"
)

// A network is between a home's functions and AWS. It plays faults, counts, and knows
// what may have changed.
type network struct {
	// due turns a message's delay into its time on the queue's clock.
	due    func(delay time.Duration) time.Duration
	faults atomic.Pointer[awstest.Faults]
	met    atomic.Bool
	calls  awstest.Calls
	// underWay is held by each call, shared, so that a step can wait for those of a
	// function that has run out of time.
	underWay sync.RWMutex

	mu      sync.Mutex
	touched map[string]bool
	wrong   string // the first thing that was
}

// report notes what is wrong, from any goroutine.
func (n *network) report(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wrong == "" {
		n.wrong = fmt.Sprintf(format, args...)
	}
}

// begin has calls of operations meet a disturbance until end.
func (n *network) begin(d disturbance, operations []string) {
	var faults awstest.Faults
	attempts := make([]awstest.Fault, len(d.attempts))
	for i, fault := range d.attempts {
		attempts[i] = fault.Told(func() { n.met.Store(true) })
	}
	for _, operation := range operations {
		for range 20 { // more calls than any step makes
			faults.Play(operation, attempts...)
			faults.Play(operation)
		}
	}
	n.met.Store(false)
	n.faults.Store(&faults)
}

// end reports whether a call has met the disturbance. A call has three attempts, a
// draft or a message leads to two calls of a kind, and a transaction that others are in
// the way of is tried ten times (I16).
func (n *network) end(handed int) (met bool) {
	n.underWay.Lock()
	n.faults.Store(&awstest.Faults{})
	n.underWay.Unlock()
	for operation, attempts := range n.calls.Take().Calls {
		most := 3 * 2 * max(handed, 1)
		if operation == "TransactWriteItems" {
			most = 3 * 10 * max(handed, 1)
		}
		if attempts > most {
			n.report("%d attempts of %s for %d records, messages or drafts", attempts, operation, handed)
		}
	}
	return n.met.Load()
}

// Middleware puts the network into a client.
func (n *network) Middleware(stack *middleware.Stack) error {
	observe := middleware.InitializeMiddlewareFunc("Observe", n.observe)
	if err := stack.Initialize.Add(observe, middleware.After); err != nil {
		return err
	}
	if err := n.calls.Middleware(stack); err != nil {
		return err
	}
	if err := n.faults.Load().Middleware(stack); err != nil {
		return err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("SeeThrough", seeThrough), middleware.After)
}

// seeThrough makes an attempt that is on its way arrive, and be answered, when the time
// of its function is over: no step leaves anything under way.
func seeThrough(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	if err := ctx.Err(); err != nil {
		return middleware.DeserializeOutput{}, middleware.Metadata{}, &smithy.CanceledError{Err: err}
	}
	return next.HandleDeserialize(context.WithoutCancel(ctx), in)
}
