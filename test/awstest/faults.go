package awstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"orders/tools/eventsource"
)

// A Fault handles one attempt of a call in place of the network. It may send the attempt any
// number of times. The client receives what the fault returns: a response, which the SDK
// decodes as one of AWS, or an error in place of a response.
type Fault func(*Attempt) (*smithyhttp.Response, error)

// An Attempt is one attempt of a call, on its way to AWS.
type Attempt struct {
	context.Context
	Request *smithyhttp.Request
	next    middleware.DeserializeHandler
}

// Send sends the attempt and returns the response. Each call sends it again.
func (a *Attempt) Send() (*smithyhttp.Response, error) {
	if err := a.Request.RewindStream(); err != nil {
		return nil, fmt.Errorf("rewind the request: %w", err)
	}
	out, _, err := a.next.HandleDeserialize(a, middleware.DeserializeInput{Request: a.Request.Clone()})
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err == nil && !ok {
		err = fmt.Errorf("the response is a %T", out.RawResponse)
	}
	return response, err
}

// sendAndForget sends the attempt for its effect alone. It succeeds with any response, such as
// one that says that a condition does not hold.
func (a *Attempt) sendAndForget() error {
	response, err := a.Send()
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close())
}

// Told is the fault that calls met for each attempt that meets it.
func (f Fault) Told(met func()) Fault {
	return func(a *Attempt) (*smithyhttp.Response, error) {
		met()
		return f(a)
	}
}

// Faults injects faults into the calls of clients. It works inside the SDK's retries: the SDK
// retries an attempt that fails, and the next attempt of the call meets the call's next fault.
//
// Its Middleware goes into any client, beside that of Calls, which also counts attempts that
// meet a fault. The zero value lets all calls pass. It is ready for any number of clients and
// goroutines.
type Faults struct {
	mu      sync.Mutex
	scripts map[string][]script // by operation, for the calls to come
	left    map[string]int      // faults that were not met, by operation
	lasting map[string]*Fault   // by operation
}

// A script has a fault for each attempt of a call.
type script []Fault

// Play sets the faults of one call of an operation, such as "PutItem": one for each of its
// attempts, in order, nil for none. The first Play is for the first call from now on, the next
// for the second, and so on. The calls after the last pass.
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

// Begin makes every attempt of an operation meet the fault until end is called. The faults of
// Play come first.
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

// Unplayed names the operations that have not met all of their faults. A test that leaves one
// has not tested what its name says.
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

// Middleware makes a client's calls meet the faults. It stands below the SDK's decoding, so the
// SDK decodes the response of a fault like one of AWS.
func (f *Faults) Middleware(stack *middleware.Stack) error {
	begin := middleware.InitializeMiddlewareFunc("TakeScript", f.begin)
	if err := stack.Initialize.Add(begin, middleware.After); err != nil {
		return err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("PlayFaults", f.attempt), middleware.After)
}

// scriptKey is the key of a call's script in its context.
type scriptKey struct{}

// begin gives a call its script.
func (f *Faults) begin(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	operation := awsmiddleware.GetOperationName(ctx)
	f.mu.Lock()
	if waiting := f.scripts[operation]; len(waiting) > 0 && !isKilled(ctx) {
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
	if isKilled(ctx) {
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
	response, err := fault(&Attempt{Context: ctx, Request: request, next: next})
	if response != nil {
		out.RawResponse = response
	}
	return out, metadata, err
}

// next takes the fault of an attempt off its call's script.
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

// NeverArrives loses an attempt on its way to AWS.
func NeverArrives(*Attempt) (*smithyhttp.Response, error) { return nil, connectionReset() }

// ResponseLost loses the response to an attempt that AWS has carried out.
func ResponseLost(a *Attempt) (*smithyhttp.Response, error) {
	if err := a.sendAndForget(); err != nil {
		return nil, err
	}
	return nil, connectionReset()
}

// connectionReset is the SDK's error for a connection that breaks. The SDK retries it.
func connectionReset() error { return &smithyhttp.RequestSendError{Err: syscall.ECONNRESET} }

// Twice sends an attempt two times. The client gets the first response.
func Twice(a *Attempt) (*smithyhttp.Response, error) {
	response, err := a.Send()
	if err != nil {
		return response, err
	}
	return response, a.sendAndForget()
}

// Slow sends an attempt after a delay, or never if the attempt's context ends before.
func Slow(d time.Duration) Fault {
	return func(a *Attempt) (*smithyhttp.Response, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return a.Send()
		case <-a.Done():
			return nil, &smithy.CanceledError{Err: a.Err()}
		}
	}
}

// KilledBefore kills the function before the attempt is sent. Under Mortal the function ends at
// once; otherwise the call returns when its context ends.
func KilledBefore(a *Attempt) (*smithyhttp.Response, error) { return nil, a.kill() }

// KilledAfter kills the function like KilledBefore, but after AWS has carried out the attempt.
func KilledAfter(a *Attempt) (*smithyhttp.Response, error) {
	if err := a.sendAndForget(); err != nil {
		return nil, err
	}
	return nil, a.kill()
}

func (a *Attempt) kill() error {
	if d, ok := a.Value(deathKey{}).(*death); ok {
		d.die()
		return &smithy.CanceledError{Err: errKilled}
	}
	<-a.Done()
	return &smithy.CanceledError{Err: a.Err()}
}

// errKilled is the error of a function that was killed, and of the calls that it goes on to make.
var errKilled = errors.New("the function was killed")

// Mortal makes it possible to kill functions. A killed function returns no response, and none of
// its further calls by clients with Faults arrives. Setup.Between takes it.
func Mortal(invoke eventsource.Invoke) eventsource.Invoke {
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		d := &death{came: make(chan struct{})}
		response, err := invoke(context.WithValue(ctx, deathKey{}, d), function, event)
		if d.hasCome() {
			return nil, errKilled
		}
		return response, err
	}
}

// A death belongs to one invocation. It is a value of the context, and so reaches calls that
// the function makes without the context's deadline.
type death struct {
	once sync.Once
	came chan struct{}
}

type deathKey struct{}

func (d *death) die() { d.once.Do(func() { close(d.came) }) }

func (d *death) hasCome() bool {
	select {
	case <-d.came:
		return true
	default:
		return false
	}
}

// isKilled reports whether the function that makes a call was killed.
func isKilled(ctx context.Context) bool {
	d, ok := ctx.Value(deathKey{}).(*death)
	return ok && d.hasCome()
}
