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

// Bounds of the processing time, which is how long an order stays in Processing. The upper bound is
// the longest delay of a message in SQS.
const (
	MinProcessingTime = time.Millisecond
	MaxProcessingTime = 15 * time.Minute
)

// Advance returns the order after the transition to status to at the time now. Without a transition
// it returns the order unchanged and one of these errors:
//
//   - ErrAlreadyDone: the order is in that status, or in a later one;
//   - *EarlyError: the processing time is not over, or an earlier transition is missing.
//
// Times never run backwards within an order, even if clocks do: a start with a clock that is behind
// the creation is dated with the creation.
func (o Order) Advance(to Status, now time.Time, processing time.Duration) (Order, error) {
	now = Timestamp(now)
	switch {
	case o.Status >= to:
		return o, ErrAlreadyDone
	case predecessor[to] != o.Status:
		return o, &EarlyError{Until: now.Add(processing)}
	case to == Processing:
		o.StartedAt = now
		if now.Before(o.CreatedAt) {
			o.StartedAt = o.CreatedAt
		}
	case now.Before(o.StartedAt.Add(processing)):
		return o, &EarlyError{Until: o.StartedAt.Add(processing)}
	default:
		o.CompletedAt = now
	}
	o.Status = to
	return o, nil
}

// An EarlyError means that it is too early for a transition.
type EarlyError struct {
	// Until is the earliest time at which a retry can succeed.
	Until time.Time
}

func (e *EarlyError) Error() string {
	return "too early until " + e.Until.Format(time.RFC3339Nano)
}

// An Advancer makes a transition, by the rules of Order.Advance, in one conditional write: of any
// number of concurrent or repeated calls exactly one has an effect, and the others return
// ErrAlreadyDone. Besides the errors of Order.Advance it returns ErrNotFound and ErrUnavailable.
type Advancer interface {
	Advance(ctx context.Context, id ID, to Status, now time.Time) error
}

// Validate checks the lifecycle of an order that was read from storage. It returns an error unless
// New and Advance could have made the order's status and times: the status is known, the times are
// set that the status requires, and they do not run backwards. It does not check the ID and the
// Details, which storage may not have read.
func (o Order) Validate() error {
	started, completed := !o.StartedAt.IsZero(), !o.CompletedAt.IsZero()
	switch {
	case o.Status > Completed:
		return fmt.Errorf("unknown status %d", o.Status)
	case !o.Status.allows(started, completed):
		return fmt.Errorf("status %s contradicts the times (started: %t, completed: %t)", o.Status, started, completed)
	case o.CreatedAt.IsZero():
		return errors.New("creation time is missing")
	case started && o.StartedAt.Before(o.CreatedAt):
		return errors.New("started before it was created")
	case completed && o.CompletedAt.Before(o.StartedAt):
		return errors.New("completed before it was started")
	}
	return nil
}

// allows reports whether an order in this status can have been started and completed by the service.
func (s Status) allows(started, completed bool) bool {
	switch s {
	case Pending:
		return !started && !completed
	case Processing:
		return started && !completed
	default:
		return started == completed // an imported order has neither time
	}
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

// A Status is how far an order is processed. Statuses are ordered: an order only ever moves to a
// greater one.
//
//	Pending --start--> Processing --complete, once the processing time is over--> Completed
type Status uint8

const (
	// Pending orders are stored and acknowledged, and not started.
	Pending Status = iota
	// Processing orders are started. They stay so for the processing time, 50 seconds by default.
	Processing
	// Completed is the last status. Nothing changes a completed order.
	Completed
)

// Statuses lists every status, from the first to the last.
var Statuses = [...]Status{Pending, Processing, Completed}

var statusNames = [...]string{Pending: "Pending", Processing: "Processing", Completed: "Completed"}

// predecessor is the transition table: the only status from which a transition leads to each
// status. No transition leads to Pending, so that it is its own predecessor.
var predecessor = [...]Status{Pending: Pending, Processing: Pending, Completed: Processing}

// String returns the name of the status, as messages and HTTP responses have it.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// ParseStatus returns the status with exactly that name; ok is false if there is none.
func ParseStatus(name string) (s Status, ok bool) {
	for _, s := range Statuses {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
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
