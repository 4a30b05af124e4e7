package functions_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

// A trial is every function behind a network with a fault, which begins when the
// functions have connections open.
type trial struct {
	*testing.T
	fault     networkFault
	home      *home
	store     *dynamostore.Store
	network   *network
	functions map[string]*function
	startedAt time.Time // of the sample order, once it is started
}

func openTrials(t *testing.T, faults []networkFault) (trials []*trial) {
	t.Helper()
	for _, fault := range faults {
		trials = append(trials, openTrial(t, fault))
	}
	return trials
}

func openTrial(t *testing.T, fault networkFault) *trial {
	t.Helper()
	h := openHome(t)
	r := &trial{T: t, fault: fault, home: h, network: openNetwork(t, h.endpoint), functions: map[string]*function{}}
	h.endpoint = r.network.endpoint()
	r.store = awstest.Must(dynamostore.New(dynamostore.Config{Client: awstest.DynamoDB(t), Table: h.table, Now: time.Now, Random: rand.Reader}))
	draft := order.Draft{Key: sample, Details: order.Details{UserID: "645", ItemIDs: []string{"890"}}}
	if _, _, err := r.store.Create(t.Context(), draft); err != nil {
		t.Fatal(err)
	}
	if fault.cold {
		fault.begin(r.network)
	}
	for _, name := range names {
		f := h.start(name)
		f.timeout = deployedTimeout(t, name)
		r.functions[name] = f
	}
	if !fault.cold {
		for _, f := range r.functions {
			await(f, f.asked)
		}
		fault.begin(r.network)
	}
	return r
}

// deployedTimeout is how long a function may take, by the template.
func deployedTimeout(t *testing.T, name string) time.Duration {
	t.Helper()
	id := strings.ToUpper(name[:1]) + name[1:] + "Function"
	resource, err := awstest.Template(t).Resource(id)
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := time.ParseDuration(fmt.Sprint(resource.Properties["Timeout"], "s"))
	if err != nil {
		t.Fatal(err)
	}
	return seconds
}

// sideBySide takes a step in all trials at once: most of it is waiting.
func sideBySide(trials []*trial, step func(*trial)) {
	var wg sync.WaitGroup
	for _, r := range trials {
		wg.Go(func() { step(r) })
	}
	wg.Wait()
}

// attempted is the order that the create function is asked for.
var attempted = order.KeyedID("", "another-order")

// event is what a function is invoked with, again and again: the create of an order
// with a key, reads, the record of the sample order's creation, and the message that
// starts it.
func (r *trial) event(name string) []byte {
	event := sampleEvent(r.T, name)
	switch name {
	case "create":
		event = bytes.Replace(event, []byte("sample-order-1"), []byte("another-order"), 1)
	case "tally":
		event = firstRecord(r.T, event)
	}
	return event
}

// firstRecord is an event of a stream without the records behind the first.
func firstRecord(t *testing.T, event []byte) []byte {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(event, &fields); err != nil {
		t.Fatal(err)
	}
	fields["Records"] = fields["Records"].([]any)[:1]
	cut, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return cut
}

// invokeAll invokes every function, all at once, and checks that each answers before
// its deadline.
func (r *trial) invokeAll(check func(name string, got result)) {
	var wg sync.WaitGroup
	for name, f := range r.functions {
		event := r.event(name)
		await(f, f.asked)
		wg.Go(func() {
			began := time.Now()
			got := f.invoke(event)
			if took := time.Since(began); took > f.timeout {
				r.Errorf("%s: %s: answered after %s, beyond its time of %s", r.fault.name, name, took, f.timeout)
			}
			check(name, got)
		})
	}
	wg.Wait()
}

// failed is how functions that have not done what they were asked say so: the API
// with a problem, others with what is to come again.
var failed = map[string]string{
	"relay":     `{"batchItemFailures":[{"itemIdentifier":"111100000000000000000000001"}]}`,
	"processor": `{"batchItemFailures":[{"itemIdentifier":"2e1424d4-f796-459a-8184-9c92662be6d1"}]}`,
}

func (r *trial) checkFailures() {
	r.invokeAll(func(name string, got result) {
		switch want, listed := failed[name]; {
		case name == "tally":
			if !got.failed {
				r.Errorf("%s: tally: answered %s, no error", r.fault.name, got.body)
			}
		case listed:
			if got.failed || string(got.body) != want {
				r.Errorf("%s: %s: answered %s, want %s", r.fault.name, name, got.body, want)
			}
		default:
			checkAnswer(r.T, r.fault.name+": "+name, got.body, 503, []string{`"Retry-After":"1"`, `"code":"unavailable"`})
			r.checkTellsNothing(name, got.body)
		}
	})
}

// checkTellsNothing makes sure that an answer to a client has nothing of the inside.
func (r *trial) checkTellsNothing(name string, answer []byte) {
	for _, inside := range []string{r.network.proxy.Listen, r.home.table, "DynamoDB", "tcp", "EOF", "deadline", "attempt", "reset"} {
		if bytes.Contains(answer, []byte(inside)) {
			r.Errorf("%s: %s: tells of %q: %s", r.fault.name, name, inside, answer)
		}
	}
}

// checkArrivals makes sure that the fault was what it is called.
func (r *trial) checkArrivals() {
	_, err := r.store.Get(r.Context(), attempted)
	if created := err == nil; created != r.fault.arrives {
		r.Errorf("%s: the order is created: %t", r.fault.name, created)
	}
	r.startedAt = r.sample().StartedAt
	if started := !r.startedAt.IsZero(); started != r.fault.arrives {
		r.Errorf("%s: the order is started: %t", r.fault.name, started)
	}
	if counted := r.home.tally().Total() == 1; counted != r.fault.arrives {
		r.Errorf("%s: the order is counted: %t", r.fault.name, counted)
	}
}

// succeeded is in the answers of functions that have done what they were asked.
var succeeded = map[string]string{
	"create": string(attempted), "status": sample, "ids": sample, "metrics": "total_orders",
	"relay": noFailures, "processor": noFailures, "tally": `{"state":{},"batchItemFailures":[]}`,
}

func (r *trial) checkSuccesses() {
	status := map[string]int{"create": 201, "status": 200, "ids": 200, "metrics": 200}
	r.invokeAll(func(name string, got result) {
		if got.failed {
			r.Errorf("%s: %s: function error %s", r.fault.name, name, got.body)
		}
		want := []string{succeeded[name]}
		if name == "create" && r.fault.arrives {
			want = append(want, `"Idempotency-Replayed":"true"`)
		}
		checkAnswer(r.T, r.fault.name+": "+name, got.body, status[name], want)
	})
}

// checkEffects makes sure that nothing is lost and nothing is there twice but for
// messages, which may be sent again and are harmless.
func (r *trial) checkEffects() {
	page, err := r.store.List(r.Context(), 10, "")
	slices.Sort(page.IDs)
	want := []order.ID{attempted, sample}
	slices.Sort(want)
	if err != nil || !slices.Equal(page.IDs, want) {
		r.Errorf("%s: there are the orders %v, want %v (%v)", r.fault.name, page.IDs, want, err)
	}
	if o := r.sample(); o.Status != order.Processing || !r.startedAt.IsZero() && !o.StartedAt.Equal(r.startedAt) {
		r.Errorf("%s: the order was started at %s and is %+v", r.fault.name, r.startedAt, o)
	}
	if tally := r.home.tally(); tally.ByStatus != [...]int64{1, 0, 0} {
		r.Errorf("%s: counted %v, want one order once", r.fault.name, tally.ByStatus)
	}
	queued := r.home.bodies(r.home.queueURL)
	for _, body := range queued {
		if body != startSample {
			r.Errorf("%s: queued %s", r.fault.name, body)
		}
	}
	if len(queued) == 0 || !r.fault.arrives && len(queued) != 1 {
		r.Errorf("%s: %d messages are queued", r.fault.name, len(queued))
	}
	if buried := r.home.bodies(r.home.deadLetterURL); len(buried) != 0 {
		r.Errorf("%s: buried %q", r.fault.name, buried)
	}
}

func (r *trial) sample() order.Order {
	o, err := r.store.Get(r.Context(), sample)
	if err != nil {
		r.Errorf("%s: %v", r.fault.name, err)
	}
	return o
}
