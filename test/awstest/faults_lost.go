package awstest

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// NeverArrives loses an attempt on its way to AWS.
func NeverArrives(*Attempt) (*smithyhttp.Response, error) { return nil, connectionReset() }

// AnswerLost has AWS do what was asked and loses the answer.
func AnswerLost(a *Attempt) (*smithyhttp.Response, error) {
	if err := a.sendAndForget(); err != nil {
		return nil, err
	}
	return nil, connectionReset()
}

// Twice has AWS do what was asked two times. The client gets the first answer.
func Twice(a *Attempt) (*smithyhttp.Response, error) {
	answer, err := a.Send()
	if err != nil {
		return answer, err
	}
	return answer, a.sendAndForget()
}

// Slow has AWS take that long before it does what was asked; when the client's
// patience ends before, it never does.
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

// connectionReset is what the SDK makes of a connection that breaks, which it
// tries again by itself.
func connectionReset() error { return &smithyhttp.RequestSendError{Err: syscall.ECONNRESET} }

// sendAndForget sends the attempt for its effect alone. An answer that says that it had
// none, such as a refused condition, is an answer; no answer at all is an error.
func (a *Attempt) sendAndForget() error {
	answer, err := a.Send()
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}
