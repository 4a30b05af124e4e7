package order

import (
	"errors"
	"fmt"
	"time"
)

// The closed set of errors that cross the ports. Adapters wrap them with what
// was being done; callers match them with errors.Is.
var (
	// ErrNotFound: there is no order of that id.
	ErrNotFound = errors.New("order not found")
	// ErrKeyReused: the idempotency key names an order made by another request.
	ErrKeyReused = errors.New("idempotency key was used for another request")
	// ErrInvalidCursor: the position is not one that a list has given out.
	ErrInvalidCursor = errors.New("not a position in the list")
	// ErrUnavailable: the store cannot take the request now. Trying again later
	// may succeed; with an idempotency key it is safe.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrAlreadyDone: the transition has taken effect before.
	ErrAlreadyDone = errors.New("transition is already done")
	// ErrMalformed: the message can never be understood.
	ErrMalformed = errors.New("malformed message")
)

// What is wrong with a value in a request.
var (
	ErrLength     = errors.New("must have 1 to 100 characters")
	ErrCharacters = errors.New("must have visible characters only, and no space at either end")
	ErrNotDecimal = errors.New("must be a decimal number without sign or exponent")
	ErrOutOfRange = errors.New("must be from 0 to 99999999.99")
	ErrPrecision  = errors.New("must have at most 2 decimal places")
)

// An EarlyError says that a transition's time has not come.
type EarlyError struct {
	// Until is the first moment at which it is worth trying again.
	Until time.Time
}

func (e *EarlyError) Error() string {
	return "too early until " + e.Until.Format(time.RFC3339Nano)
}

// An UnsentError says how far a queue got with the messages that it was given.
type UnsentError struct {
	// First is the index of the first message that may not be on the queue. All
	// before it are.
	First int
	Err   error
}

func (e *UnsentError) Error() string { return fmt.Sprintf("send message %d: %v", e.First, e.Err) }
func (e *UnsentError) Unwrap() error { return e.Err }
