package awstest_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
	"orders/test/chaos"
)

// F1 to F4, F6 to F14, F16 to F18, F20, I1 to I14, I16, I17: random histories on AWS.
func TestChaos(t *testing.T) {
	engines := openEngines(t)
	chaos.Play(t, "aws", func(t chaos.T, f order.Fulfilment) chaos.Deployment { return openChaosDeployment(t, engines, f) })
}

// A chaosDeployment is the project's own store and functions on real engines. A step of a history
// moves its clock, or invokes a function as Lambda's event source mappings do. Between steps
// nothing happens.
type chaosDeployment struct {
	chaos.T
	*reads
	network   *network
	functions awstest.Functions // but for the clock and the timeout of an invocation
	stream    *stream
	queue     *queue
	dead      *deadLetters
	relay     *reader
	tally     *reader

	random *rand.ChaCha8 // of ids, so that a history that is played again has the same
	now    time.Time
	met    map[string]int
}

func openChaosDeployment(t chaos.T, e *engines, f order.Fulfilment) *chaosDeployment {
	e.next()
	n := &network{touched: map[string]bool{}}
	table := awstest.TableAt(t, e.dynamoDB, e.template)
	url, deadLetterURL := awstest.QueuesAt(t, e.sqs, e.template)
	h := &chaosDeployment{
		T: t, network: n, met: map[string]int{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		functions: awstest.Functions{
			DynamoDB: e.dynamoDBThrough(n), SQS: e.sqsThrough(n), Table: table, QueueURL: url, DeadLetterURL: deadLetterURL,
			Fulfilment: f, Logger: slog.New(slog.DiscardHandler),
		},
		stream: openStream(t, e, table, n),
		queue:  &queue{client: e.sqs, url: url, network: n},
		dead:   &deadLetters{client: e.sqs, url: deadLetterURL, network: n},
		random: rand.NewChaCha8([32]byte{}),
	}
	n.due = h.queue.due
	h.reads = &reads{store: awstest.Must(dynamostore.New(dynamostore.Config{Client: e.dynamoDB, Table: table})), network: n}
	h.relay, h.tally = newRelay(h), newTally(h)
	return h
}

// Now implements chaos.Deployment.
func (h *chaosDeployment) Now() time.Time { return h.now }

// Tick implements chaos.Deployment. The clock of SQS never steps back.
func (h *chaosDeployment) Tick(d time.Duration) {
	h.now = h.now.Add(d)
	h.queue.elapsed += max(d, 0)
}

// Fulfilment implements chaos.Deployment.
func (h *chaosDeployment) Fulfilment() order.Fulfilment { return h.functions.Fulfilment }

// Met implements chaos.Deployment.
func (h *chaosDeployment) Met() map[string]int { return h.met }

// Counted implements chaos.Deployment: the tally has acknowledged all records of the stream.
func (h *chaosDeployment) Counted() bool { return h.tally.done == len(h.stream.read(h)) }

// Waits implements chaos.Deployment: the relay has not read all of the order's changes, or the
// queue has a message for it.
func (h *chaosDeployment) Waits(id order.ID) bool {
	return concerns(h.stream.read(h)[h.relay.done:], id) || h.queue.holds(h, id)
}

// DeadLetters implements chaos.Deployment.
func (h *chaosDeployment) DeadLetters() (bodies [][]byte) {
	for _, m := range h.dead.read(h) {
		bodies = append(bodies, []byte(*m.Body))
	}
	return bodies
}

// Workers implements chaos.Deployment.
func (h *chaosDeployment) Workers() []string {
	return []string{"relay", "processor", "tally", "redrive"}
}

// Work implements chaos.Deployment.
func (h *chaosDeployment) Work(worker, fault string) {
	switch worker {
	case "relay":
		h.relay.work(fault)
	case "tally":
		h.tally.work(fault)
	case "processor":
		h.process(fault)
	default:
		h.redrive(fault)
	}
}

// under carries out a step under a fault, and checks what the functions did. do returns the number
// of drafts, records or messages that it passed to them.
func (h *chaosDeployment) under(doing, fault string, operations []string, do func(disturbance) (handed int)) {
	h.Helper()
	d := disturbances[strings.TrimPrefix(fault, onQueue)]
	h.network.begin(d, operations)
	handed := do(d)
	met := h.network.end(handed)
	if fault != "" && (met || len(d.attempts) == 0 && handed > 0) {
		h.met[doing+": "+fault]++
	}
	if wrong := h.network.wrong; wrong != "" {
		h.Fatalf("%s: %s", doing, wrong)
	}
}

// invoke runs a function as Lambda does, under a disturbance of its clock and its time.
func (h *chaosDeployment) invoke(function string, event []byte, d disturbance) ([]byte, error) {
	functions := h.functions
	functions.Now = func() time.Time { return h.now.Add(d.skew) }
	functions.Timeout = d.timeout(function)
	response, err := awstest.Mortal(functions.Invoke)(context.WithoutCancel(h.Context()), function, event)
	if err == nil && !explicitFailures.Match(response) {
		h.network.report("%s returns %s, without a list of failures", function, response)
	}
	return response, err
}

// Create implements chaos.Deployment.
func (h *chaosDeployment) Create(drafts []order.Draft, fault string) []chaos.Created {
	responses := make([]chaos.Created, len(drafts))
	h.under(chaos.Create, fault, []string{"PutItem"}, func(d disturbance) int {
		store := h.faultyStore()
		var all sync.WaitGroup
		for i, draft := range drafts {
			all.Go(func() { responses[i] = h.create(store, draft, d) })
		}
		all.Wait()
		return len(drafts)
	})
	return responses
}

// faultyStore is the store of the functions that serve requests.
func (h *chaosDeployment) faultyStore() *dynamostore.Store {
	return awstest.Must(dynamostore.New(dynamostore.Config{
		Client: h.functions.DynamoDB, Table: h.functions.Table, Fulfilment: h.Fulfilment(), Now: h.Now, Random: h.random,
	}))
}

// create is one request.
func (h *chaosDeployment) create(store *dynamostore.Store, draft order.Draft, d disturbance) (c chaos.Created) {
	if err := h.request(d, func(ctx context.Context) { c.Order, c.Replayed, c.Err = store.Create(ctx, draft) }); err != nil {
		return chaos.Created{Err: err}
	}
	return c
}

// request runs a function that serves one request. The client of a killed function gets no response,
// and does not know whether its request was served.
func (h *chaosDeployment) request(d disturbance, serve func(context.Context)) error {
	ctx := context.WithoutCancel(h.Context())
	if d.hangs {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
	}
	_, killed := awstest.Mortal(func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		serve(ctx)
		return nil, nil
	})(ctx, "request", nil)
	if killed != nil {
		return fmt.Errorf("%w: %w", order.ErrUnavailable, killed)
	}
	return nil
}

// Call implements chaos.Deployment. With race, the processor handles what is due at the same time.
func (h *chaosDeployment) Call(requests []chaos.CallRequest, race bool, fault string) []chaos.Called {
	responses := make([]chaos.Called, len(requests))
	var due, done []held
	if race {
		due = h.due()
	}
	h.under(chaos.Calling, fault, tableCalls, func(d disturbance) int {
		store := h.faultyStore()
		var all sync.WaitGroup
		for i, r := range requests {
			all.Go(func() { responses[i] = h.call(store, r, d) })
		}
		all.Go(func() { done = h.hand(due, d) })
		all.Wait()
		return len(requests) + len(due)
	})
	h.queue.remove(h, done)
	return responses
}

func (h *chaosDeployment) call(store *dynamostore.Store, r chaos.CallRequest, d disturbance) (c chaos.Called) {
	err := h.request(d, func(ctx context.Context) { c.Order, c.Err = store.Transition(ctx, r.ID, r.TransitionRequest) })
	if err != nil {
		return chaos.Called{Err: err}
	}
	return c
}

// The type reads uses the project's own store, without faults. A history reads everything after every
// step, so it caches what no write has touched.
type reads struct {
	store   *dynamostore.Store
	network *network
	orders  map[order.ID]readOrder
	pages   map[string]order.Page
	tally   *order.Tally
}

type readOrder struct {
	order.Order
	err error
}

// Get implements chaos.Deployment.
func (r *reads) Get(ctx context.Context, id order.ID) (order.Order, error) {
	known, there := r.orders[id]
	if !r.network.fresh(dynamostore.OrderPrefix+string(id)) || !there {
		known.Order, known.err = r.store.Get(ctx, id)
		if r.orders == nil {
			r.orders = map[order.ID]readOrder{}
		}
		r.orders[id] = known
	}
	return known.Order, known.err
}

// List implements chaos.Deployment.
func (r *reads) List(ctx context.Context, limit int, after string) (page order.Page, err error) {
	if !r.network.fresh("list") || r.pages == nil {
		r.pages = map[string]order.Page{}
	}
	key := fmt.Sprint(limit, after)
	page, there := r.pages[key]
	if !there {
		if page, err = r.store.List(ctx, limit, after); err == nil {
			r.pages[key] = page
		}
	}
	return page, err
}

// Metrics implements chaos.Deployment.
func (r *reads) Metrics(ctx context.Context) (order.Tally, error) {
	if !r.network.fresh("TALLY") || r.tally == nil {
		tally, err := r.store.Metrics(ctx)
		if err != nil {
			return tally, err
		}
		r.tally = &tally
	}
	return *r.tally, nil
}

// A disturbance is a fault of the calls that a function makes, or of its clock.
type disturbance struct {
	// attempts are the faults of the attempts of a call: of the first call, the third and so
	// on, so that some of the concurrent calls succeed.
	attempts []awstest.Fault
	// fails is set when the function need not succeed.
	fails bool
	// skew is by how much the function's clock is ahead.
	skew time.Duration
	// hangs is set when calls get no response before the function's time is over.
	hangs bool
}

var disturbances = map[string]disturbance{
	"never arrives":                {attempts: times(1, awstest.NeverArrives)},
	"never arrives, any attempt":   {attempts: times(3, awstest.NeverArrives), fails: true},
	"response lost":                {attempts: times(1, awstest.ResponseLost)},
	"response lost, every attempt": {attempts: times(3, awstest.ResponseLost), fails: true},
	"made twice":                   {attempts: times(1, awstest.Twice)},
	"throttled":                    {attempts: times(2, awstest.Throttled)},
	"throttled, every attempt":     {attempts: times(3, awstest.Throttled), fails: true},
	"service down":                 {attempts: times(3, awstest.InternalError), fails: true},
	"credentials expired":          {attempts: times(1, awstest.ExpiredCredentials), fails: true},
	"killed before a call":         {attempts: times(1, awstest.KilledBefore), fails: true},
	"killed after a call":          {attempts: times(1, awstest.KilledAfter), fails: true},
	"out of time":                  {attempts: times(3, awstest.Slow(time.Hour)), fails: true, hangs: true},
	"partly failed":                {attempts: times(1, awstest.PartlyFailed(false, 0, 2))},
	"partly failed, as its fault":  {attempts: times(1, awstest.PartlyFailed(true, 1))},
	"clock 10 minutes ahead":       {skew: 10 * time.Minute},
	"clock 10 minutes behind":      {skew: -10 * time.Minute},
}

func times(n int, fault awstest.Fault) []awstest.Fault {
	return slices.Repeat([]awstest.Fault{fault}, n)
}

// ofCalls are the disturbances of any call, ofClocks those of a function's clock.
var (
	ofCalls = []string{
		"never arrives", "never arrives, any attempt", "response lost", "response lost, every attempt", "made twice",
		"throttled, every attempt", "credentials expired",
		"killed before a call", "killed after a call", "out of time",
	}
	ofClocks = []string{"clock 10 minutes ahead", "clock 10 minutes behind"}
)

// timeout is how long a function may run. A function whose calls hang stops a second before, to
// respond; the tally has no response then.
func (d disturbance) timeout(function string) time.Duration {
	const moment = 20 * time.Millisecond
	switch {
	case !d.hangs:
		return time.Minute
	case function == awstest.TallyFunction:
		return moment
	default:
		return time.Second + moment
	}
}

// explicitFailures matches a list of failures. To Lambda, null instead of a list means success.
var explicitFailures = regexp.MustCompile(`"batchItemFailures":\[`)

// Faults implements chaos.Deployment.
func (h *chaosDeployment) Faults(doing string) []string {
	switch doing {
	case chaos.Create, chaos.Calling:
		return append([]string{"throttled", "service down"}, ofCalls...)
	case chaos.Deliver:
		return slices.Concat(ofDelivery, ofClocks, []string{"delivered twice concurrently"})
	case "processor":
		return slices.Concat(ofCalls, ofClocks, names(delivered), []string{early})
	case "relay":
		return slices.Concat(ofCalls, ofClocks, names(read), []string{"partly failed", "partly failed, as its fault"})
	case "tally":
		return slices.Concat(ofCalls, names(read))
	default:
		return ofRedrive
	}
}

func names[V any](table map[string]V) []string { return slices.Sorted(maps.Keys(table)) }
