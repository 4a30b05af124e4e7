package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// A ledger holds what the service has said so far, over all its lives, and finds
// where it contradicts itself. It may be used by many goroutines.
type ledger struct {
	connections int

	mu      sync.Mutex
	records []*record          // by the number of their ask
	byID    map[string]*record // those whose id is known
	acked   []*record          // in the order of their acknowledgements
	fresh   []*record          // acknowledged in this round
	due     []*record          // acknowledged in earlier rounds, and to be read again
	lost    []*record          // with a key, whose answer was lost
	sends   int                // creates sent
	losses  int                // creates whose answer was lost
	kills   int

	completed int // the most that metrics have shown
}

func newLedger(connections int) *ledger {
	return &ledger{connections: connections, byID: map[string]*record{}}
}

// begin notes that a new order is being asked for.
func (l *ledger) begin() *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &record{ask: ask(len(l.records)), sentAt: l.sends}
	l.records = append(l.records, r)
	l.sends++
	return r
}

// retry picks an order whose key is to be used once more: one whose answer was
// lost, if there is any, else one that was acknowledged.
func (l *ledger) retry(random *rand.Rand) (r *record, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.lost); n > 0 {
		r, l.lost = l.lost[n-1], l.lost[:n-1]
	} else if r, ok = pick(l.acked, len(l.acked), random); !ok || !r.ask.keyed() {
		return nil, false
	}
	l.sends++
	return r, true
}

// takeLost returns all orders whose answer was lost and whose key nobody has used since.
func (l *ledger) takeLost() []*record {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := l.lost
	l.sends += len(lost)
	l.lost = nil
	return lost
}

// lose notes that a create had no answer. Without a key, nobody may ask again.
func (l *ledger) lose(r *record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losses++
	if r.ask.keyed() {
		l.lost = append(l.lost, r)
	}
}

// acknowledge notes the answer to a create. before is what was known of the
// order when it was sent.
func (l *ledger) acknowledge(r *record, before sighting, answer createAnswer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case answer.Status != r.ask.status():
		return broken(oneOrder, "%s is answered with the status %s, not %s", answer.OrderID, answer.Status, r.ask.status())
	case before.id != "" && !answer.replayed:
		return broken(oneOrder, "%s was there, and its retry is not answered as a replay", before.id)
	case !r.ask.keyed() && answer.replayed:
		return broken(oneOrder, "%s has no key, and is answered as a replay", answer.OrderID)
	}
	if err := l.identify(r, answer.OrderID); err != nil {
		return err
	}
	if !r.acknowledged {
		r.acknowledged = true
		l.acked = append(l.acked, r)
		l.fresh = append(l.fresh, r)
	}
	return nil
}

// identify notes the id of an order; the caller holds the lock.
func (l *ledger) identify(r *record, id string) error {
	if r.seen.id == id {
		return nil
	}
	if r.seen.id != "" {
		p := onceOnly
		if r.ask.keyed() {
			p = oneOrder
		}
		return broken(p, "the request %s has made two orders, %s and %s", r.ask.reference(), r.seen.id, id)
	}
	if other := l.byID[id]; other != nil {
		return broken(oneOrder, "the requests %s and %s have the same order %s", other.ask.reference(), r.ask.reference(), id)
	}
	r.seen.id = id
	l.byID[id] = r
	return nil
}

// recent picks one of the orders acknowledged last.
func (l *ledger) recent(n int, random *rand.Rand) (*record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return pick(l.acked, n, random)
}

// takeDue returns an order that was acknowledged before the service was killed,
// and not read since: the last one first, because a crash would lose it first.
func (l *ledger) takeDue() (r *record, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.due)
	if n == 0 {
		return nil, false
	}
	r, l.due = l.due[n-1], l.due[:n-1]
	return r, true
}

// pick returns one of the last n records.
func pick(records []*record, n int, random *rand.Rand) (*record, bool) {
	n = min(n, len(records))
	if n == 0 {
		return nil, false
	}
	return records[len(records)-1-random.IntN(n)], true
}

// killed notes that the service was killed.
func (l *ledger) killed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kills++
	l.due, l.fresh = append(l.due, l.fresh...), nil
}

func (l *ledger) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d kills, %d orders acknowledged, %d answers lost", l.kills, len(l.acked), l.losses)
}
