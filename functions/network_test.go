package functions_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/aws/aws-lambda-go/events"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

// slow are faults in which a function succeeds: each attempt ends in its time.
var slow = []networkFault{
	{name: "latency", begin: func(n *network) { n.poison("latency", "downstream", `{"latency": 500}`) }},
	{name: "jitter", begin: func(n *network) { n.poison("latency", "upstream", `{"latency": 300, "jitter": 300}`) }},
	{name: "two kilobytes a second", begin: func(n *network) { n.poison("bandwidth", "upstream", `{"rate": 2}`) }},
	{name: "responses in slices", begin: func(n *network) { n.poison("slicer", "downstream", `{"average_size": 64, "delay": 1000}`) }},
	{name: "connections that break while nobody calls", begin: (*network).mend},
}

// broken are faults that fail every attempt: before the request arrives, or after it has arrived
// and been done.
var broken = []networkFault{
	{name: "refused", begin: func(n *network) { n.proxy.Stop() }},
	{name: "requests swallowed", begin: func(n *network) { n.poison("timeout", "upstream", `{"timeout": 0}`) }},
	{name: "requests swallowed since before the start", cold: true, begin: func(n *network) { n.poison("timeout", "upstream", `{"timeout": 0}`) }},
	{name: "requests reset", begin: func(n *network) { n.poison("reset_peer", "upstream", `{"timeout": 0}`) }},
	{name: "requests cut", begin: func(n *network) { n.poison("limit_data", "upstream", `{"bytes": 300}`) }},
	{name: "responses swallowed", arrives: true, begin: func(n *network) { n.poison("timeout", "downstream", `{"timeout": 0}`) }},
	{name: "responses later than an attempt waits", arrives: true, begin: func(n *network) { n.poison("latency", "downstream", `{"latency": 4000}`) }},
	{name: "responses that stop half-way", arrives: true, begin: func(n *network) {
		n.poison("slicer", "downstream", `{"average_size": 64, "delay": 3600000000}`)
	}},
	{name: "responses reset", arrives: true, begin: func(n *network) { n.poison("reset_peer", "downstream", `{"timeout": 0}`) }},
	{name: "responses cut", arrives: true, begin: func(n *network) { n.poison("limit_data", "downstream", `{"bytes": 100}`) }},
}

type networkFault struct {
	name    string
	cold    bool // whether it is there when the functions start
	arrives bool // whether what is asked is done, though no response says so
	begin   func(*network)
}

// F24, I1, I3, I5, I9, I15, I16: under each fault each function responds before Lambda's deadline,
// and says that it has failed. Whether what it asked was done or not, it succeeds at its next
// invocation once the network is well, in the same process, and the effect is there once.
func TestFunctionsFailInTimeUnderFaultsOfTheNetworkAndGoOnAfterwards(t *testing.T) {
	t.Parallel()
	trials := openTrials(t, broken)
	sideBySide(trials, (*trial).checkFailures)
	sideBySide(trials, (*trial).checkArrivals)
	sideBySide(trials, func(r *trial) { r.network.mend() })
	sideBySide(trials, (*trial).checkSuccesses)
	sideBySide(trials, (*trial).checkEffects)
}

// F24, I16: a network that is slow fails nobody, and neither does one that has closed the
// connections that functions keep.
func TestFunctionsSucceedOverASlowNetwork(t *testing.T) {
	t.Parallel()
	trials := openTrials(t, slow)
	sideBySide(trials, (*trial).checkSuccesses)
	sideBySide(trials, (*trial).checkEffects)
}

// A network lies between functions and what they call. It is well until it is broken.
type network struct {
	t        *testing.T
	upstream string // what is behind it, host:port
	proxy    *toxiproxy.Proxy
}

func openNetwork(t *testing.T, endpoint string) *network {
	t.Helper()
	n := &network{t: t, upstream: strings.TrimPrefix(endpoint, "http://")}
	n.connect("127.0.0.1:0")
	t.Cleanup(func() { n.proxy.Stop() })
	return n
}

// endpoint is the URL at which the network is entered, which stays the same.
func (n *network) endpoint() string { return "http://" + n.proxy.Listen }

func (n *network) connect(listen string) {
	n.t.Helper()
	server := &toxiproxy.ApiServer{Metrics: toxiproxy.NewMetricsContainer(nil)}
	zero(&server.Logger) // which says nothing
	n.proxy = toxiproxy.NewProxy(server, "network", listen, n.upstream)
	if err := n.proxy.Start(); err != nil {
		n.t.Fatal(err)
	}
}

// zero gives a pointer something to point to, without a name for its type.
func zero[T any](p **T) { *p = new(T) }

// poison makes one of toxiproxy's toxics act on all connections, those that are open included; see
// https://github.com/Shopify/toxiproxy#toxics. The stream is "upstream" for requests, "downstream"
// for responses.
func (n *network) poison(toxic, stream, attributes string) {
	text := fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": %s}`, toxic, stream, attributes)
	if _, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		n.t.Errorf("%s: %v", text, err)
	}
}

// mend makes the network as it was, at the same address. Connections from before are gone.
func (n *network) mend() {
	n.proxy.Stop()
	n.connect(n.proxy.Listen)
}

// A trial is every function behind a network with a fault, which begins when the functions have
// connections open.
type trial struct {
	*testing.T
	fault      networkFault
	deployment *deployment
	store      *dynamostore.Store
	network    *network
	functions  map[string]*function
	startedAt  time.Time // of the sample order, once it is started
}

// takeOver lets the tally know the shard of the sample event, so that its next call counts.
func (h *deployment) takeOver() {
	h.t.Helper()
	var e events.DynamoDBTimeWindowEvent
	if err := json.Unmarshal(sampleEvent(h.t, "tally"), &e); err != nil {
		h.t.Fatal(err)
	}
	o := &order.Order{ID: sample, CreatedAt: time.Unix(0, 0)}
	e.Records = []events.DynamoDBEventRecord{awstest.NewRecord("1", order.Change{Old: o, New: o})} // adds nothing
	tallier := dynamostore.Tallier{Client: awstest.DynamoDB(h.t), Table: h.table, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if _, err := tallier.Handle(h.t.Context(), e); err != nil {
		h.t.Fatal(err)
	}
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
	h := openDeployment(t)
	r := &trial{T: t, fault: fault, deployment: h, network: openNetwork(t, h.endpoint), functions: map[string]*function{}}
	h.endpoint = r.network.endpoint()
	r.store = awstest.Must(dynamostore.New(dynamostore.Config{Client: awstest.DynamoDB(t), Table: h.table, Now: time.Now, Random: rand.Reader}))
	for _, id := range []order.ID{sample, unwanted} {
		draft := order.Draft{Key: id, Details: order.Details{UserID: "645", ItemIDs: []string{"890"}}}
		if _, _, err := r.store.Create(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
	}
	h.takeOver()
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

// attempted is the order that the create function is asked for, and unwanted the one that is there and
// to be cancelled.
var attempted, unwanted = order.KeyedID("", "another-order"), order.KeyedID("", "unwanted-order")

// event is what a function is invoked with, again and again: the create of an order with a key, the
// cancel of another, reads, the record of the sample order's creation, and the message that starts it.
func (r *trial) event(name string) []byte {
	event := sampleEvent(r.T, name)
	switch name {
	case "create":
		event = bytes.Replace(event, []byte("sample-order-1"), []byte("another-order"), 1)
	case "transition":
		event = bytes.ReplaceAll(event, []byte(sample), []byte(unwanted))
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

// invokeAll invokes every function, all at once, and checks that each responds before its deadline.
func (r *trial) invokeAll(check func(name string, got result)) {
	var wg sync.WaitGroup
	for name, f := range r.functions {
		event := r.event(name)
		await(f, f.asked)
		wg.Go(func() {
			began := time.Now()
			got := f.invoke(event)
			if took := time.Since(began); took > f.timeout {
				r.Errorf("%s: %s: responded after %s, beyond its time of %s", r.fault.name, name, took, f.timeout)
			}
			check(name, got)
		})
	}
	wg.Wait()
}

// failed is how functions that have not done what they were asked say so: the API with a problem,
// others with what is to come again.
var failed = map[string]string{
	"relay":     `{"batchItemFailures":[{"itemIdentifier":"111100000000000000000000001"}]}`,
	"processor": `{"batchItemFailures":[{"itemIdentifier":"2e1424d4-f796-459a-8184-9c92662be6d1"}]}`,
}

func (r *trial) checkFailures() {
	r.invokeAll(func(name string, got result) {
		switch want, listed := failed[name]; {
		case name == "tally", name == "check":
			if !got.failed {
				r.Errorf("%s: %s: returned %s, no error", r.fault.name, name, got.body)
			}
		case listed:
			if got.failed || string(got.body) != want {
				r.Errorf("%s: %s: returned %s, want %s", r.fault.name, name, got.body, want)
			}
		default:
			checkResponse(r.T, r.fault.name+": "+name, got.body, 503, []string{`"Retry-After":"1"`, `"code":"unavailable"`})
			r.checkTellsNothing(name, got.body)
		}
	})
}

// checkTellsNothing makes sure that a response to a client has nothing of the inside.
func (r *trial) checkTellsNothing(name string, response []byte) {
	for _, inside := range []string{r.network.proxy.Listen, r.deployment.table, "DynamoDB", "tcp", "EOF", "deadline", "attempt", "reset"} {
		if bytes.Contains(response, []byte(inside)) {
			r.Errorf("%s: %s: tells of %q: %s", r.fault.name, name, inside, response)
		}
	}
}

// checkArrivals makes sure that the fault was what it is called.
func (r *trial) checkArrivals() {
	_, err := r.store.Get(r.Context(), attempted)
	if created := err == nil; created != r.fault.arrives {
		r.Errorf("%s: the order is created: %t", r.fault.name, created)
	}
	r.startedAt = r.order(sample).StartedAt
	if started := !r.startedAt.IsZero(); started != r.fault.arrives {
		r.Errorf("%s: the order is started: %t", r.fault.name, started)
	}
	if o := r.order(unwanted); o.Status != order.Pending { // it is to be read first, which fails
		r.Errorf("%s: the order is %s", r.fault.name, o.Status)
	}
	if counted := r.deployment.tally().Total() == 1; counted != r.fault.arrives {
		r.Errorf("%s: the order is counted: %t", r.fault.name, counted)
	}
}

// succeeded is in the responses of functions that have done what they were asked.
var succeeded = map[string]string{
	"fallback": "total_orders", "check": `"overdue":0`,
	"create": string(attempted), "status": sample, "transition": "Cancelled", "ids": sample, "metrics": "total_orders",
	"relay": noFailures, "processor": noFailures, "tally": `{"state":{},"batchItemFailures":[]}`,
}

func (r *trial) checkSuccesses() {
	status := map[string]int{"create": 201, "status": 200, "transition": 200, "ids": 200, "metrics": 200, "fallback": 200}
	r.invokeAll(func(name string, got result) {
		if got.failed {
			r.Errorf("%s: %s: function error %s", r.fault.name, name, got.body)
		}
		want := []string{succeeded[name]}
		if name == "create" && r.fault.arrives {
			want = append(want, `"Idempotency-Replayed":"true"`)
		}
		checkResponse(r.T, r.fault.name+": "+name, got.body, status[name], want)
	})
}

// checkEffects makes sure that nothing is lost and nothing is there twice but for messages, which
// may be sent again and are harmless.
func (r *trial) checkEffects() {
	page, err := r.store.List(r.Context(), 10, "")
	slices.Sort(page.IDs)
	want := []order.ID{attempted, sample, unwanted}
	slices.Sort(want)
	if err != nil || !slices.Equal(page.IDs, want) {
		r.Errorf("%s: there are the orders %v, want %v (%v)", r.fault.name, page.IDs, want, err)
	}
	if o := r.order(sample); o.Status != order.Processing || !r.startedAt.IsZero() && !o.StartedAt.Equal(r.startedAt) {
		r.Errorf("%s: the order was started at %s and is %+v", r.fault.name, r.startedAt, o)
	}
	if o := r.order(unwanted); o.Status != order.Cancelled || o.Version() != 2 {
		r.Errorf("%s: the order is %s at version %d, want cancelled once", r.fault.name, o.Status, o.Version())
	}
	if tally := r.deployment.tally(); tally.ByStatus != (order.Counts{1}) {
		r.Errorf("%s: counted %v, want one order once", r.fault.name, tally.ByStatus)
	}
	queued := r.deployment.bodies(r.deployment.queueURL)
	for _, body := range queued {
		if body != startSample {
			r.Errorf("%s: queued %s", r.fault.name, body)
		}
	}
	if len(queued) == 0 || !r.fault.arrives && len(queued) != 1 {
		r.Errorf("%s: %d messages are queued", r.fault.name, len(queued))
	}
	if deadLettered := r.deployment.bodies(r.deployment.deadLetterURL); len(deadLettered) != 0 {
		r.Errorf("%s: deadLettered %q", r.fault.name, deadLettered)
	}
}

func (r *trial) order(id order.ID) order.Order {
	o, err := r.store.Get(r.Context(), id)
	if err != nil {
		r.Errorf("%s: %v", r.fault.name, err)
	}
	return o
}

// A forgetful network is one that can forget the connections that are open, as one does that has
// not seen anything on them for long: what is sent there vanishes, and neither side is told. New
// connections work.
type forgetfulNetwork struct {
	endpoint string
	forgot   atomic.Int64 // how often
	vanished atomic.Int64 // requests
}

// openedAfter is the context's key of how often the network had forgotten when the connection was
// opened.
type openedAfter struct{}

func openForgetfulNetwork(t *testing.T, endpoint string) *forgetfulNetwork {
	t.Helper()
	n := &forgetfulNetwork{}
	through := proxyTo(t, endpoint)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(openedAfter{}) == n.forgot.Load() {
			through.ServeHTTP(w, r)
			return
		}
		n.vanished.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		<-r.Context().Done()
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, openedAfter{}, n.forgot.Load())
	}
	server.Start()
	t.Cleanup(server.Close)
	n.endpoint = server.URL
	return n
}

// F24, I3, I16: Lambda freezes a function between two events, for minutes. A connection that the
// network has forgotten meanwhile costs an attempt, not the call.
func TestAFunctionSurvivesThatTheNetworkForgetsItsConnections(t *testing.T) {
	t.Parallel()
	h := openDeployment(t)
	network := openForgetfulNetwork(t, h.endpoint)
	h.endpoint = network.endpoint
	create, ids := h.start("create"), h.start("ids")
	event, list := sampleEvent(t, "create"), sampleEvent(t, "ids")
	await(create, create.asked)
	checkResponse(t, "ids", ids.invoke(list).body, 200, []string{"[]"}) // over sixteen connections

	network.forgot.Add(1)
	create.events <- event
	ids.events <- list
	checkResponse(t, "create", await(create, create.result).body, 201, []string{sample})
	checkResponse(t, "ids", await(ids, ids.result).body, 200, nil) // with the order or yet without it
	if network.vanished.Load() < 2 {
		t.Errorf("%d requests have vanished, not one of each function", network.vanished.Load())
	}
	checkResponse(t, "ids", ids.invoke(list).body, 200, []string{`[{"order_id":"` + sample + `"}]`})
}
