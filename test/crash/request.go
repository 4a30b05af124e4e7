package main

import (
	"encoding/json/v2"
	"fmt"
	"math/rand/v2"
	"sync"

	"orders/test/ledger"
)

// A request is one order that the trial asks for.
type request struct {
	*ledger.Entry
	sent int // creates that were sent before it
}

// draft is the nth order. Its reference is unlike all others, so the order can be compared with what
// was asked for, though the response may have been lost.
func draft(n int) ledger.Draft {
	d := ledger.Draft{
		ClientReference: fmt.Sprintf("crash-%d", n),
		UserID:          fmt.Sprintf("user %d", n%1009),
		TotalAmount:     fmt.Sprintf("%d.%02d", n%1_000_003, n%100),
		Status:          "Pending",
	}
	for i := range 1 + n%4 {
		d.ItemIDs = append(d.ItemIDs, fmt.Sprintf("item-%d-%d", n, i))
	}
	if n%5 < 2 {
		d.Key = d.ClientReference
	}
	switch n % 21 { // no multiple of the keys' 5, so that both meet
	case 19:
		d.Status = "Processing"
	case 20:
		d.Status = "Completed"
	}
	return d
}

// body is the request for the order, or for another one under the same key.
func body(d ledger.Draft, amount string) []byte {
	body, err := json.Marshal(map[string]any{
		"order_id": d.ClientReference, "user_id": d.UserID, "item_ids": d.ItemIDs, "total_amount": amount, "status": d.Status,
	})
	if err != nil {
		panic(err) // texts always have a JSON form
	}
	return body
}

// requests are all requests of a trial, by what may be done with them next.
type requests struct {
	ledger      *ledger.Ledger
	connections int

	mu           sync.Mutex
	begun        int        // requests
	sent         int        // creates, of which some are retries
	acknowledged []*request // in the order of their acknowledgements
	fresh        []*request // acknowledged in this round
	due          []*request // acknowledged in earlier rounds, and to be read again
	lost         []*request // with a key, whose response was lost
	kills        int
}

// begin returns the next new request.
func (q *requests) begin() *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := &request{q.ledger.Begin(draft(q.begun)), q.sent}
	q.begun++
	q.sent++
	return r
}

// retry picks a request whose key is to be used once more: one whose response was lost, if there is
// any, else one that was acknowledged.
func (q *requests) retry(random *rand.Rand) (r *request, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.lost); n > 0 {
		r, q.lost = q.lost[n-1], q.lost[:n-1]
	} else if r, ok = pick(q.acknowledged, len(q.acknowledged), random); !ok || r.Key == "" {
		return nil, false
	}
	q.sent++
	return r, true
}

// takeLost returns all requests whose response was lost and whose key was not used since.
func (q *requests) takeLost() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost := q.lost
	q.sent += len(lost)
	q.lost = nil
	return lost
}

// lose notes that a create had no response. Without a key, it must not be sent again.
func (q *requests) lose(r *request) {
	q.ledger.Lose()
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.Key != "" {
		q.lost = append(q.lost, r)
	}
}

// acknowledge notes the first response to a request.
func (q *requests) acknowledge(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.acknowledged = append(q.acknowledged, r)
	q.fresh = append(q.fresh, r)
}

// recent picks one of the n requests acknowledged last.
func (q *requests) recent(n int, random *rand.Rand) (*request, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return pick(q.acknowledged, n, random)
}

// takeDue returns a request that was acknowledged before the service was killed, and not read since:
// the last one first, because a crash would lose it first.
func (q *requests) takeDue() (r *request, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.due)
	if n == 0 {
		return nil, false
	}
	r, q.due = q.due[n-1], q.due[:n-1]
	return r, true
}

// mostAfter is how many orders may have been made after that one: all that were sent since, and
// those that were on their way when it was.
func (q *requests) mostAfter(r *request) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sent - r.sent + q.connections
}

// killed notes that the service was killed.
func (q *requests) killed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.kills++
	q.due, q.fresh = append(q.due, q.fresh...), nil
}

// pick returns one of the last n requests.
func pick(requests []*request, n int, random *rand.Rand) (*request, bool) {
	n = min(n, len(requests))
	if n == 0 {
		return nil, false
	}
	return requests[len(requests)-1-random.IntN(n)], true
}
