package chaos

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"orders/shared/order"
)

// table is the transition table of docs/design.md. It is written out here once more: a model that
// took it from package order would share its mistakes.
var table = []struct {
	name     string
	from, to order.Status
}{
	{"start", order.Pending, order.Processing},
	{"complete", order.Processing, order.Completed},
	{"restart", order.Processing, order.Processing},
	{"fail", order.Processing, order.Failed},
	{"retry", order.Failed, order.Pending},
	{"cancel", order.Pending, order.Cancelled},
	{"cancel", order.Processing, order.Cancelled},
	{"cancel", order.Failed, order.Cancelled},
}

// calls are the transitions that people and workers ask for, and the status that each leads to.
var calls = map[string]order.Status{
	"complete": order.Completed, "fail": order.Failed, "retry": order.Pending, "cancel": order.Cancelled,
}

// next returns the status to which a transition leads; ok is false if the table has no such row.
func next(from order.Status, name string) (to order.Status, ok bool) {
	for _, row := range table {
		if row.from == from && row.name == name {
			return row.to, true
		}
	}
	return from, false
}

// IsStep reports whether the table has a transition from one status to the other.
func IsStep(from, to order.Status) bool {
	for _, row := range table {
		if row.from == from && row.to == to {
			return true
		}
	}
	return false
}

// A state is an order at one of its versions, without the details.
type state struct {
	status                                order.Status
	version, attempt                      int
	started, completed, failed, cancelled time.Time
	reason                                string
}

func stateOf(o order.Order) state {
	s := state{
		status: o.Status, version: o.Version(), attempt: o.Attempt(),
		started: order.Timestamp(o.StartedAt), completed: order.Timestamp(o.CompletedAt),
	}
	if e := o.Exception; e != nil {
		s.failed, s.cancelled, s.reason = order.Timestamp(e.FailedAt), order.Timestamp(e.CancelledAt), e.Reason
	}
	return s
}

// after returns the state after a transition.
func (s state) after(e order.Event) (state, error) {
	to, ok := next(s.status, e.Transition.String())
	if !ok {
		return s, fmt.Errorf("made the transition %s while it was %s", e.Transition, s.status)
	}
	s.status = to
	s.version++
	switch at := order.Timestamp(e.At); e.Transition.String() {
	case "start", "restart":
		s.started = at
		s.attempt++
	case "complete":
		s.completed = at
	case "fail":
		s.failed, s.reason = at, e.Reason
	case "retry":
		s.started, s.failed, s.attempt, s.reason = time.Time{}, time.Time{}, 0, ""
	case "cancel":
		s.cancelled, s.reason = at, e.Reason
	}
	return s, nil
}

// unfinished reports whether the service itself has something to do. Failed orders wait for an
// operator.
func (s state) unfinished() bool { return s.status == order.Pending || s.status == order.Processing }

// A known order is in the store, and must stay there.
type known struct {
	draft  order.Draft
	last   order.Order   // as last read
	states []state       // one for each version since its creation
	path   []order.Event // the transitions that led to the last state
	// started is how much time had passed when it was started without a fault, or negative.
	started time.Duration
}

// newKnown is the order of a draft at its creation. An import is at the version of its status.
func newKnown(d order.Draft, id order.ID, created time.Time) *known {
	k := &known{draft: d, last: order.Order{ID: id, Details: d.Details, CreatedAt: created}, started: -1}
	first := state{status: d.InitialStatus, version: 1}
	switch d.InitialStatus {
	case order.Processing:
		first.version, first.attempt, first.started = 2, 1, order.Timestamp(created)
		k.path = []order.Event{{Transition: order.Start, At: created}}
	case order.Completed:
		first.version = 3
	}
	k.states = []state{first}
	return k
}

// now is the last state.
func (k *known) now() state { return k.states[len(k.states)-1] }

// historyLength is how many transitions an order keeps.
const historyLength = 20

// became returns the transitions since the last reading, or an error if the order o cannot follow it
// (I1, I5, I6).
func (k *known) became(o order.Order, f order.Fulfilment) (made []order.Event, err error) {
	events := o.History()
	n := o.Version() - k.now().version
	switch {
	case !sameOrder(o, k.last):
		return nil, errors.New("is another order than before")
	case n < 0:
		return nil, errors.New("went back to an earlier version")
	case n > len(events):
		return nil, errors.New("has versions without a transition")
	}
	made = events[len(events)-n:]
	for _, e := range made {
		if err := k.add(e, f); err != nil {
			return nil, err
		}
	}
	if !slices.EqualFunc(events, k.path[max(len(k.path)-historyLength, 0):], sameEvent) {
		return nil, fmt.Errorf("has the history %v, and not %v", events, k.path)
	}
	if stateOf(o) != k.now() {
		return nil, fmt.Errorf("is %+v, and its transitions make it %+v", stateOf(o), k.now())
	}
	return made, nil
}

// add makes a transition in the model, if the rules allow it (I7, I8).
func (k *known) add(e order.Event, f order.Fulfilment) error {
	before := k.now()
	after, err := before.after(e)
	if err != nil {
		return err
	}
	latest := k.last.CreatedAt
	if n := len(k.path); n > 0 {
		latest = k.path[n-1].At
	}
	name, byService := e.Transition.String(), e.By == ""
	waited := e.At.Sub(before.started)
	switch {
	case e.At.Before(latest):
		return fmt.Errorf("made the transition %s at %s, before what came before it", name, clock(e.At))
	case name == "complete" && !f.External && waited < f.ProcessingTime:
		return errors.New("was not processed for its time")
	case name == "restart" && (!f.External || before.attempt >= f.MaxAttempts):
		return fmt.Errorf("was restarted after attempt %d", before.attempt)
	case name == "fail" && byService && (!f.External || before.attempt != f.MaxAttempts || e.Reason != fmt.Sprintf("no answer in %d attempts", f.MaxAttempts)):
		return fmt.Errorf("was failed by the service after attempt %d: %q", before.attempt, e.Reason)
	case (name == "restart" || name == "fail" && byService) && waited < f.AttemptTimeout:
		return fmt.Errorf("was given %s for attempt %d", waited, before.attempt)
	case (name == "start" || name == "restart") != byService && name != "fail" && name != "complete":
		return fmt.Errorf("made the transition %s, by %q", name, e.By)
	}
	k.path, k.states = append(k.path, e), append(k.states, after)
	return nil
}

func sameEvent(a, b order.Event) bool {
	return a.Transition == b.Transition && a.At.Equal(b.At) && a.By == b.By && a.Reason == b.Reason
}

// sameOrder reports whether two readings are of the same order.
func sameOrder(a, b order.Order) bool {
	return a.ID == b.ID && a.CreatedAt.Equal(b.CreatedAt) && reflect.DeepEqual(a.Details, b.Details)
}

// String describes the order by its request.
func (k *known) String() string {
	if k == nil {
		return "the key of no order"
	}
	return "the order " + show(k.last)
}

// show describes an order in a failure.
func show(o order.Order) string {
	return fmt.Sprintf("of request %q (%s, %s at version %d, created %s, started %s, completed %s)",
		o.ClientReference, o.ID, o.Status, o.Version(), clock(o.CreatedAt), clock(o.StartedAt), clock(o.CompletedAt))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("15:04:05.000")
}
