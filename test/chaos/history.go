package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"orders/shared/order"
)

// A history is being played: a home, and the model of what it must hold.
type history struct {
	*stage
	home  Deployment
	steps []Step // so far
	fault string // of the present step
	count int    // comparisons made

	orders []*known // in the order in which they were asked for, which numbers them
	byID   map[order.ID]*known
	list   []order.ID // as last read
	// open are the requests of which nobody knows yet whether they are stored.
	open   []order.Draft
	keyed  []order.Draft // the different requests with a key so far
	unique int           // drafts without a key so far
	// hopeless are the bodies delivered that can never succeed, and whether one was
	// delivered without a fault and so must have been buried.
	hopeless map[string]bool

	elapsed time.Duration // ticks forward so far
	latest  time.Time     // the furthest that the clock has been
}

// begin opens a fresh home for a history. close is to be called.
func begin(ctx context.Context, open func(T) Deployment) *history {
	h := &history{stage: newStage(ctx), byID: map[order.ID]*known{}, hopeless: map[string]bool{}}
	h.act(func() {
		h.home = open(h)
		h.latest = h.home.Now()
	})
	return h
}

// play does one step, and then reads everything and holds it against the model.
func (h *history) play(s Step) {
	h.act(func() {
		h.steps = append(h.steps, s)
		h.fault = s.Fault
		switch s.Do {
		case Create:
			h.fault = h.known(Create, s.Fault)
			h.create(h.requests(s.Drafts))
		case Deliver:
			h.fault = h.known(Deliver, s.Fault)
			h.deliver(s.Messages)
		case work:
			h.fault = h.known(s.Worker, s.Fault)
			h.work(s.Worker)
		case tick:
			h.tick(time.Duration(s.By))
		default:
			h.Fatalf("there is no step %q", s.Do)
		}
	})
}

// known is the fault if the home knows it.
func (h *history) known(doing, fault string) string {
	if slices.Contains(h.home.Faults(doing), fault) {
		return fault
	}
	return ""
}

func (h *history) requests(drafts []Draft) (requests []order.Draft) {
	for _, d := range drafts {
		h.unique++
		requests = append(requests, d.request(fmt.Sprintf("request %d", h.unique)))
	}
	return requests
}

func (h *history) work(worker string) {
	if slices.Contains(h.home.Workers(), worker) {
		h.home.Work(worker, h.fault)
		h.compare()
	}
}

// tick moves the clock, at which nothing happens that could be read.
func (h *history) tick(d time.Duration) {
	h.home.Tick(d)
	h.elapsed += max(d, 0)
	if now := h.home.Now(); now.After(h.latest) {
		h.latest = now
	}
}

func (h *history) deliver(messages []Message) {
	ids := make([]order.ID, len(h.orders))
	for i, k := range h.orders {
		ids[i] = k.last.ID
	}
	var bodies [][]byte
	var hopeless []string
	for _, m := range messages {
		body := m.body(ids)
		m.More = false
		isHopeless := h.isHopeless(m.body(ids))
		if isHopeless && !h.home.TakesForeign() {
			continue
		}
		bodies = append(bodies, []byte(body))
		if isHopeless {
			h.hopeless[body] = h.hopeless[body] || h.fault == ""
			hopeless = append(hopeless, body)
		}
	}
	h.home.Deliver(bodies, h.fault)
	h.compare()
	if h.fault == "" {
		h.buried(hopeless)
	}
}

// isHopeless reports whether the message can never succeed.
func (h *history) isHopeless(body string) bool {
	m, err := order.ParseMessage([]byte(body))
	return err != nil || h.byID[m.OrderID] == nil
}
