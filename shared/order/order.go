// Package order is the domain of the order service: the order and its way from Pending to
// Completed, the work that follows from each change, and the processing of one queued message.
//
// The rules are the same on every backend. Storage, queueing and HTTP are left to adapters. They
// implement the interfaces Store, MetricsReader, Advancer and Queue, and the conformance suite in
// test/conformance checks them.
//
// Times are UTC with millisecond precision. The package reads no clock and no source of randomness:
// callers pass both in.
package order

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// An Order is one order: the client's details, and how far the service has processed it.
//
// StartedAt and CompletedAt are zero until the service makes that transition. An order imported as
// Completed keeps both at zero, because the service did not process it.
type Order struct {
	ID ID
	Details
	Status      Status
	CreatedAt   time.Time
	StartedAt   time.Time
	CompletedAt time.Time
	// Exception is nil while the order is on the main path: Pending, Processing, Completed.
	Exception *Exception
}

// New returns the order that a store creates from a draft under id at the time now. An order
// imported as Processing is started at its creation.
func New(d Draft, id ID, now time.Time) Order {
	o := Order{ID: id, Details: d.Details, Status: d.InitialStatus, CreatedAt: Timestamp(now)}
	if o.Status == Processing {
		o.StartedAt = o.CreatedAt
	}
	return o
}

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

// An EarlyError means that it is too early for a transition.
type EarlyError struct {
	// Until is the earliest time at which a retry can succeed.
	Until time.Time
}

func (e *EarlyError) Error() string {
	return "too early until " + e.Until.Format(time.RFC3339Nano)
}

// An Advancer makes the transition of a message, by the rules of Order.Advance, in one conditional
// write: of any number of concurrent or repeated calls exactly one has an effect, and the others
// return ErrAlreadyDone. Besides the errors of Order.Advance it returns ErrNotFound and
// ErrUnavailable.
type Advancer interface {
	Advance(ctx context.Context, m Message, now time.Time) error
}

// Validate checks the lifecycle of an order that was read from storage. It returns an error unless
// New, Advance and Transition could have made the order's status, version and times: the status is
// known, the times are set that the status requires, and they do not run backwards. It does not
// check the ID and the Details, which storage may not have read.
func (o Order) Validate() error {
	started, completed := !o.StartedAt.IsZero(), !o.CompletedAt.IsZero()
	switch {
	case o.Status > Cancelled:
		return fmt.Errorf("unknown status %d", o.Status)
	case !o.Status.allows(started, completed):
		return fmt.Errorf("status %s contradicts the times (started: %t, completed: %t)", o.Status, started, completed)
	case o.CreatedAt.IsZero():
		return errors.New("creation time is missing")
	case started && o.StartedAt.Before(o.CreatedAt):
		return errors.New("started before it was created")
	case completed && o.CompletedAt.Before(o.StartedAt):
		return errors.New("completed before it was started")
	case o.Exception == nil && o.Status > Completed:
		return fmt.Errorf("status %s without a version", o.Status)
	case o.Exception == nil:
		return nil
	}
	return o.Exception.validate(o.Status)
}

// allows reports whether an order in this status can have been started and completed by the service.
func (s Status) allows(started, completed bool) bool {
	switch s {
	case Pending:
		return !started && !completed
	case Completed:
		return started == completed // an imported order has neither time
	case Cancelled:
		return !completed
	default:
		return started && !completed
	}
}

// leastVersions are the versions at which an order with an Exception can first have each status.
var leastVersions = [...]int{Pending: 4, Processing: 3, Completed: 4, Failed: 3, Cancelled: 2}

// validate checks that an order in status s can have this exception.
func (e Exception) validate(s Status) error {
	failed, cancelled := !e.FailedAt.IsZero(), !e.CancelledAt.IsZero()
	switch {
	case e.Version < leastVersions[s] || e.Attempt < 0:
		return fmt.Errorf("status %s contradicts version %d and attempt %d", s, e.Version, e.Attempt)
	case cancelled != (s == Cancelled), failed && s < Failed, !failed && s == Failed:
		return fmt.Errorf("status %s contradicts the times (failed: %t, cancelled: %t)", s, failed, cancelled)
	}
	return nil
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

// Timestamp is t in the precision of orders: UTC, truncated to the millisecond.
func Timestamp(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// An ID identifies an order forever: "ORD" and 26 characters of Crockford's base 32. It is opaque
// to all but the code that makes and stores ids.
type ID string

const (
	idPrefix = "ORD"
	alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

var crockford = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// NewID returns the id of an order that is created without an idempotency key. A ULID begins with
// the time of creation, so that these ids sort by it.
func NewID(u ulid.ULID) ID { return ID(idPrefix + u.String()) }

// KeyedID returns the id of the order that an idempotency key identifies: a hash of the caller and
// the key. A retry computes the same id and so finds its order, and two keys never share one. The
// caller is empty while the service has no authorizer.
func KeyedID(caller, key string) ID {
	sum := sha256.Sum256([]byte(caller + "\x00" + key))
	return ID(idPrefix + crockford.EncodeToString(sum[:])[:ulid.EncodedSize])
}

// ParseID returns s as an ID. It returns ErrNotFound if s does not have the form of an id, because
// no order can have such an id.
func ParseID(s string) (ID, error) {
	code, ok := strings.CutPrefix(s, idPrefix)
	if !ok || len(code) != ulid.EncodedSize || strings.Trim(code, alphabet) != "" {
		return "", ErrNotFound
	}
	return ID(s), nil
}

// ULID returns the ULID that NewID was given. For an id that KeyedID returned, the ULID has no
// meaning, or ok is false.
func (id ID) ULID() (u ulid.ULID, ok bool) {
	u, err := ulid.Parse(strings.TrimPrefix(string(id), idPrefix))
	return u, err == nil
}
