package awstest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A Fault stands between a client and AWS. It has one attempt of a call in its hands,
// sends it as often as it likes, and what it returns is what arrives at the client: an
// answer, of which the SDK makes a result or an error by its own code, or no answer.
type Fault func(*Attempt) (*smithyhttp.Response, error)

// An Attempt is one attempt of a call, on its way to AWS.
type Attempt struct {
	context.Context
	Request *smithyhttp.Request
	next    middleware.DeserializeHandler
}

// Send sends the attempt and returns the answer. Each call sends it again.
func (a *Attempt) Send() (*smithyhttp.Response, error) {
	if err := a.Request.RewindStream(); err != nil {
		return nil, fmt.Errorf("rewind the request: %w", err)
	}
	out, _, err := a.next.HandleDeserialize(a, middleware.DeserializeInput{Request: a.Request.Clone()})
	answer, ok := out.RawResponse.(*smithyhttp.Response)
	if err == nil && !ok {
		err = fmt.Errorf("the answer is a %T", out.RawResponse)
	}
	return answer, err
}

// Told is the fault, and calls met for each attempt that meets it.
func (f Fault) Told(met func()) Fault {
	return func(a *Attempt) (*smithyhttp.Response, error) {
		met()
		return f(a)
	}
}

// Faults plays faults to the calls that clients make. It stands inside the SDK's
// retries: an attempt that fails is tried again, and the next attempt of the call
// meets the call's next fault.
//
// Its Middleware goes into any client, beside that of Calls, which counts what meets a
// fault, too. The zero value lets all calls pass, and is ready for any number of
// clients and goroutines.
type Faults struct {
	mu      sync.Mutex
	scripts map[string][]script // by operation, for the calls to come
	left    map[string]int      // faults that were not met, by operation
	lasting map[string]*Fault   // by operation
}

// A script has a fault for each attempt of a call.
type script []Fault

// Play sets what one call of an operation, such as "PutItem", will meet: each of
// its attempts a fault, in order; nil is none. The first Play is for the first call
// from now on, the next for the second, and so on; after the last, all pass.
func (f *Faults) Play(operation string, attempts ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.scripts == nil {
		f.scripts, f.left = map[string][]script{}, map[string]int{}
	}
	f.scripts[operation] = append(f.scripts[operation], attempts)
	for _, fault := range attempts {
		if fault != nil {
			f.left[operation]++
		}
	}
}

// Begin has every attempt of an operation meet the fault, unless it has one of its own
// by Play, until end is called.
func (f *Faults) Begin(operation string, fault Fault) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lasting == nil {
		f.lasting = map[string]*Fault{}
	}
	f.lasting[operation] = &fault
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.lasting[operation] == &fault {
			delete(f.lasting, operation)
		}
	}
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

// Middleware makes a client's calls meet the faults: below the SDK's own reading of
// answers, so that what a fault answers is read like an answer of AWS.
func (f *Faults) Middleware(stack *middleware.Stack) error {
	begin := middleware.InitializeMiddlewareFunc("TakeScript", f.begin)
	if err := stack.Initialize.Add(begin, middleware.After); err != nil {
		return err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("PlayFaults", f.attempt), middleware.After)
}

// scriptKey is that of a call's script in its context.
type scriptKey struct{}

// begin gives a call its script.
func (f *Faults) begin(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	operation := awsmiddleware.GetOperationName(ctx)
	f.mu.Lock()
	if waiting := f.scripts[operation]; len(waiting) > 0 && !dead(ctx) {
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
	if dead(ctx) {
		return out, metadata, &smithy.CanceledError{Err: errKilled}
	}
	fault := f.next(ctx)
	if fault == nil {
		return next.HandleDeserialize(ctx, in)
	}
	request, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return out, metadata, fmt.Errorf("the request is a %T", in.Request)
	}
	answer, err := fault(&Attempt{Context: ctx, Request: request, next: next})
	if answer != nil {
		out.RawResponse = answer
	}
	return out, metadata, err
}

// next is the fault of an attempt, which it takes off its call's script.
func (f *Faults) next(ctx context.Context) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	operation := awsmiddleware.GetOperationName(ctx)
	if rest, ok := middleware.GetStackValue(ctx, scriptKey{}).(*script); ok && len(*rest) > 0 {
		fault := (*rest)[0]
		*rest = (*rest)[1:]
		if fault != nil {
			f.left[operation]--
			return fault
		}
	}
	if lasting := f.lasting[operation]; lasting != nil {
		return *lasting
	}
	return nil
}
