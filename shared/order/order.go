// Package order is the domain of the order service: what an order is, which
// way it goes from Pending to Completed, what follows from every step, and how
// one message from the queue is worked off.
//
// It promises that the rules are the same wherever orders are kept. Storing,
// queueing and HTTP are left to the adapters, which implement the ports in
// ports.go and are held to them by the conformance suite in test/conformance.
//
// Times are UTC with millisecond precision. Nothing in this package reads a
// clock or a source of randomness: both are passed in.
package order

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// An Order is what a client has ordered and how far the system has got with it.
//
// StartedAt and CompletedAt are zero until the system has taken that step. They
// stay zero in an order taken over as Completed: the system did not take it.
type Order struct {
	ID ID
	Details
	Status      Status
	CreatedAt   time.Time
	StartedAt   time.Time
	CompletedAt time.Time
}

// New makes the order that a draft becomes when a store accepts it under id at
// the time now. One taken over as Processing is started at its creation.
func New(d Draft, id ID, now time.Time) Order {
	o := Order{ID: id, Details: d.Details, Status: d.InitialStatus, CreatedAt: Timestamp(now)}
	if o.Status == Processing {
		o.StartedAt = o.CreatedAt
	}
	return o
}

// Advance returns the order as it is after the transition to status to at the
// time now, or says why that transition is not made:
//
//   - ErrAlreadyDone: the order has reached that status, or one beyond it;
//   - *EarlyError: its time has not come, or an earlier transition is still out.
//
// A start whose clock lies behind the creation starts at the creation, so that
// times never run backwards within an order, whatever the clocks do.
func (o Order) Advance(to Status, now time.Time, processing time.Duration) (Order, error) {
	now = Timestamp(now)
	switch {
	case o.Status >= to:
		return o, ErrAlreadyDone
	case predecessor[to] != o.Status:
		return o, &EarlyError{Until: now.Add(processing)}
	case to == Processing:
		o.StartedAt = latest(now, o.CreatedAt)
	case now.Before(o.StartedAt.Add(processing)):
		return o, &EarlyError{Until: o.StartedAt.Add(processing)}
	default:
		o.CompletedAt = now
	}
	o.Status = to
	return o, nil
}

// Timestamp is t as orders keep it: UTC, cut to the millisecond.
func Timestamp(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// A Status is how far the system has got with an order. Statuses are ordered:
// an order only ever moves to a greater one.
//
//	Pending --start--> Processing --complete, once the processing time is over--> Completed
type Status uint8

const (
	// Pending is the status of an order that is stored and acknowledged, and
	// that nobody has begun to work on.
	Pending Status = iota

	// Processing is the status of an order that is being worked on. It stays so
	// for the processing time, 50 seconds unless configured otherwise.
	Processing

	// Completed is the last status. Nothing changes a completed order.
	Completed
)

// Statuses lists every status, in the order in which they are passed through.
var Statuses = [...]Status{Pending, Processing, Completed}

var statusNames = [...]string{Pending: "Pending", Processing: "Processing", Completed: "Completed"}

// predecessor is the transition table: the one status from which each status
// can be reached. Pending is reached by creation alone, and so only from itself.
var predecessor = [...]Status{Pending: Pending, Processing: Pending, Completed: Processing}

// String is the name of the status on the wire.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// ParseStatus returns the status of that exact name; ok is false when there is none.
func ParseStatus(name string) (s Status, ok bool) {
	for _, s := range Statuses {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// An ID names one order for ever: "ORD" and 26 characters of Crockford's
// base 32. Outside the packages that mint and store ids it is opaque.
type ID string

const (
	idPrefix = "ORD"
	alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

var crockford = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// NewID is the id of an order that was created without an idempotency key. Its
// ULID holds the time of creation, so such ids sort by it.
func NewID(u ulid.ULID) ID { return ID(idPrefix + u.String()) }

// KeyedID is the id of the order that an idempotency key names: a hash of the
// caller, who is empty while there is no authorizer, and the key. A retry, then,
// finds its own order, and no id is ever given to two.
func KeyedID(caller, key string) ID {
	sum := sha256.Sum256([]byte(caller + "\x00" + key))
	return ID(idPrefix + crockford.EncodeToString(sum[:])[:ulid.EncodedSize])
}

// ParseID returns s as an ID. It returns ErrNotFound when s does not have the
// form of one, because then no order can be found under it.
func ParseID(s string) (ID, error) {
	code, ok := strings.CutPrefix(s, idPrefix)
	if !ok || len(code) != ulid.EncodedSize || strings.Trim(code, alphabet) != "" {
		return "", ErrNotFound
	}
	return ID(s), nil
}

// ULID is the ULID that the id was made from. An id made from an idempotency
// key gives a meaningless one, or ok == false.
func (id ID) ULID() (u ulid.ULID, ok bool) {
	u, err := ulid.Parse(strings.TrimPrefix(string(id), idPrefix))
	return u, err == nil
}
