package order

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Store keeps orders forever. All methods may be called concurrently. Besides the errors that are
// documented on each method they return ErrUnavailable, or the error of the context.
type Store interface {
	// Create stores the order that d asks for and returns it once it is durable. The store chooses
	// the time of creation, and the id unless d.Key is set.
	//
	// With a key it is idempotent: a second call with the same key and fingerprint changes nothing
	// and returns the stored order in its present state, with replayed == true; a call with
	// another fingerprint returns ErrKeyReused. Without a key every call creates an order. After an
	// error other than ErrKeyReused the order may or may not exist.
	Create(ctx context.Context, d Draft) (o Order, replayed bool, err error)

	// Get returns the order in its present state; no reader sees its status go backwards. It
	// returns ErrNotFound if there is no such order.
	Get(ctx context.Context, id ID) (Order, error)

	// List returns up to limit ids, newest first. after is "" for the first page, and then the
	// Next of the page before. All pages together have every order exactly once that existed when
	// the first page was read. List returns ErrInvalidCursor if after is not a Next of its pages.
	List(ctx context.Context, limit int, after string) (Page, error)

	// Transition makes the transition that a person or a worker asks for, by the rules of
	// Order.Transition, in one conditional write, at the time of the store's clock. It returns the
	// order as it is then, also if the call was made before. Its errors are *ConflictError and
	// ErrNotFound. After another error the transition may have been made; the same call is safe.
	Transition(ctx context.Context, id ID, r TransitionRequest) (Order, error)
}

// A Page is a part of the list of all orders.
type Page struct {
	IDs []ID
	// Next is the position after the last id, for the next call of List; "" on the last page.
	Next string
}

// A MetricsReader returns the tally of all orders, at a cost that does not grow with their number.
type MetricsReader interface {
	Metrics(ctx context.Context) (Tally, error)
}

// An Advancer makes the transition of a message, by the rules of Order.Advance, in one conditional
// write: of any number of concurrent or repeated calls exactly one has an effect, and the others
// return ErrAlreadyDone. Besides the errors of Order.Advance it returns ErrNotFound and
// ErrUnavailable.
type Advancer interface {
	Advance(ctx context.Context, m Message, now time.Time) error
}

// A Queue delivers each message at least once, and not before its NotBefore.
type Queue interface {
	// Send puts messages on the queue. After an error some of them may be on the queue. Sending
	// these again does no harm, because processing is idempotent; an *UnsentError tells from which
	// message on that is necessary.
	Send(ctx context.Context, messages ...Message) error

	// DeadLetter puts the body of a message that can never succeed into the dead-letter queue,
	// where it stays for an operator. It is safe to call it again after an error.
	DeadLetter(ctx context.Context, body []byte, reason error) error
}

// The errors of the interfaces above: a closed set. Adapters wrap them with the operation that
// failed; callers match them with errors.Is. The HTTP interface sends some of the texts to clients.
var (
	// ErrNotFound: no order has that id.
	ErrNotFound = errors.New("order not found")
	// ErrKeyReused: a different request has already used the idempotency key.
	ErrKeyReused = errors.New("idempotency key was used for another request")
	// ErrInvalidCursor: the position is not a Next that List has returned.
	ErrInvalidCursor = errors.New("not a position in the list")
	// ErrUnavailable: the store cannot process the request now. A retry may succeed later; it is
	// safe with an idempotency key.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrAlreadyDone: the transition was made before.
	ErrAlreadyDone = errors.New("transition is already done")
	// ErrMalformed: the message cannot be parsed, now or later.
	ErrMalformed = errors.New("malformed message")
)

// The rules for a value in a request. The HTTP interface sends the texts to clients.
var (
	ErrLength     = errors.New("must have 1 to 100 characters")
	ErrReason     = errors.New("must have 1 to 500 characters")
	ErrCharacters = errors.New("must have visible characters only, and no space at either end")
	ErrNotDecimal = errors.New("must be a decimal number without sign or exponent")
	ErrOutOfRange = errors.New("must be from 0 to 99999999.99")
	ErrPrecision  = errors.New("must have at most 2 decimal places")
)

// An EarlyError means that it is too early for a transition.
type EarlyError struct {
	// Until is the earliest time at which a retry can succeed.
	Until time.Time
}

func (e *EarlyError) Error() string {
	return "too early until " + e.Until.Format(time.RFC3339Nano)
}

// An UnsentError tells which part of its messages a queue has not sent.
type UnsentError struct {
	// First is the index of the first message that may not be on the queue. All messages before
	// it are on the queue.
	First int
	Err   error
}

func (e *UnsentError) Error() string { return fmt.Sprintf("send message %d: %v", e.First, e.Err) }
func (e *UnsentError) Unwrap() error { return e.Err }
