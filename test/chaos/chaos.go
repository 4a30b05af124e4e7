// Package chaos plays random histories with faults on a deployment of the service, and compares it
// with a model after every step.
//
// A history is a list of steps: orders are created, background work is done, foreign messages are
// delivered, clocks jump. Each step may meet one of the faults that the deployment supports. After
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
	"strconv"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
)

// T is the part of testing.T and rapid.T that a deployment may use.
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
	// Faults names the faults of Create, of Deliver (see the constants) or of a worker. A
	// fault ends with its step.
	Faults(doing string) []string
	// Met counts the faults that have occurred so far, by "doing: fault". A fault of a call
	// that is not made has not occurred.
	Met() map[string]int

	// Now is the deployment's clock.
	Now() time.Time
	// ProcessingTime is how long an order stays in Processing.
	ProcessingTime() time.Duration
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
)

// Created is the response to a create. After order.ErrUnavailable the order may be there or not.
// Without a fault there must be no such error.
type Created struct {
	Order    order.Order
	Replayed bool
	Err      error
}

var playFor = flag.Duration("chaos.for", 5*time.Second, "play random histories for that long")

// enough is a time after which every fault must have occurred.
const enough = 5 * time.Minute

// Play plays every history of testdata, each on a fresh deployment, and then random histories for the
// time of the flag -chaos.for. It fails with the steps of the shortest failing history that it can
// find, as JSON for testdata.
//
// The flags of rapid work, too: -rapid.seed with the seed of a failure and -rapid.checks=1 play its
// history again.
func Play(t *testing.T, name string, open func(T) Deployment) {
	t.Helper()
	replay(t, open)
	began := time.Now()
	s := &summary{Deployment: name, Seed: firstSeed(), Faults: map[string]int{}}
	u := &search{open: open, over: after(*playFor), summary: s}
	advice := u.play(t, func() { s.Seconds = int(time.Since(began).Seconds()) })
	t.Log(s)
	if u.found != nil {
		t.Logf("%s\n%s\nThe history is being shortened, which takes a while.", u.found.Why, u.found)
		u.shorten(t.Context())
		t.Fatalf("%s\n%s\n%s\nIt is in %s", u.found.Why, u.found, advice, keep(t, name, u.found))
	}
	if missed := s.missed(); *playFor >= enough && len(missed) > 0 {
		t.Errorf("these faults never occurred: %q", missed)
	}
}

// play plays rounds until a history fails or the time is over, and logs its progress once a minute.
// The seeds of all rounds follow from the summary's seed.
func (u *search) play(t *testing.T, clock func()) (advice string) {
	defer clock()
	setFlag(t, "rapid.nofailfile", "true") // a script replaces it
	seeds := rand.New(rand.NewPCG(u.summary.Seed, 0))
	minute := after(time.Minute)
	for seed := u.summary.Seed; u.found == nil && !u.over(); seed = seeds.Uint64() {
		setFlag(t, "rapid.seed", strconv.FormatUint(seed, 10))
		advice = u.round(t)
		if minute() {
			clock()
			t.Logf("%d s: %d histories, %d steps", u.summary.Seconds, u.summary.Histories, u.summary.Steps)
			minute = after(time.Minute)
		}
	}
	return advice
}

// firstSeed is the flag -rapid.seed, or a random one.
func firstSeed() uint64 {
	if f := flag.Lookup("rapid.seed"); f != nil {
		if seed, err := strconv.ParseUint(f.Value.String(), 10, 64); err == nil && seed != 0 {
			return seed
		}
	}
	return rand.Uint64()
}

// setFlag sets a flag until the test ends. rapid is configured by flags only.
func setFlag(t *testing.T, name, value string) {
	before := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flag.Set(name, before); err != nil {
			t.Error(err)
		}
	})
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
	for _, doing := range append([]string{Create, Deliver}, h.deployment.Workers()...) {
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
