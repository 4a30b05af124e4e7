package ledger

import (
	"fmt"
	"strings"

	"orders/test/service"
)

// A Call is one request for a transition: complete, fail, retry or cancel.
type Call struct {
	Transition string
	Version    int    // that the caller has seen, 0 for none
	Reason     string // unlike that of all other calls
	outcome    outcome
}

type outcome int

const (
	unknown outcome = iota // no response yet, or never: it may be made once
	done                   // 200
	refused                // 409: it is never made
)

// Ask notes a call that is about to be sent. By its reason it is found in the history of the order.
func (l *Ledger) Ask(e *Entry, transition string, version int) *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &Call{Transition: transition, Version: version, Reason: fmt.Sprintf("%s, call %d", transition, len(e.calls)+1)}
	e.calls = append(e.calls, c)
	e.retried = e.retried || transition == "retry"
	return c
}

// Answer notes the response to a call: a conflict, or nil for a success. before is what was known of
// the order when the call was sent.
func (l *Ledger) Answer(e *Entry, before Sighting, c *Call, conflict *service.Conflict) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if conflict == nil {
		c.outcome = done
		now := before
		if c.Version > 0 {
			now.version = max(now.version, c.Version+1)
		}
		if to := rankOf(calledTo[c.Transition]); isFinal(to) {
			now.rank = to
		}
		if err := now.follows(before, e.retried); err != nil {
			return err
		}
		e.see(now)
		return e.judge()
	}
	c.outcome = refused
	now := Sighting{before.ID, rankOf(conflict.Status), conflict.Version}
	_, allowed := next(conflict.Status, c.Transition)
	timer := c.Transition == "complete" && !l.works.external // it may be too early
	switch {
	case now.rank < 0:
		return Broken(TellsTruth, "%s is %q", before.ID, conflict.Status)
	case allowed && !timer && (c.Version == 0 || c.Version == conflict.Version):
		return Broken(TellsTruth, "%s is refused the call %+v, as %+v", before.ID, c, conflict)
	}
	if err := now.follows(before, e.retried); err != nil {
		return err
	}
	e.see(now)
	return e.judge()
}

// calledTo are the statuses that calls lead to.
var calledTo = map[string]string{"complete": "Completed", "fail": "Failed", "retry": "Pending", "cancel": "Cancelled"}

// merge adds the history of an order to what was seen of it.
func (e *Entry) merge(o *service.Order) error {
	for i, event := range o.History {
		at := o.Version - len(o.History) + i - 1
		if e.Status == "Completed" {
			continue // nothing may happen to it; see check
		}
		for len(e.events) <= at {
			e.events = append(e.events, service.Event{})
		}
		if was := e.events[at]; was != (service.Event{}) && was != event {
			return Broken(OnceOnly, "%s has %+v where it had %+v", o.OrderID, event, was)
		}
		e.events[at] = event
	}
	return e.judge()
}

// judge compares the calls with the history that was seen. A completion on the main path has no
// reason in the history.
func (e *Entry) judge() error {
	made := map[string]int{}
	for _, event := range e.events {
		made[event.Reason]++
		called := event.Transition == "fail" || event.Transition == "retry" || event.Transition == "cancel"
		if called && !strings.HasPrefix(event.Reason, noAnswer) && !e.asked(event) {
			return Broken(TellsTruth, "%s has the transition %+v, which nobody asked for", e.seen.ID, event)
		}
	}
	for _, c := range e.calls {
		if err := e.judgeCall(c, made[c.Reason]); err != nil {
			return err
		}
	}
	return nil
}

// judgeCall compares a call with the history, where it is found so many times.
func (e *Entry) judgeCall(c *Call, made int) error {
	switch {
	case made > 1:
		return Broken(OnceOnly, "%s has made the call %+v %d times", e.seen.ID, c, made)
	case c.outcome == refused && made > 0:
		return Broken(TellsTruth, "%s has made the call %+v, which was refused", e.seen.ID, c)
	}
	led := c.Version - 1 // the index of the transition that the call has made
	if c.outcome != done || led < 0 || led >= len(e.events) {
		return nil
	}
	if is := e.events[led]; is.Transition != "" && is.Transition != c.Transition {
		return Broken(TellsTruth, "%s has %+v, and the call %+v was acknowledged", e.seen.ID, is, c)
	}
	return nil
}

func (e *Entry) asked(event service.Event) bool {
	for _, c := range e.calls {
		if c.Reason == event.Reason && c.Transition == event.Transition {
			return true
		}
	}
	return false
}
