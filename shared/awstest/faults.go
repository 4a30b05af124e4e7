package awstest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"syscall"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A Fault stands between a client and one attempt of a call: it makes the call as
// often as it likes, and what it returns is what the client sees. When it makes
// the call more than once, the client sees the first answer.
type Fault func(call func() error) error

// NeverArrives loses an attempt on its way to AWS.
func NeverArrives(func() error) error { return connectionReset() }

// AnswerLost has AWS do what was asked and loses the answer.
func AnswerLost(call func() error) error {
	_ = call() // the client is not to learn of it
	return connectionReset()
}

// Twice has AWS do what was asked two times.
func Twice(call func() error) error {
	err := call()
	_ = call() // the client sees the first
	return err
}

// connectionReset is what the SDK makes of a connection that breaks, which it
// tries again by itself.
func connectionReset() error { return &smithyhttp.RequestSendError{Err: syscall.ECONNRESET} }

// Faults plays faults to the calls that clients make. It stands inside the SDK's
// retries: an attempt that is lost is tried again, and the next attempt of the call
// meets the call's next fault.
//
// Its Middleware goes into any client, beside that of Calls. The zero value lets
// all calls pass, and is ready for any number of clients and goroutines.
type Faults struct {
	mu      sync.Mutex
	scripts map[string][]script // by operation, for the calls to come
	left    map[string]int      // faults that were not met, by operation
}

// A script has a fault for each attempt of a call.
type script []Fault

// Play sets what one call of an operation, such as "PutItem", will meet: each of
// its attempts a fault, in order. The first Play is for the first call from now
// on, the next for the second, and so on; after the last, all pass.
func (f *Faults) Play(operation string, attempts ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.scripts == nil {
		f.scripts, f.left = map[string][]script{}, map[string]int{}
	}
	f.scripts[operation] = append(f.scripts[operation], attempts)
	f.left[operation] += len(attempts)
}

// Unplayed names the operations that have not met all of their faults: a test that
// leaves one has not tested what it says.
func (f *Faults) Unplayed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, operation := range slices.Sorted(maps.Keys(f.left)) {
		if f.left[operation] > 0 {
			names = append(names, operation)
		}
	}
	return names
}

// Middleware makes a client's calls meet the faults.
func (f *Faults) Middleware(stack *middleware.Stack) error {
	begin := middleware.InitializeMiddlewareFunc("TakeScript", f.begin)
	if err := stack.Initialize.Add(begin, middleware.After); err != nil {
		return err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("PlayFaults", f.attempt), middleware.Before)
}

// scriptKey is that of a call's script in its context.
type scriptKey struct{}

// begin gives a call its script.
func (f *Faults) begin(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	operation := awsmiddleware.GetOperationName(ctx)
	f.mu.Lock()
	if waiting := f.scripts[operation]; len(waiting) > 0 {
		f.scripts[operation] = waiting[1:]
		ctx = middleware.WithStackValue(ctx, scriptKey{}, &waiting[0])
	}
	f.mu.Unlock()
	return next.HandleInitialize(ctx, in)
}

// attempt makes one attempt of a call meet its fault.
func (f *Faults) attempt(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	fault := f.next(ctx)
	if fault == nil {
		return next.HandleDeserialize(ctx, in)
	}
	calls := 0
	err = fault(func() error {
		request, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return fmt.Errorf("the request is a %T", in.Request)
		}
		if err := request.RewindStream(); err != nil {
			return fmt.Errorf("rewind the request: %w", err)
		}
		answer, about, err := next.HandleDeserialize(ctx, middleware.DeserializeInput{Request: request.Clone()})
		if calls++; calls == 1 {
			out, metadata = answer, about
		}
		return err
	})
	return out, metadata, err
}

// next takes the fault of an attempt off its call's script.
func (f *Faults) next(ctx context.Context) Fault {
	rest, ok := middleware.GetStackValue(ctx, scriptKey{}).(*script)
	if !ok || len(*rest) == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := (*rest)[0]
	*rest = (*rest)[1:]
	f.left[awsmiddleware.GetOperationName(ctx)]--
	return fault
}
