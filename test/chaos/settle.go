package chaos

import (
	"slices"
	"time"

	"orders/shared/order"
)

// rounds bounds how often every worker has its turn until all must be done (I16). Four
// are enough for an order that begins with them.
const rounds = 10

// settle ends the faults and lets time pass. Clients ask again for what they do not
// know; then every order becomes Completed, is counted, and nothing waits any more
// (I3, I4, I9, I13).
func (h *history) settle() {
	h.act(func() {
		h.fault = ""
		for again := range slices.Chunk(slices.Clone(h.keyed), 10) {
			h.create(again)
		}
		h.tick(24 * time.Hour)
		unsettled := "nothing was done"
		for range rounds {
			if unsettled = h.round(); unsettled == "" {
				break
			}
		}
		if unsettled != "" {
			h.Fatalf("once the faults were over, %s", unsettled)
		}
		if unsettled = h.round(); unsettled != "" {
			h.Fatalf("when all was done, %s", unsettled)
		}
		h.buried(h.sure())
	})
}

// round gives every worker its turn and says what there is to do still.
func (h *history) round() (unsettled string) {
	h.tick(h.home.ProcessingTime() + 2*time.Second)
	for _, worker := range h.home.Workers() {
		h.home.Work(worker, "")
	}
	h.compare()
	for _, k := range h.orders {
		if k.last.Status != order.Completed || h.home.Waits(k.last.ID) {
			return k.String() + " was not finished with"
		}
	}
	if !h.home.Counted() {
		return "the orders were not counted"
	}
	return ""
}

// sure are the messages that must have been buried by now.
func (h *history) sure() (bodies []string) {
	for body, sure := range h.hopeless {
		if sure {
			bodies = append(bodies, body)
		}
	}
	return bodies
}
