package chaos

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"time"

	"orders/shared/order"
)

// A history is a deployment and its model, while steps are played.
type history struct {
	*recorder
	deployment Deployment
	steps      []Step // so far
	fault      string // of the current step
	count      int    // comparisons made

	orders []*known // in the sequence of their requests, which numbers them
	byID   map[order.ID]*known
	list   []order.ID // as last read
	// open are the requests that may be stored or not.
	open   []order.Draft
	keyed  []order.Draft // the different requests with a key so far
	unique int           // drafts without a key so far

	callers map[string]*caller // of the current step
	called  int                // calls so far
	// poison are the delivered bodies that can never succeed. The value is true after a
	// delivery without a fault: then the body must be a dead letter.
	poison map[string]bool

	elapsed time.Duration // ticks forward so far
	latest  time.Time     // the furthest that the clock has been
}

// begin opens a fresh deployment for a history. The caller calls close.
func begin(ctx context.Context, open Open, external bool) *history {
	h := &history{recorder: newRecorder(ctx), byID: map[order.ID]*known{}, poison: map[string]bool{}}
	h.do(func() {
		h.deployment = open(h, fulfilment(external))
		h.latest = h.deployment.Now()
	})
	return h
}

// play carries out one step, and then reads everything and compares it with the model.
func (h *history) play(s Step) {
	h.do(func() {
		h.steps = append(h.steps, s)
		h.fault = s.Fault
		switch s.Do {
		case Create:
			h.fault = h.supported(Create, s.Fault)
			h.create(h.requests(s.Drafts))
		case Deliver:
			h.fault = h.supported(Deliver, s.Fault)
			h.deliver(s.Messages)
		case Calling:
			h.fault = h.supported(Calling, s.Fault)
			h.call(s.Calls, s.Race)
		case work:
			h.fault = h.supported(s.Worker, s.Fault)
			h.work(s.Worker)
		case tick:
			h.tick(time.Duration(s.By))
		default:
			h.Fatalf("there is no step %q", s.Do)
		}
	})
}

// supported is the fault if the deployment supports it.
func (h *history) supported(doing, fault string) string {
	if slices.Contains(h.deployment.Faults(doing), fault) {
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
	if slices.Contains(h.deployment.Workers(), worker) {
		h.deployment.Work(worker, h.fault)
		h.compare()
	}
}

// tick moves the clock, which changes nothing that could be read.
func (h *history) tick(d time.Duration) {
	h.deployment.Tick(d)
	h.elapsed += max(d, 0)
	if now := h.deployment.Now(); now.After(h.latest) {
		h.latest = now
	}
}

func (h *history) deliver(messages []Message) {
	orders := make([]order.Order, len(h.orders))
	for i, k := range h.orders {
		orders[i] = k.last
	}
	var bodies [][]byte
	var poison []string
	for _, m := range messages {
		body := m.body(orders)
		m.More = false
		isPoison := h.isPoison(m.body(orders))
		if isPoison && !h.deployment.TakesForeign() {
			continue
		}
		bodies = append(bodies, []byte(body))
		if isPoison {
			h.poison[body] = h.poison[body] || h.fault == ""
			poison = append(poison, body)
		}
	}
	h.deployment.Deliver(bodies, h.fault)
	h.compare()
	if h.fault == "" {
		h.deadLettered(poison)
	}
}

// isPoison reports whether the message can never succeed.
func (h *history) isPoison(body string) bool {
	m, err := order.ParseMessage([]byte(body))
	return err != nil || h.byID[m.OrderID] == nil
}

// rounds is the number of turns of all workers after which all must be done (I16). An order that is
// created before them needs four.
const rounds = 10

// retryDelay is how long a worker may wait after a fault until it tries again.
const retryDelay = 2 * time.Second

// finish ends the faults and lets time pass. Clients repeat their requests with a key. Then every
// order becomes Completed, Cancelled or Failed and is counted, and no message is left (I3, I4, I9,
// I13).
func (h *history) finish() {
	h.do(func() {
		h.fault = ""
		for again := range slices.Chunk(slices.Clone(h.keyed), 10) {
			h.create(again)
		}
		h.tick(24 * time.Hour)
		h.retry()
		unfinished := "nothing was done"
		for range rounds {
			if unfinished = h.round(); unfinished == "" {
				break
			}
		}
		if unfinished != "" {
			h.Fatalf("after the faults, %s", unfinished)
		}
		if unfinished = h.round(); unfinished != "" {
			h.Fatalf("after all was done, %s", unfinished)
		}
		h.deadLettered(slices.Collect(h.delivered()))
	})
}

// retry gives every worker a turn under its first fault, and soon after it one without. Then every
// order that was due has advanced: no retry waits for longer (I16).
func (h *history) retry() {
	before := map[*known]state{}
	for _, k := range h.orders {
		before[k] = k.now()
	}
	for _, worker := range h.deployment.Workers() {
		if faults := h.deployment.Faults(worker); len(faults) > 0 {
			h.fault = faults[0]
			h.deployment.Work(worker, h.fault)
		}
	}
	h.compare()
	h.fault = ""
	h.tick(retryDelay)
	h.turn()
	for _, k := range h.orders {
		if k.now() == before[k] && k.now().unfinished() {
			h.Fatalf("%s has waited for longer than %s after a fault", k, retryDelay)
		}
	}
}

// turn gives every worker its turn.
func (h *history) turn() {
	for _, worker := range h.deployment.Workers() {
		h.deployment.Work(worker, "")
	}
	h.compare()
}

// round lets time pass, gives every worker its turn, and says what is not done yet.
func (h *history) round() (unfinished string) {
	h.tick(h.deployment.Fulfilment().Wait() + 2*time.Second)
	h.turn()
	for _, k := range h.orders {
		if k.now().unfinished() || h.deployment.Waits(k.last.ID) {
			return k.String() + " is not finished, or a message for it is left"
		}
	}
	if !h.deployment.Counted() {
		return "the orders were not counted"
	}
	return ""
}

// delivered are the bodies of poison that was delivered without a fault.
func (h *history) delivered() iter.Seq[string] {
	return func(yield func(string) bool) {
		for body, delivered := range h.poison {
			if delivered && !yield(body) {
				return
			}
		}
	}
}

// A recorder is the T of a history's deployment. It keeps the failure and does not fail the test,
// because a history is played many times while it is shrunk.
type recorder struct {
	ctx      context.Context
	end      context.CancelFunc
	cleanups []func()
	failure  string // the first, or empty
}

func newRecorder(ctx context.Context) *recorder {
	r := &recorder{}
	r.ctx, r.end = context.WithCancel(ctx)
	return r
}

func (r *recorder) Helper()                  {}
func (r *recorder) Logf(string, ...any)      {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }

// Fatalf records a failure and ends the function that do runs.
func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	panic(failed{})
}

// failed is the value that Fatalf panics with.
type failed struct{}

// do runs a part of the history, unless an earlier one has failed. A panic is a failure, too.
func (r *recorder) do(part func()) {
	if r.failure == "" {
		r.recoverFrom(part)
	}
}

func (r *recorder) recoverFrom(part func()) {
	defer func() {
		p := recover()
		if _, recorded := p.(failed); p != nil && !recorded {
			r.failure = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	part()
}

// close runs the cleanups of the deployment. The first failure counts.
func (r *recorder) close() {
	r.end()
	first := r.failure
	for _, cleanup := range slices.Backward(r.cleanups) {
		r.recoverFrom(cleanup)
	}
	if first != "" {
		r.failure = first
	}
}
