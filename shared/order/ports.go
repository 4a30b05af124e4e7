package order

import (
	"context"
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
