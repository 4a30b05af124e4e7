package ledger

import (
	"slices"
	"strings"
	"time"

	"orders/test/service"
)

// statuses lists the statuses. An order that nobody retries goes through them in this order; the last
// two are final.
var statuses = []string{"Pending", "Processing", "Failed", "Completed", "Cancelled"}

func rankOf(status string) int { return slices.Index(statuses, status) }

func isFinal(rank int) bool { return rank >= rankOf("Completed") }

// table is the transition table of the contract.
var table = []struct{ name, from, to string }{
	{"start", "Pending", "Processing"},
	{"complete", "Processing", "Completed"},
	{"restart", "Processing", "Processing"},
	{"fail", "Processing", "Failed"},
	{"retry", "Failed", "Pending"},
	{"cancel", "Pending", "Cancelled"},
	{"cancel", "Processing", "Cancelled"},
	{"cancel", "Failed", "Cancelled"},
}

func next(from, name string) (to string, ok bool) {
	for _, row := range table {
		if row.from == from && row.name == name {
			return row.to, true
		}
	}
	return "", false
}

// A Sighting is what was seen of an order: nothing of it may be undone.
type Sighting struct {
	ID      string // "" until a response names it
	rank    int    // the highest, of an order that is not retried
	version int
}

// follows returns an error when something that was seen before has been undone.
func (s Sighting) follows(before Sighting, retried bool) error {
	switch {
	case s.version < before.version:
		return Broken(Forward, "%s is at version %d after it was at %d", s.ID, s.version, before.version)
	case isFinal(before.rank) && s.rank != before.rank, !retried && s.rank < before.rank:
		return Broken(Forward, "%s is %s after it was %s", s.ID, statuses[s.rank], statuses[before.rank])
	}
	return nil
}

// A lifecycle is an order by its history.
type lifecycle struct {
	status                                string
	attempt                               int
	started, completed, failed, cancelled time.Time
}

// historyLength is how many transitions the service keeps of an order.
const historyLength = 20

// check looks at one reading by itself: the order is what the transitions of its history make of it.
func (w *works) check(o *service.Order, initial string) error {
	s, last := lifecycle{status: "Pending"}, o.CreatedAt
	least := map[string]int{"Pending": 1, "Processing": 2, "Completed": 3}[initial]
	if initial == "Completed" {
		s.status = initial // elsewhere
	}
	switch {
	case o.Version < least || rankOf(o.Status) < 0:
		return Broken(Forward, "%s was imported as %s: %+v", o.OrderID, initial, o)
	case o.Version-1 > historyLength:
		return nil // the first transitions are not kept
	case o.Version != versionAfter(len(o.History), initial):
		return Broken(InOrder, "%s is at version %d with another history: %+v", o.OrderID, o.Version, o)
	}
	for _, e := range o.History {
		if e.At.Before(last) {
			return Broken(InOrder, "%s has the transition %s before what came before it: %+v", o.OrderID, e.Transition, o)
		}
		if err := w.step(&s, e, o.OrderID); err != nil {
			return err
		}
		last = e.At
	}
	read := lifecycle{o.Status, o.Attempt, o.StartedAt, o.CompletedAt, o.FailedAt, o.CancelledAt}
	if o.CreatedAt.IsZero() || read != s {
		return Broken(InOrder, "%s is %+v, and by its history %+v", o.OrderID, read, s)
	}
	return nil
}

// versionAfter is the version of an order with so many transitions in its history. A Completed import
// has none, and the history of a Processing one begins with its start.
func versionAfter(transitions int, initial string) int {
	if initial == "Completed" {
		return 3 + transitions
	}
	return 1 + transitions
}

// step makes a transition, if the table and the clock allow it.
func (w *works) step(s *lifecycle, e service.Event, id string) error {
	to, ok := next(s.status, e.Transition)
	if !ok {
		return Broken(OnceOnly, "%s has the transition %s while it was %s", id, e.Transition, s.status)
	}
	if err := w.onTime(s, e, id); err != nil {
		return err
	}
	s.status = to
	switch e.Transition {
	case "start", "restart":
		s.started, s.attempt = e.At, s.attempt+1
	case "complete":
		s.completed = e.At
	case "fail":
		s.failed = e.At
	case "retry":
		s.started, s.failed, s.attempt = time.Time{}, time.Time{}, 0
	case "cancel":
		s.cancelled = e.At
	}
	return nil
}

// onTime returns an error for a transition of the service that is early, or an attempt too many.
func (w *works) onTime(s *lifecycle, e service.Event, id string) error {
	restart, gaveUp := e.Transition == "restart", e.Transition == "fail" && strings.HasPrefix(e.Reason, noAnswer)
	timer := e.Transition == "complete" && !w.external
	waited := e.At.Sub(s.started)
	switch {
	case (restart || gaveUp || timer) && waited < w.wait:
		return Broken(TakesTime, "%s has the transition %s after %s", id, e.Transition, waited)
	case restart && s.attempt >= w.attempts, gaveUp && s.attempt != w.attempts:
		return Broken(OnceOnly, "%s has the transition %s after attempt %d", id, e.Transition, s.attempt)
	}
	return nil
}

// noAnswer begins the reason with which the service fails an order.
const noAnswer = "no answer in "
