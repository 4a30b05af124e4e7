package chaos

import (
	"errors"
	"slices"
	"time"

	"orders/shared/order"
)

// compare reads everything and holds it against the model.
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

// readList joins the pages of the list: few enough to read them after every step,
// and never the whole list in one (I12).
func (h *history) readList() (ids []order.ID) {
	limit := max(3, len(h.orders)/3)
	for after := ""; ; {
		page, err := h.home.List(h.Context(), limit, after)
		if err != nil || len(page.IDs) > limit {
			h.Fatalf("a page of %d has %d ids, error %v", limit, len(page.IDs), err)
		}
		ids = append(ids, page.IDs...)
		if after = page.Next; after == "" {
			return ids
		}
	}
}

// adopt makes the orders known that are new in the list. Each must be what one open
// request asked for (I2).
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
			want := order.Order{ID: o.ID, Details: d.Details, CreatedAt: o.CreatedAt}
			k := &known{draft: d, last: want, begun: -1}
			h.orders, h.byID[o.ID] = append(h.orders, k), k
		}
		return there
	})
	for _, o := range found {
		h.Fatalf("an order %s is there, and nobody asked for it", show(o))
	}
}

// inOrder holds the list against the one before: all orders once, newest first, and
// none changes its place among the others (I1, I12).
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
	o, err := h.home.Get(h.Context(), id)
	if err != nil || o.ID != id {
		h.Fatalf("%s is read as that %s, error %v", id, show(o), err)
	}
	return o
}

// reread holds an order against what it was, and against the time that has passed:
// the times within an order do not tell whether anybody waited (I7).
func (h *history) reread(k *known) {
	h.count++
	o, before := h.get(k.last.ID), k.last.Status
	if err := k.became(o, h.home.ProcessingTime()); err != nil {
		h.Fatalf("%s %v: now it is that %s", k, err, show(o))
	}
	k.last = o
	switch {
	case before == order.Pending && o.Status == order.Processing:
		k.begun = h.elapsed
		if h.fault != "" {
			k.begun = -1
		}
	case before == order.Processing && o.Status == order.Completed && h.fault == "" && k.begun >= 0:
		if waited := h.elapsed - k.begun + time.Millisecond; waited < h.home.ProcessingTime() {
			h.Fatalf("%s was completed %s after its start", k, waited)
		}
	}
}

// unstored holds requests that are not in the list to have left no order either.
func (h *history) unstored() {
	for _, d := range h.open {
		if d.Key == "" || h.byID[d.Key] != nil {
			continue
		}
		if o, err := h.home.Get(h.Context(), d.Key); !errors.Is(err, order.ErrNotFound) {
			h.Fatalf("request %q is not in the list, and is read as that %s, error %v", d.ClientReference, show(o), err)
		}
	}
}

// metrics holds the tally against a recount (I9, I10, I11, I17).
func (h *history) metrics(recount order.Tally) {
	h.count++
	got, err := h.home.Metrics(h.Context())
	if err != nil {
		h.Fatalf("metrics: %v", err)
	}
	least := min(slices.Min(got.ByStatus[:]), got.CompletedCount, got.DurationSumMillis)
	if least < 0 || got.CompletedCount > got.ByStatus[order.Completed] || got.Total() > recount.Total() {
		h.Fatalf("metrics are %+v, and a recount gives %+v", got, recount)
	}
	if h.home.Counted() && got != recount {
		h.Fatalf("metrics are %+v, and a recount gives %+v", got, recount)
	}
}

// queues holds every unfinished order to be waited for, and only messages to be buried
// that can never succeed (I13).
func (h *history) queues() {
	h.count++
	for _, k := range h.orders {
		if k.last.Status != order.Completed && !h.home.Waits(k.last.ID) {
			h.Fatalf("%s is forgotten: no message for it is on its way", k)
		}
	}
	for _, body := range h.home.DeadLetters() {
		if _, hopeless := h.hopeless[string(body)]; !hopeless {
			h.Fatalf("%q is a dead letter, and could have succeeded", body)
		}
	}
}

// buried holds that these bodies are dead letters (I14).
func (h *history) buried(bodies []string) {
	h.count++
	buried := map[string]bool{}
	for _, body := range h.home.DeadLetters() {
		buried[string(body)] = true
	}
	for _, body := range bodies {
		if !buried[body] {
			h.Fatalf("%q can never succeed, and is no dead letter", body)
		}
	}
}
