// Package ledger compares a service with its own responses. A Ledger notes each create that a
// client sends, and each response: orders acknowledged, their keys, responses lost. It compares each
// response with all before it, over crashes and restarts of the service, and returns a *Violation
// when they contradict each other. After all is done, Audit compares the whole store with it.
package ledger

import (
	"slices"
	"sync"
	"time"

	"orders/test/service"
)

// A Ledger may be used by many goroutines.
type Ledger struct {
	works works

	mu           sync.Mutex
	sent         int // entries
	acknowledged int
	lost         int                 // creates without a response
	completed    int                 // the most that metrics have shown
	byID         map[string]*Entry   // entries whose id is known
	unnamed      map[string][]*Entry // by their content, the others
}

// works is how the service processes orders: by the timer for the time wait, or by workers, who have
// so many attempts of the time wait.
type works struct {
	external bool
	wait     time.Duration
	attempts int
}

// An Entry is the knowledge of one order.
type Entry struct {
	Draft
	acknowledged bool
	seen         Sighting
	// events has the transitions that were seen, by the version that each led to, from 2 on.
	events  []service.Event
	calls   []*Call
	retried bool // whether a retry was sent
}

// New returns an empty ledger on a service with that processing time.
func New(processingTime time.Duration) *Ledger { return newLedger(works{wait: processingTime}) }

// NewExternal returns an empty ledger on a service whose orders are completed by workers.
func NewExternal(attemptTimeout time.Duration, maxAttempts int) *Ledger {
	return newLedger(works{external: true, wait: attemptTimeout, attempts: maxAttempts})
}

func newLedger(w works) *Ledger {
	return &Ledger{works: w, byID: map[string]*Entry{}, unnamed: map[string][]*Entry{}}
}

// Begin notes that an order is being asked for.
func (l *Ledger) Begin(d Draft) *Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &Entry{Draft: d}
	l.sent++
	l.unnamed[d.content()] = append(l.unnamed[d.content()], e)
	return e
}

// Lose notes that a create had no response: the order may be there or not.
func (l *Ledger) Lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost++
}

// Acknowledge notes the response to a create. before is what was known of the order when the
// request was sent. first is false when an earlier response has acknowledged the order.
func (l *Ledger) Acknowledge(e *Entry, before Sighting, c service.Created) (first bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.Status != e.Status:
		return false, Broken(OneOrder, "%s is created with the status %s, not %s", c.OrderID, c.Status, e.Status)
	case before.ID != "" && !c.Replayed:
		return false, Broken(OneOrder, "%s was there, and the response to its retry is no replay", before.ID)
	case e.Key == "" && c.Replayed:
		return false, Broken(OneOrder, "%s has no key, and the response is a replay", c.OrderID)
	}
	if err := l.identify(e, c.OrderID); err != nil {
		return false, err
	}
	if e.acknowledged {
		return false, nil
	}
	e.acknowledged = true
	l.acknowledged++
	return true, nil
}

// identify notes the id of an order; the caller holds the lock.
func (l *Ledger) identify(e *Entry, id string) error {
	other := l.byID[id]
	switch {
	case other == e:
		return nil
	case e.seen.ID != "":
		p := NoStrangers
		if e.Key != "" {
			p = OneOrder
		}
		return Broken(p, "the request %+v has made two orders, %s and %s", e.Draft, e.seen.ID, id)
	case other != nil:
		return Broken(OneOrder, "the requests %+v and %+v have the same order %s", other.Draft, e.Draft, id)
	}
	e.seen.ID = id
	l.byID[id] = e
	c := e.content()
	if rest := slices.DeleteFunc(l.unnamed[c], func(u *Entry) bool { return u == e }); len(rest) > 0 {
		l.unnamed[c] = rest
	} else {
		delete(l.unnamed, c)
	}
	return nil
}

// Before returns what is known of an order before it is read: no response may be older than that.
func (l *Ledger) Before(e *Entry) Sighting {
	l.mu.Lock()
	defer l.mu.Unlock()
	return e.seen
}

// Known returns the entry of an order, nil when no response has named its id.
func (l *Ledger) Known(id string) *Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

// See notes an order as it was read. before is what was known when the request was sent.
func (l *Ledger) See(before Sighting, o *service.Order) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := content(o.ClientReference, o.UserID, o.TotalAmount, o.ItemIDs)
	e := l.byID[o.OrderID]
	switch {
	case e != nil && e.content() != c:
		return Broken(Durable, "%s has another content than was asked for: %+v", o.OrderID, o)
	case e == nil && len(l.unnamed[c]) == 0:
		return Broken(NoStrangers, "%s was not asked for, or is a second order of its request: %+v", o.OrderID, o)
	case e == nil:
		e = l.unnamed[c][0]
		if err := l.identify(e, o.OrderID); err != nil {
			return err
		}
	}
	if err := l.works.check(o, e.Status); err != nil {
		return err
	}
	now := Sighting{o.OrderID, rankOf(o.Status), o.Version}
	if err := now.follows(before, e.retried); err != nil {
		return err
	}
	if err := e.merge(o); err != nil {
		return err
	}
	e.see(now)
	return nil
}

// see adds a sighting, which may be an earlier one: responses on different connections overtake each
// other.
func (e *Entry) see(s Sighting) {
	e.seen.version = max(e.seen.version, s.version)
	if !e.retried || isFinal(s.rank) {
		e.seen.rank = max(e.seen.rank, s.rank)
	}
}

// SeeStatus notes a status that was read.
func (l *Ledger) SeeStatus(e *Entry, before Sighting, status string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := Sighting{before.ID, rankOf(status), before.version}
	if now.rank < 0 {
		return Broken(Forward, "%s is %q", before.ID, status)
	}
	if err := now.follows(before, e.retried); err != nil {
		return err
	}
	e.see(now)
	return nil
}

// Least returns how many orders metrics must show from now on, and how many of them Completed. An
// order that is there and not yet acknowledged may not be counted yet.
func (l *Ledger) Least() (orders, completed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acknowledged, l.completed
}

// Counts returns how many orders were acknowledged, and how many creates had no response.
func (l *Ledger) Counts() (acknowledged, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acknowledged, l.lost
}

// SeeMetrics notes metrics that were read, when Least had returned these numbers.
func (l *Ledger) SeeMetrics(m service.Metrics, orders, completed int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := checkSums(m); err != nil {
		return err
	}
	switch {
	case m.TotalOrders < orders || m.TotalOrders > l.sent:
		return Broken(AddsUp, "there are %d to %d orders: %+v", orders, l.sent, m)
	case m.StatusCounts["Completed"] < completed:
		return Broken(AddsUp, "%d orders were Completed before: %+v", completed, m)
	}
	l.completed = max(l.completed, m.StatusCounts["Completed"])
	return nil
}

// original are the statuses that metrics always have. The others are there while an order has them.
var original = []string{"Pending", "Processing", "Completed"}

// checkSums looks at metrics by themselves.
func checkSums(m service.Metrics) error {
	sum, least := 0, 0
	for status, n := range m.StatusCounts {
		sum += n
		least = min(least, n)
		if rankOf(status) < 0 || n == 0 && !slices.Contains(original, status) {
			least = -1
		}
	}
	for _, status := range original {
		if _, ok := m.StatusCounts[status]; !ok {
			least = -1
		}
	}
	if sum != m.TotalOrders || least < 0 || m.AvgProcessTime < 0 {
		return Broken(AddsUp, "they do not: %+v", m)
	}
	return nil
}

// SeeList compares all pages, joined, with what is known. It returns every violation.
func (l *Ledger) SeeList(ids []string) (violations []error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	listed := make(map[string]bool, len(ids))
	for _, id := range ids {
		if listed[id] {
			violations = append(violations, Broken(ListsAll, "%s is listed twice", id))
		}
		listed[id] = true
	}
	for id := range l.byID {
		if !listed[id] {
			violations = append(violations, Broken(ListsAll, "%s is not listed", id))
		}
	}
	return violations
}
