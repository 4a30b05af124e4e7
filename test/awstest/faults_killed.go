package awstest

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"orders/tools/eventsource"
)

// errKilled is what is left of a function that was killed.
var errKilled = errors.New("the function was killed")

// KilledBefore kills the function at this call, which never arrives. Under Mortal the
// function ends at once; otherwise the call returns when its context ends.
func KilledBefore(a *Attempt) (*smithyhttp.Response, error) { return nil, a.kill() }

// KilledAfter kills the function like KilledBefore, but AWS has done what was asked.
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

// Mortal lets functions be killed: one that is gives no answer, and none of the calls
// that it goes on to make by clients with Faults arrives. Setup.Between takes it.
func Mortal(invoke eventsource.Invoke) eventsource.Invoke {
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		d := &death{came: make(chan struct{})}
		answer, err := invoke(context.WithValue(ctx, deathKey{}, d), function, event)
		if d.hasCome() {
			return nil, errKilled
		}
		return answer, err
	}
}

// A death is that of one invocation. It travels as a value of the context, which
// reaches the function also where the context's end does not.
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

// dead reports whether who makes a call was killed.
func dead(ctx context.Context) bool {
	d, ok := ctx.Value(deathKey{}).(*death)
	return ok && d.hasCome()
}
