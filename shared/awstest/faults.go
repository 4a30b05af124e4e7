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

// Faults plays faults to the attempts that clients make. It stands inside the
// SDK's retries: an attempt that is lost is tried again, and the next attempt
// meets the next fault.
//
// Its Middleware goes into any client, beside that of Calls. The zero value lets
// all calls pass, and is ready for any number of clients and goroutines.
type Faults struct {
	mu      sync.Mutex
	scripts map[string][]Fault
}

// Play appends faults to an operation's script: its attempts, such as those of
// "PutItem", meet one each, in order. nil lets an attempt pass, as does the end
// of the script.
func (f *Faults) Play(operation string, faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.scripts == nil {
		f.scripts = map[string][]Fault{}
	}
	f.scripts[operation] = append(f.scripts[operation], faults...)
}

// Unplayed names the operations whose script has not come to its end: a test that
// leaves one has not tested what it says.
func (f *Faults) Unplayed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.scripts))
}

// Middleware makes a client's attempts meet the faults.
func (f *Faults) Middleware(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("PlayFaults", f.handle), middleware.Before)
}

func (f *Faults) handle(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	fault := f.next(awsmiddleware.GetOperationName(ctx))
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

// next takes the fault that an operation's next attempt meets off its script.
func (f *Faults) next(operation string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	script := f.scripts[operation]
	if len(script) == 0 {
		return nil
	}
	if len(script) == 1 {
		delete(f.scripts, operation)
	} else {
		f.scripts[operation] = script[1:]
	}
	return script[0]
}
