package order

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Status is how far an order is processed.
//
//	Pending --start--> Processing --complete--> Completed
//	   |                 |  ^  \------fail----> Failed --retry--> Pending
//	   |                 |  +-restart            |
//	   +-----cancel------+------------------------+---> Cancelled
type Status uint8

const (
	// Pending orders are stored and acknowledged, and not started.
	Pending Status = iota
	// Processing orders are started. The Fulfilment says how they are completed.
	Processing
	// Completed is final: no transition leads from it.
	Completed
	// Failed orders wait for an operator, who can retry or cancel them.
	Failed
	// Cancelled is final.
	Cancelled
)

// Statuses lists every status.
var Statuses = [...]Status{Pending, Processing, Completed, Failed, Cancelled}

// InitialStatuses lists the statuses in which an order can be created.
var InitialStatuses = Statuses[:Completed+1]

var statusNames = [...]string{
	Pending: "Pending", Processing: "Processing", Completed: "Completed", Failed: "Failed", Cancelled: "Cancelled",
}

// String returns the name of the status, as messages and HTTP responses have it.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// ParseStatus returns the status with exactly that name; ok is false if there is none.
func ParseStatus(name string) (s Status, ok bool) {
	i := slices.Index(statusNames[:], name)
	return Status(max(i, 0)), i >= 0
}

// A Transition is a step from one status to another, or a new attempt in Processing.
type Transition uint8

const (
	// Start is the service's, for every order.
	Start Transition = iota
	// Complete is the service's when the processing time is over, or a worker's answer.
	Complete
	// Restart begins the next attempt, because no worker has answered in time.
	Restart
	// Fail is a worker's answer, or the service's decision after the last attempt.
	Fail
	// Retry is an operator's decision about a failed order.
	Retry
	// Cancel is a client's.
	Cancel
)

// transitions is the transition table. Domain and stores take their conditions from it.
var transitions = [...]struct {
	name string
	from []Status
	to   Status
}{
	Start:    {"start", []Status{Pending}, Processing},
	Complete: {"complete", []Status{Processing}, Completed},
	Restart:  {"restart", []Status{Processing}, Processing},
	Fail:     {"fail", []Status{Processing}, Failed},
	Retry:    {"retry", []Status{Failed}, Pending},
	Cancel:   {"cancel", []Status{Pending, Processing, Failed}, Cancelled},
}

// String returns the name of the transition, as paths and histories have it.
func (t Transition) String() string { return transitions[t].name }

// MarshalText implements encoding.TextMarshaler.
func (t Transition) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It returns an error for an unknown name.
func (t *Transition) UnmarshalText(name []byte) error {
	for i := range transitions {
		if transitions[i].name == string(name) {
			*t = Transition(i)
			return nil
		}
	}
	return fmt.Errorf("unknown transition %q", name)
}

// From returns the statuses that the transition leads from.
func (t Transition) From() []Status { return transitions[t].from }

// To returns the status that the transition leads to.
func (t Transition) To() Status { return transitions[t].to }

// A Fulfilment says how orders in Processing are completed. The zero value is not valid.
type Fulfilment struct {
	// ProcessingTime is how long an order stays in Processing, unless External is set.
	ProcessingTime time.Duration
	// External means that a worker completes or fails each order.
	External bool
	// AttemptTimeout is how long a worker has for one attempt. Then the order is restarted, or
	// failed after MaxAttempts. Both are used only with External.
	AttemptTimeout time.Duration
	MaxAttempts    int
}

// Timer is the fulfilment of a service without workers.
func Timer(processing time.Duration) Fulfilment { return Fulfilment{ProcessingTime: processing} }

// Bounds of ProcessingTime and AttemptTimeout. The upper bound is the longest delay of a message in
// SQS.
const (
	MinProcessingTime = time.Millisecond
	MaxProcessingTime = 15 * time.Minute
)

// Validate returns all problems of a fulfilment.
func (f Fulfilment) Validate() error {
	var problems []error
	check := func(name string, d time.Duration) {
		if d < MinProcessingTime || d > MaxProcessingTime {
			problems = append(problems, fmt.Errorf("%s must be from %s to %s", name, MinProcessingTime, MaxProcessingTime))
		}
	}
	if !f.External {
		check("ProcessingTime", f.ProcessingTime)
		return errors.Join(problems...)
	}
	check("AttemptTimeout", f.AttemptTimeout)
	if f.MaxAttempts < 1 || f.MaxAttempts > MaxAttempts {
		problems = append(problems, fmt.Errorf("MaxAttempts must be from 1 to %d", MaxAttempts))
	}
	return errors.Join(problems...)
}

// MaxAttempts is the upper bound of Fulfilment.MaxAttempts.
const MaxAttempts = 100

// Wait is how long an order stays in Processing at most before the service acts.
func (f Fulfilment) Wait() time.Duration {
	if f.External {
		return f.AttemptTimeout
	}
	return f.ProcessingTime
}

// next returns the transition that the service itself makes next, and when; ok is false if there is
// none.
func (o Order) next(f Fulfilment) (t Transition, due time.Time, ok bool) {
	switch {
	case o.Status == Pending:
		due = o.CreatedAt
		if history := o.History(); len(history) > 0 {
			due = history[len(history)-1].At // of the retry
		}
		return Start, due, true
	case o.Status != Processing:
		return 0, time.Time{}, false
	case !f.External:
		t = Complete
	case o.Attempt() < f.MaxAttempts:
		t = Restart
	default:
		t = Fail
	}
	return t, o.StartedAt.Add(f.Wait()), true
}

// Advance returns the order after the transition that a message asks for, at the time now. Without a
// transition it returns the order unchanged and one of these errors:
//
//   - ErrAlreadyDone: the order is beyond the version that the message expects;
//   - *EarlyError: it is not at that version yet, or the transition is not due.
//
// The message only says which version of the order to look at. What happens follows from the order
// and the fulfilment, so messages outlive a change of the fulfilment.
//
// Times never run backwards within an order, even if clocks do: a start with a clock that is behind
// the creation is dated with the creation.
func (o Order) Advance(m Message, now time.Time, f Fulfilment) (Order, error) {
	now = Timestamp(now)
	switch version, expected := o.Version(), m.expected(); {
	case version > expected:
		return o, ErrAlreadyDone
	case version < expected:
		return o, &EarlyError{Until: now.Add(f.Wait())}
	}
	t, due, ok := o.next(f)
	switch {
	case !ok:
		return o, ErrAlreadyDone
	case t != Start && now.Before(due):
		return o, &EarlyError{Until: due}
	}
	r := TransitionRequest{Transition: t}
	if t == Fail {
		r.Reason = fmt.Sprintf("no answer in %d attempts", o.Attempt())
	}
	return o.apply(r, now), nil
}

// A TransitionRequest asks for a transition in the name of a person or a worker.
type TransitionRequest struct {
	Transition Transition
	// Version is the version of the order that the caller has seen; 0 is any.
	Version int
	// Reason is the caller's, at most MaxReasonLength visible characters.
	Reason string
	// By names the caller, empty if it is not known.
	By string
}

// MaxReasonLength is the most characters of a reason.
const MaxReasonLength = 500

// Transition returns the order after the transition that r asks for, at the time now. Without a
// transition it returns the order unchanged and one of these errors:
//
//   - ErrAlreadyDone: the same call was made before. The order is in the status that the transition
//     leads to; with a version, this was the next transition after that version.
//   - *ConflictError: the order is at another version, or the table has no such transition from its
//     status. Under a timer no order is completed before its processing time is over.
func (o Order) Transition(r TransitionRequest, now time.Time, f Fulfilment) (Order, error) {
	now = Timestamp(now)
	version, done := o.Version(), o.Status == r.Transition.To()
	due := o.StartedAt.Add(f.ProcessingTime)
	early := r.Transition == Complete && !f.External && now.Before(due)
	switch {
	case done && (r.Version == 0 || r.Version == version-1):
		return o, ErrAlreadyDone
	case r.Version != 0 && r.Version != version, !slices.Contains(r.Transition.From(), o.Status):
		return o, &ConflictError{Status: o.Status, Version: version}
	case early:
		return o, &ConflictError{Status: o.Status, Version: version, Until: due}
	}
	return o.apply(r, now), nil
}

// A ConflictError means that an order is not as the caller of a transition believed.
type ConflictError struct {
	Status  Status
	Version int
	// Until is when the processing time is over, if that is the reason.
	Until time.Time
}

func (e *ConflictError) Error() string {
	text := fmt.Sprintf("the order is %s at version %d", e.Status, e.Version)
	if !e.Until.IsZero() {
		text += ", until " + e.Until.Format(time.RFC3339Nano)
	}
	return text
}

// apply makes a transition that the table allows. It dates it no earlier than what happened before.
func (o Order) apply(r TransitionRequest, now time.Time) Order {
	now = latest(latest(now, o.CreatedAt), o.StartedAt)
	if r.Transition > Complete || o.Exception != nil {
		e := o.exception()
		if n := len(e.History); n > 0 {
			now = latest(now, e.History[n-1].At)
		}
		e.record(Event{Transition: r.Transition, At: now, By: r.By, Reason: r.Reason})
		o.Exception = &e
	}
	o.Status = r.Transition.To()
	switch r.Transition {
	case Start, Restart:
		o.StartedAt = now
	case Complete:
		o.CompletedAt = now
	case Retry:
		o.StartedAt = time.Time{}
	}
	return o
}

// Version counts the transitions of the order, from 1 at its creation. An imported order begins at
// the version of its status. On the main path the version follows from the status.
func (o Order) Version() int {
	if o.Exception != nil {
		return o.Exception.Version
	}
	return int(o.Status) + 1
}

// Attempt counts the starts and restarts of the order since its creation or its last retry.
func (o Order) Attempt() int {
	switch {
	case o.Exception != nil:
		return o.Exception.Attempt
	case o.StartedAt.IsZero():
		return 0
	default:
		return 1
	}
}

// An Exception is what only an order has that has left the main path: from its first restart, fail,
// retry or cancel on.
type Exception struct {
	Version int `json:"version"`
	Attempt int `json:"attempt"`
	// Reason is that of the last fail or cancel, empty after a retry.
	Reason string `json:"reason,omitzero"`
	// FailedAt is zero unless the order has failed since its last retry.
	FailedAt time.Time `json:"failed_at,omitzero"`
	// CancelledAt is zero unless the order is cancelled.
	CancelledAt time.Time `json:"cancelled_at,omitzero"`
	// History is the last transitions, at most MaxHistory.
	History []Event `json:"history"`
}

// MaxHistory is how many transitions an Exception keeps.
const MaxHistory = 20

// An Event is a transition that was made.
type Event struct {
	Transition Transition `json:"transition"`
	At         time.Time  `json:"at"`
	By         string     `json:"by,omitzero"`
	Reason     string     `json:"reason,omitzero"`
}

// exception returns a copy of the order's exception, or the one with which it leaves the main path.
func (o Order) exception() Exception {
	if o.Exception != nil {
		e := *o.Exception
		e.History = slices.Clone(e.History)
		return e
	}
	return Exception{Version: o.Version(), Attempt: o.Attempt(), History: o.History()}
}

// History returns the transitions of the order, oldest first, at most MaxHistory. The caller must
// not change them.
func (o Order) History() (events []Event) {
	if o.Exception != nil {
		return o.Exception.History
	}
	if !o.StartedAt.IsZero() {
		events = append(events, Event{Transition: Start, At: o.StartedAt})
	}
	if !o.CompletedAt.IsZero() {
		events = append(events, Event{Transition: Complete, At: o.CompletedAt})
	}
	return events
}

// record adds a transition.
func (e *Exception) record(event Event) {
	e.Version++
	if e.History = append(e.History, event); len(e.History) > MaxHistory {
		e.History = e.History[1:]
	}
	switch event.Transition {
	case Start, Restart:
		e.Attempt++
	case Fail:
		e.FailedAt, e.Reason = event.At, event.Reason
	case Retry:
		e.Attempt, e.FailedAt, e.Reason = 0, time.Time{}, ""
	case Cancel:
		e.CancelledAt, e.Reason = event.At, event.Reason
	}
}
