package chaos

import (
	"errors"
	"slices"
	"time"

	"orders/shared/order"
)

// create hands in requests, and holds the answers against what is there before and
// after (I1, I2, I3).
func (h *history) create(requests []order.Draft) {
	began, before := order.Timestamp(h.home.Now()), len(h.orders)
	answers := h.home.Create(requests, h.fault)
	if len(answers) != len(requests) {
		h.Fatalf("%d answers to %d requests", len(answers), len(requests))
	}
	h.remember(requests)
	for i, a := range answers {
		if a.Err == nil || errors.Is(a.Err, order.ErrUnavailable) {
			h.expect(requests[i])
		}
	}
	h.compare()
	firsts := map[order.ID]int{}
	for i, a := range answers {
		h.answered(requests[i], a, before, firsts)
	}
	if h.fault == "" {
		h.made(h.orders[before:], began, firsts)
	}
}

// made holds orders that were made without a fault: one request each was told so, and
// they were created now.
func (h *history) made(orders []*known, began time.Time, firsts map[order.ID]int) {
	for _, k := range orders {
		if n := firsts[k.last.ID]; n != 1 {
			h.Fatalf("%d requests were told that they made %s", n, k)
		}
		if t := k.last.CreatedAt; t.Before(began) || t.After(h.latest) {
			h.Fatalf("%s was created at %s, and it is %s", k, clock(t), clock(began))
		}
	}
}

// remember notes the requests that clients will repeat.
func (h *history) remember(requests []order.Draft) {
	for _, d := range requests {
		if d.Key != "" && !has(h.keyed, d) {
			h.keyed = append(h.keyed, d)
		}
	}
}

// expect notes a request that may be stored from now on.
func (h *history) expect(d order.Draft) {
	if h.byID[d.Key] == nil && !has(h.open, d) {
		h.open = append(h.open, d)
	}
}

func has(requests []order.Draft, d order.Draft) bool {
	return slices.ContainsFunc(requests, func(r order.Draft) bool { return r.ClientReference == d.ClientReference })
}

// answered judges one answer. Orders from the number before on were made in this step.
func (h *history) answered(d order.Draft, a Created, before int, firsts map[order.ID]int) {
	h.count++
	owner := h.byID[d.Key]
	switch {
	case errors.Is(a.Err, order.ErrUnavailable):
		if h.fault == "" {
			h.Fatalf("request %q: %v, without a fault", d.ClientReference, a.Err)
		}
	case errors.Is(a.Err, order.ErrKeyReused):
		if owner == nil || owner.draft.Fingerprint == d.Fingerprint {
			h.Fatalf("request %q was refused for its key, which is %s", d.ClientReference, owner)
		}
	case a.Err != nil:
		h.Fatalf("request %q: %v", d.ClientReference, a.Err)
	default:
		h.acknowledged(d, a, before, firsts)
	}
}

func (h *history) acknowledged(d order.Draft, a Created, before int, firsts map[order.ID]int) {
	k := h.byID[a.Order.ID]
	switch {
	case k == nil:
		h.Fatalf("request %q was acknowledged as %s, which is not there", d.ClientReference, a.Order.ID)
	case k.draft.ClientReference != d.ClientReference:
		h.Fatalf("request %q was acknowledged as %s", d.ClientReference, k)
	case !sameOrder(a.Order, k.last) || a.Order.Status > k.last.Status || a.Order.Status < d.InitialStatus:
		h.Fatalf("request %q was answered with the order %s, and %s is there", d.ClientReference, show(a.Order), k)
	case !a.Replayed:
		firsts[k.last.ID]++
		if firsts[k.last.ID] > 1 || slices.Contains(h.orders[:before], k) {
			h.Fatalf("request %q was told that it made %s, which was there before", d.ClientReference, k)
		}
	case d.Key == "":
		h.Fatalf("request %q has no key, and was answered as a replay", d.ClientReference)
	}
}
