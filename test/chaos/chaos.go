// Package chaos plays random histories with faults on a deployment of the service, and compares it
// with a model after every step.
//
// A history is a list of steps: orders are created, people and workers ask for transitions,
// background work is done, foreign messages are delivered, clocks jump. Each step may meet one of the faults that the deployment supports. After
// each step the history reads everything and compares it with the model. After the last step the
// faults end, time passes, and every order must be completed and counted.
//
// The same histories are played on every deployment. One that fails is shrunk to the few steps that
// matter and printed. Put into testdata, it is played on every deployment from then on.
package chaos

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
)

// T is the part of testing.T that a deployment may use.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// A Deployment is fresh and empty when a history begins. It carries out a step and then stands
// still: nothing happens in the background, and its clock moves by Tick only, so that a history that
// is played again takes the same course.
//
// It reports errors that no fault explains by the T that it was opened with.
type Deployment interface {
	// Metrics, Get and List read without faults.
	order.MetricsReader
	Get(ctx context.Context, id order.ID) (order.Order, error)
	List(ctx context.Context, limit int, after string) (order.Page, error)

	// Create creates orders concurrently and returns the response to each client.
	Create(drafts []order.Draft, fault string) []Created
	// Call makes the transitions that people and workers ask for concurrently, and returns the
	// response to each caller. With race, orders that are due advance at the same time.
	Call(requests []CallRequest, race bool, fault string) []Called
	// Work lets one of the Workers do its work of this moment.
	Work(worker, fault string)
	// Deliver passes bodies to the worker of the queue in one batch, as a queue does that
	// delivers more than once, too early and out of order.
	Deliver(bodies [][]byte, fault string)
	// TakesForeign reports whether Deliver reads bodies, as from a queue that others may write to.
	// If not, Deliver gets only messages of orders that exist.
	TakesForeign() bool
	// Tick moves the clock, forward or back.
	Tick(d time.Duration)

	// Workers names the workers, in the sequence in which an order needs them.
	Workers() []string
	// Faults names the faults of Create, of Deliver, of Calling (see the constants) or of a worker. A
	// fault ends with its step.
	Faults(doing string) []string
	// Met counts the faults that have occurred so far, by "doing: fault". A fault of a call
	// that is not made has not occurred.
	Met() map[string]int

	// Now is the deployment's clock.
	Now() time.Time
	// Fulfilment says how orders in Processing are completed.
	Fulfilment() order.Fulfilment
	// Counted reports whether the metrics must equal a recount now. They may lag, but must be
	// right once all Workers had their turn.
	Counted() bool
	// Waits reports whether an unfinished order is in the queue, in flight, or on its
	// way there (I13).
	Waits(id order.ID) bool
	// DeadLetters are the bodies in the dead-letter queue.
	DeadLetters() [][]byte
}

// The steps besides workers that have faults.
const (
	Create  = "create"
	Deliver = "deliver"
	Calling = "call"
)

// An Open opens a fresh deployment with that fulfilment.
type Open func(T, order.Fulfilment) Deployment

// fulfilment is the one of a history: that of the template, or workers who must be fast.
func fulfilment(external bool) order.Fulfilment {
	if external {
		return order.Fulfilment{External: true, AttemptTimeout: 20 * time.Second, MaxAttempts: 2}
	}
	return order.Timer(50 * time.Second)
}

// Created is the response to a create. After order.ErrUnavailable the order may be there or not.
// Without a fault there must be no such error.
type Created struct {
	Order    order.Order
	Replayed bool
	Err      error
}

var (
	playFor = flag.Duration("chaos.for", 5*time.Second, "play random histories for that long")
	seed    = flag.Uint64("chaos.seed", 0, "the seed of the first random history (default a random one)")
)

// enough is a time after which every fault must have occurred.
const enough = 5 * time.Minute

// Play plays every history of testdata, each on a fresh deployment, and if none fails, random histories
// for the time of the flag -chaos.for. It fails with the steps of the shortest failing history that it can
// find, as JSON for testdata. -chaos.seed with the seed of a failure plays its history again.
func Play(t *testing.T, name string, open Open) {
	t.Helper()
	replay(t, open)
	if t.Failed() {
		return // with a short history already
	}
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	s := &search{open: open, over: after(*playFor), summary: &summary{Deployment: name, Seed: first, Faults: map[string]int{}}}
	s.play(t)
	t.Log(s.summary)
	if s.found != nil {
		t.Logf("%s\n%s\nThe history is being shortened, which takes a while.", s.found.Why, s.found)
		s.shorten(t.Context())
		t.Fatalf("%s\n%s\nIt is in %s", s.found.Why, s.found, keep(t, name, s.found))
	}
	if missed := s.summary.missed(); *playFor >= enough && len(missed) > 0 {
		t.Errorf("these faults never occurred: %q", missed)
	}
}

// keep writes the script to a file that is not deleted, and returns its name.
func keep(t *testing.T, deployment string, s *script) string {
	name := filepath.Join(os.TempDir(), "chaos-"+deployment+".json")
	if err := os.WriteFile(name, []byte(s.String()), 0o600); err != nil {
		t.Error(err)
	}
	return name
}

// A summary says what was played on a deployment.
type summary struct {
	Deployment string
	Seconds    int
	Seed       uint64
	Histories  int
	Steps      int
	// Checks counts the orders, lists, metrics, queues and responses that were compared with
	// the model.
	Checks int
	Faults map[string]int // those that occurred, by "create: response lost"
}

func (s *summary) add(h *history) {
	s.Histories++
	s.Steps += len(h.steps)
	s.Checks += h.count
	if h.deployment == nil {
		return
	}
	for _, doing := range append([]string{Create, Deliver, Calling}, h.deployment.Workers()...) {
		for _, fault := range h.deployment.Faults(doing) {
			s.Faults[doing+": "+fault] += 0
		}
	}
	for fault, n := range h.deployment.Met() {
		s.Faults[fault] += n
	}
}

// missed are the faults that the deployment supports and that never occurred. They prove nothing.
func (s *summary) missed() (faults []string) {
	for _, fault := range slices.Sorted(maps.Keys(s.Faults)) {
		if s.Faults[fault] == 0 {
			faults = append(faults, fault)
		}
	}
	return faults
}

// String is the summary as text.
func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d s: %d histories, %d steps, %d checks, seed %d", s.Deployment, s.Seconds, s.Histories, s.Steps, s.Checks, s.Seed)
	for _, fault := range slices.Sorted(maps.Keys(s.Faults)) {
		fmt.Fprintf(&b, "\n%8d  %s", s.Faults[fault], fault)
	}
	return b.String()
}
