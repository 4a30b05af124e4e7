package order

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Store keeps orders for ever. All methods may be called at the same time.
// Besides the errors named here they return ErrUnavailable, or the context's.
type Store interface {
	// Create stores the order that d asks for and returns it once it is durable.
	// It gives the time of creation, and an id unless d.Key is one.
	//
	// With a key it is idempotent: a second call with the same key and
	// fingerprint changes nothing and returns the order there is, as it is now,
	// with replayed == true; one with another fingerprint returns ErrKeyReused.
	// Without a key every call makes an order. An error other than ErrKeyReused
	// leaves open whether the order was made.
	Create(ctx context.Context, d Draft) (o Order, replayed bool, err error)

	// Get returns the order as it is: no reader sees its status go backwards.
	// It returns ErrNotFound when there is none.
	Get(ctx context.Context, id ID) (Order, error)

	// List returns up to limit ids, newest first, from the position after which
	// Page.Next says to go on; "" is the beginning. Pages joined hold every order that
	// was there when the first was read, once. A position that it never gave
	// out is ErrInvalidCursor.
	List(ctx context.Context, limit int, after string) (Page, error)
}

// A Page is a part of the list of orders.
type Page struct {
	IDs []ID
	// Next is the position after the last id, "" on the last page.
	Next string
}

// A MetricsReader knows the tally of all orders. Its cost does not grow with
// their number.
type MetricsReader interface {
	Metrics(ctx context.Context) (Tally, error)
}

// An Advancer makes a transition, as Order.Advance says, in one conditional
// write: of any number of attempts one has an effect, and the others get
// ErrAlreadyDone. Besides the errors of Order.Advance it returns ErrNotFound and
// ErrUnavailable.
type Advancer interface {
	Advance(ctx context.Context, id ID, to Status, now time.Time) error
}

// A Queue delivers messages at least once, each no earlier than it is due.
type Queue interface {
	// Send puts messages on the queue. After an error some of them may be there;
	// sending them again does no harm, because processing is idempotent. An
	// *UnsentError says from which one on it is worth it.
	Send(ctx context.Context, messages ...Message) error

	// DeadLetter puts the body of a message that can never succeed into the dead-letter
	// queue, where it is kept for an operator to look at.
	DeadLetter(ctx context.Context, body []byte, reason error) error
}

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
