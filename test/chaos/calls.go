package chaos

import (
	"errors"
	"fmt"
	"time"

	"orders/shared/order"
)

// A CallRequest is what a person or a worker asks for.
type CallRequest struct {
	ID order.ID
	order.TransitionRequest
}

// Called is the response to a call. After order.ErrUnavailable the transition may be made or not.
// Without a fault there must be no such error.
type Called struct {
	Order order.Order
	Err   error
}

// A caller has made one call of the current step. Its name is By in the history of the order.
type caller struct {
	CallRequest
	name     string // of the transition
	response Called
	made     bool // the order has the transition in its history
}

// callers are the calls of a step, by the names of the callers.
func (h *history) newCallers(list []Call) (requests []CallRequest, callers map[string]*caller) {
	orders := make([]order.Order, len(h.orders))
	for i, k := range h.orders {
		orders[i] = k.last
	}
	callers = map[string]*caller{}
	for _, c := range list {
		h.called++
		by := fmt.Sprintf("caller %d", h.called)
		r := c.request(orders, by)
		requests = append(requests, r)
		callers[by] = &caller{CallRequest: r, name: c.Do}
	}
	return requests, callers
}

// call makes calls concurrently, and compares the responses with the orders before and after (I5).
func (h *history) call(list []Call, race bool) {
	requests, callers := h.newCallers(list)
	before := map[order.ID]int{} // the index of the last state
	for id, k := range h.byID {
		before[id] = len(k.states) - 1
	}
	now := order.Timestamp(h.deployment.Now())
	responses := h.deployment.Call(requests, race, h.fault)
	if len(responses) != len(requests) {
		h.Fatalf("%d responses to %d calls", len(responses), len(requests))
	}
	for i, r := range requests {
		callers[r.By].response = responses[i]
	}
	h.callers = callers
	h.compare()
	h.callers = nil
	for _, r := range requests {
		h.responded(callers[r.By], before[r.ID], now)
	}
}

// attribute finds the caller of a transition that was made in this step. The history of an order on
// the main path has no callers.
func (h *history) attribute(k *known, e order.Event) {
	c := h.callers[e.By]
	switch {
	case e.By == "" && e.Transition == order.Complete && h.deployment.Fulfilment().External:
		for _, c := range h.callers {
			if c.ID == k.last.ID && c.name == "complete" && !isConflict(c.response.Err) {
				return
			}
		}
		h.Fatalf("%s was completed, and no worker has said so", k)
	case e.By == "":
		return
	case c == nil || c.made || c.ID != k.last.ID || c.name != e.Transition.String() || c.Reason != e.Reason:
		h.Fatalf("%s made the transition %s by %s, who has not asked for it, or only once", k, e.Transition, e.By)
	default:
		c.made = true
	}
}

func isConflict(err error) bool {
	_, ok := errors.AsType[*order.ConflictError](err)
	return ok
}

// responded checks one response. The order was in the state of the index first before the step.
func (h *history) responded(c *caller, first int, now time.Time) {
	h.count++
	k, err := h.byID[c.ID], c.response.Err
	what := fmt.Sprintf("the call %s at version %d of %s", c.name, c.Version, k)
	switch {
	case errors.Is(err, order.ErrUnavailable):
		if h.fault == "" {
			h.Fatalf("%s: %v, without a fault", what, err)
		}
	case k == nil:
		if !errors.Is(err, order.ErrNotFound) {
			h.Fatalf("%s: %v", what, err)
		}
	case isConflict(err):
		h.refused(c, k.states[first:], now, what)
	case err != nil:
		h.Fatalf("%s: %v", what, err)
	default:
		h.accepted(c, k, first, now, what)
	}
}

// refused checks a conflict: it changed nothing, and was true at some moment of the step.
func (h *history) refused(c *caller, states []state, now time.Time, what string) {
	conflict, _ := errors.AsType[*order.ConflictError](c.response.Err)
	if c.made {
		h.Fatalf("%s was made, and its response is: %v", what, conflict)
	}
	for _, s := range states {
		if s.status == conflict.Status && s.version == conflict.Version && c.verdict(s, now, h.deployment.Fulfilment()) == refuse {
			return
		}
	}
	h.Fatalf("%s was refused: %v", what, conflict)
}

// accepted checks a success: the transition was made in this step, or the same call was made before.
func (h *history) accepted(c *caller, k *known, first int, now time.Time, what string) {
	f, got := h.deployment.Fulfilment(), stateOf(c.response.Order)
	for i := first; i < len(k.states); i++ {
		if k.states[i] != got || !sameOrder(c.response.Order, k.last) {
			continue
		}
		before := k.verdictsBefore(c, i, first, now, f)
		if c.verdict(got, now, f) == already || before == do {
			return
		}
	}
	h.Fatalf("%s has the response %+v", what, got)
}

// verdictsBefore is the verdict on a call at the state before the one of index i, if that state was
// reached by the transition that the call asks for.
func (k *known) verdictsBefore(c *caller, i, first int, now time.Time, f order.Fulfilment) verdict {
	if i == first || k.path[len(k.path)-len(k.states)+i].Transition.String() != c.name {
		return refuse
	}
	return c.verdict(k.states[i-1], now, f)
}

// A verdict is what the contract says about a call to an order in some state.
type verdict int

const (
	refuse  verdict = iota
	do              // the transition is made
	already         // the same call was made before
)

func (c *caller) verdict(s state, now time.Time, f order.Fulfilment) verdict {
	_, allowed := next(s.status, c.name)
	switch {
	case s.status == calls[c.name] && (c.Version == 0 || c.Version == s.version-1):
		return already
	case c.Version != 0 && c.Version != s.version, !allowed:
		return refuse
	case c.name == "complete" && !f.External && now.Before(s.started.Add(f.ProcessingTime)):
		return refuse
	default:
		return do
	}
}
