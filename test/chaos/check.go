package chaos

import (
	"errors"
	"slices"
	"time"

	"orders/shared/order"
)

// compare reads everything and compares it with the model.
func (h *history) compare() {
	list := h.readList()
	h.adopt(list)
	h.inOrder(list)
	h.list = list
	var recount order.Tally
	for _, k := range h.orders {
		h.reread(k)
		recount.Add(order.Change{New: &k.last}.Tally())
	}
	h.unstored()
	h.metrics(recount)
	h.queues()
}

// readList joins the pages of the list: a few, but never the whole list in one (I12).
func (h *history) readList() (ids []order.ID) {
	limit := max(3, len(h.orders)/3)
	for after := ""; ; {
		page, err := h.deployment.List(h.Context(), limit, after)
		if err != nil || len(page.IDs) > limit {
			h.Fatalf("a page of %d has %d ids, error %v", limit, len(page.IDs), err)
		}
		ids = append(ids, page.IDs...)
		if after = page.Next; after == "" {
			return ids
		}
	}
}

// adopt adds the orders that are new in the list to the model. Each must come from one open request
// (I2).
func (h *history) adopt(list []order.ID) {
	found := map[string]order.Order{}
	for _, id := range list {
		if h.byID[id] == nil {
			o := h.get(id)
			if first, twice := found[o.ClientReference]; twice {
				h.Fatalf("request %q made both %s and %s", o.ClientReference, first.ID, id)
			}
			found[o.ClientReference] = o
		}
	}
	h.open = slices.DeleteFunc(h.open, func(d order.Draft) bool {
		o, there := found[d.ClientReference]
		if there = there && (d.Key == "" || d.Key == o.ID); there {
			delete(found, d.ClientReference)
			k := newKnown(d, o.ID, o.CreatedAt)
			h.orders, h.byID[o.ID] = append(h.orders, k), k
		}
		return there
	})
	for _, o := range found {
		h.Fatalf("an order %s is there, and no request for it", show(o))
	}
}

// inOrder compares the list with the one before: it has all orders once, newest first, and none
// changes its place among the others (I1, I12).
func (h *history) inOrder(list []order.ID) {
	h.count++
	seen := map[order.ID]bool{}
	for i, id := range list {
		if seen[id] {
			h.Fatalf("%s is in the list twice", h.byID[id])
		}
		seen[id] = true
		if i > 0 && h.byID[list[i-1]].last.CreatedAt.Before(h.byID[id].last.CreatedAt) {
			h.Fatalf("%s is behind an older one in the list", h.byID[id])
		}
	}
	for _, k := range h.orders {
		if !seen[k.last.ID] {
			h.Fatalf("%s is not in the list", k)
		}
	}
	before := slices.DeleteFunc(slices.Clone(list), func(id order.ID) bool { return !slices.Contains(h.list, id) })
	if !slices.Equal(before, h.list) {
		h.Fatalf("the list was %s and is %s", h.list, list)
	}
}

func (h *history) get(id order.ID) order.Order {
	o, err := h.deployment.Get(h.Context(), id)
	if err != nil || o.ID != id {
		h.Fatalf("%s is read as that %s, error %v", id, show(o), err)
	}
	return o
}

// reread compares an order with its last reading, and with the time that has passed. The times within
// the order do not show whether a worker waited (I7).
func (h *history) reread(k *known) {
	h.count++
	o, f := h.get(k.last.ID), h.deployment.Fulfilment()
	made, err := k.became(o, f)
	if err != nil {
		h.Fatalf("%s %v: now it is that %s", k, err, show(o))
	}
	for _, e := range made {
		h.attribute(k, e)
		byClock := e.Transition == order.Complete && !f.External || e.Transition == order.Restart || e.Transition == order.Fail && e.By == ""
		if waited := h.elapsed - k.started + time.Millisecond; byClock && h.fault == "" && k.started >= 0 && waited < f.Wait() {
			h.Fatalf("%s made the transition %s %s after its start", k, e.Transition, waited)
		}
		if e.Transition == order.Start || e.Transition == order.Restart {
			k.started = h.elapsed
			if h.fault != "" {
				k.started = -1
			}
		}
	}
	k.last = o
}

// unstored checks that requests that are not in the list have left no order.
func (h *history) unstored() {
	for _, d := range h.open {
		if d.Key == "" || h.byID[d.Key] != nil {
			continue
		}
		if o, err := h.deployment.Get(h.Context(), d.Key); !errors.Is(err, order.ErrNotFound) {
			h.Fatalf("request %q is not in the list, and is read as that %s, error %v", d.ClientReference, show(o), err)
		}
	}
}

// metrics compares the tally with a recount (I9, I10, I11, I17).
func (h *history) metrics(recount order.Tally) {
	h.count++
	got, err := h.deployment.Metrics(h.Context())
	if err != nil {
		h.Fatalf("metrics: %v", err)
	}
	least := min(slices.Min(got.ByStatus[:]), got.CompletedCount, got.DurationSumMillis)
	if least < 0 || got.CompletedCount > got.ByStatus[order.Completed] || got.Total() > recount.Total() {
		h.Fatalf("metrics are %+v, and a recount gives %+v", got, recount)
	}
	if h.deployment.Counted() && got != recount {
		h.Fatalf("metrics are %+v, and a recount gives %+v", got, recount)
	}
}

// queues checks that every unfinished order has a message, and that only messages that can never
// succeed are dead letters (I13).
func (h *history) queues() {
	h.count++
	for _, k := range h.orders {
		if k.now().unfinished() && !h.deployment.Waits(k.last.ID) {
			h.Fatalf("%s is forgotten: there is no message for it", k)
		}
	}
	for _, body := range h.deployment.DeadLetters() {
		if _, poison := h.poison[string(body)]; !poison {
			h.Fatalf("%q is a dead letter, and could have succeeded", body)
		}
	}
}

// deadLettered checks that these bodies are dead letters (I14).
func (h *history) deadLettered(bodies []string) {
	h.count++
	dead := map[string]bool{}
	for _, body := range h.deployment.DeadLetters() {
		dead[string(body)] = true
	}
	for _, body := range bodies {
		if !dead[body] {
			h.Fatalf("%q can never succeed, and is no dead letter", body)
		}
	}
}

// create sends requests, and compares the responses with the orders before and after (I1, I2, I3).
func (h *history) create(requests []order.Draft) {
	began, before := order.Timestamp(h.deployment.Now()), len(h.orders)
	responses := h.deployment.Create(requests, h.fault)
	if len(responses) != len(requests) {
		h.Fatalf("%d responses to %d requests", len(responses), len(requests))
	}
	h.remember(requests)
	for i, r := range responses {
		if r.Err == nil || errors.Is(r.Err, order.ErrUnavailable) {
			h.expect(requests[i])
		}
	}
	h.compare()
	firsts := map[order.ID]int{}
	for i, r := range responses {
		h.response(requests[i], r, before, firsts)
	}
	if h.fault == "" {
		h.made(h.orders[before:], began, firsts)
	}
}

// made checks orders that were made without a fault: one response each says so, and they were created
// now.
func (h *history) made(orders []*known, began time.Time, firsts map[order.ID]int) {
	for _, k := range orders {
		if n := firsts[k.last.ID]; n != 1 {
			h.Fatalf("%d responses say that their requests made %s", n, k)
		}
		if t := k.last.CreatedAt; t.Before(began) || t.After(h.latest) {
			h.Fatalf("%s was created at %s, and it is %s", k, clock(t), clock(began))
		}
	}
}

// remember adds the requests that clients will repeat to the model.
func (h *history) remember(requests []order.Draft) {
	for _, d := range requests {
		if d.Key != "" && !has(h.keyed, d) {
			h.keyed = append(h.keyed, d)
		}
	}
}

// expect adds a request that may be stored from now on to the model.
func (h *history) expect(d order.Draft) {
	if h.byID[d.Key] == nil && !has(h.open, d) {
		h.open = append(h.open, d)
	}
}

func has(requests []order.Draft, d order.Draft) bool {
	return slices.ContainsFunc(requests, func(r order.Draft) bool { return r.ClientReference == d.ClientReference })
}

// response checks one response. Orders from the number before on were made in this step.
func (h *history) response(d order.Draft, r Created, before int, firsts map[order.ID]int) {
	h.count++
	owner := h.byID[d.Key]
	switch {
	case errors.Is(r.Err, order.ErrUnavailable):
		if h.fault == "" {
			h.Fatalf("request %q: %v, without a fault", d.ClientReference, r.Err)
		}
	case errors.Is(r.Err, order.ErrKeyReused):
		if owner == nil || owner.draft.Fingerprint == d.Fingerprint {
			h.Fatalf("request %q was refused for its key, which is %s", d.ClientReference, owner)
		}
	case r.Err != nil:
		h.Fatalf("request %q: %v", d.ClientReference, r.Err)
	default:
		h.acknowledged(d, r, before, firsts)
	}
}

func (h *history) acknowledged(d order.Draft, r Created, before int, firsts map[order.ID]int) {
	k := h.byID[r.Order.ID]
	switch {
	case k == nil:
		h.Fatalf("request %q was acknowledged as %s, which is not there", d.ClientReference, r.Order.ID)
	case k.draft.ClientReference != d.ClientReference:
		h.Fatalf("request %q was acknowledged as %s", d.ClientReference, k)
	case !sameOrder(r.Order, k.last) || !slices.Contains(k.states, stateOf(r.Order)):
		h.Fatalf("the response to request %q has the order %s, and %s is there", d.ClientReference, show(r.Order), k)
	case !r.Replayed:
		firsts[k.last.ID]++
		if firsts[k.last.ID] > 1 || slices.Contains(h.orders[:before], k) {
			h.Fatalf("the response to request %q says that it made %s, which was there before", d.ClientReference, k)
		}
	case d.Key == "":
		h.Fatalf("request %q has no key, and its response says that it is a replay", d.ClientReference)
	}
}
