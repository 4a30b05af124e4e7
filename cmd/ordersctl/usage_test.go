package main

import (
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/order"
	"orders/test/awstest"
	"orders/tools/eventsource"
)

// A meteredHome is a home on AWS whose calls are counted, and whose functions get
// what happens in batches of a chosen size.
type meteredHome struct {
	*testing.T
	awstest.Deployment
	calls   awstest.Calls
	capture awstest.Capture
}

func openMeteredHome(t *testing.T) *meteredHome {
	t.Helper()
	h := &meteredHome{T: t}
	h.Deployment = awstest.OpenDeployment(t, func(s *awstest.Setup) {
		s.DynamoDB = []func(*dynamodb.Options){dynamodb.WithAPIOptions(h.calls.Middleware)}
		s.SQS = []func(*sqs.Options){sqs.WithAPIOptions(h.calls.Middleware)}
		s.Between = h.capture.Between
	})
	return h
}

// create makes n orders.
func (h *meteredHome) create(n int) []order.Order {
	h.Helper()
	orders := make([]order.Order, n)
	var group sync.WaitGroup
	next := make(chan int)
	for range 8 {
		group.Go(func() {
			for i := range next {
				d := order.Draft{Details: order.Details{
					ClientReference: "userTest23", UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78,
				}}
				d.SetFingerprint()
				var err error
				if orders[i], _, err = h.Store.Create(h.Context(), d); err != nil {
					h.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	return orders
}

// relay hands the stream's records from one to another to the relay.
func (h *meteredHome) relay(from, to, batch int) {
	h.Helper()
	records := h.capture.Records(h, awstest.RelayFunction, to)[from:to]
	for records := range slices.Chunk(records, batch) {
		h.run(awstest.RelayFunction, h.capture.Event(h, records))
	}
}

func (h *meteredHome) tally(n, batch int) {
	h.Helper()
	for records := range slices.Chunk(h.capture.Records(h, awstest.TallyFunction, n)[:n], batch) {
		h.run(awstest.TallyFunction, h.capture.Event(h, records))
	}
}

// process hands the queue's messages from one to another to the processor.
func (h *meteredHome) process(from, to, batch int) {
	h.Helper()
	for messages := range slices.Chunk(h.capture.Messages(h, to)[from:to], batch) {
		h.run(awstest.ProcessorFunction, awstest.MessageEvent(h, messages))
	}
}

// run invokes a function, which is to be done with its whole batch.
func (h *meteredHome) run(function string, event []byte) {
	h.Helper()
	answer, err := h.Invoke(h.Context(), function, event)
	done := []string{`{"batchItemFailures":[]}`, `{"state":{},"batchItemFailures":[]}`}
	if err != nil || !slices.Contains(done, string(answer)) {
		h.Fatalf("%s answers %s, %v", function, answer, err)
	}
}

// live takes n orders through their lives and returns what that asked of AWS.
func (h *meteredHome) live(n int, w workload) awstest.Usage {
	h.Helper()
	h.create(n)
	h.relay(0, n, w.RelayBatch)
	h.process(0, n, w.QueueBatch)
	h.relay(n, 2*n, w.RelayBatch)
	h.process(n, 2*n, w.QueueBatch)
	h.relay(2*n, 3*n, w.RelayBatch)
	h.tally(3*n, w.TallyBatch)
	used := h.calls.Take()
	got, err := h.Metrics.Metrics(h.Context())
	if err != nil || got.ByStatus != [3]int64{order.Completed: int64(n)} || got.CompletedCount != int64(n) {
		h.Fatalf("after their lives %d orders are %+v, %v", n, got, err)
	}
	return used
}

func TestALifeAsksOfAWSWhatCostSays(t *testing.T) {
	for _, test := range []struct {
		name   string
		orders int
		load   workload
	}{
		{"in batches of one", 3, workload{RelayBatch: 1, TallyBatch: 1, QueueBatch: 1}},
		{"in full batches", 300, workload{RelayBatch: eventsource.RelayBatch, TallyBatch: 900, QueueBatch: eventsource.ProcessorBatch}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			used := openMeteredHome(t).live(test.orders, test.load)
			want := test.load.perOrder()
			perOrder := func(total float64) float64 { return total / float64(test.orders) }

			// AWS takes two units for each item that a transaction writes, one to
			// prepare and one to commit; the engine says one. See
			// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html.
			const transaction = 2
			units := used.Units["PutItem"] + used.Units["UpdateItem"] + transaction*used.Units["TransactWriteItems"]
			if got := perOrder(units); !equal(got, want.WriteUnits) {
				t.Errorf("%v write units an order, cost says %v: %v", got, want.WriteUnits, used)
			}
			// Lambda's poller receives a batch in one request and deletes it in one.
			sent := float64(used.Calls["SendMessageBatch"] + used.Calls["SendMessage"])
			polled := 2 * messages * float64(test.orders) / float64(test.load.QueueBatch)
			if got := perOrder(sent + polled); !equal(got, want.QueueRequests) {
				t.Errorf("%v requests of SQS an order, cost says %v: %v", got, want.QueueRequests, used)
			}
			for operation := range used.Calls {
				if !slices.Contains([]string{"PutItem", "UpdateItem", "TransactWriteItems", "SendMessageBatch"}, operation) {
					t.Errorf("a life calls %s: %v", operation, used)
				}
			}
		})
	}
}

func equal(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestALifeInFullBatchesKeepsToItsBudget(t *testing.T) {
	one := workload{RelayBatch: eventsource.RelayBatch, TallyBatch: eventsource.TallyBatch, QueueBatch: eventsource.ProcessorBatch}.perOrder()
	if one.WriteUnits > 4.1 || one.QueueRequests > 1.5 {
		t.Errorf("%v write units and %v requests of SQS an order, not 4.1 and 1.5", one.WriteUnits, one.QueueRequests)
	}
}

func TestACreateIsOneCallAndTwoUnits(t *testing.T) {
	h := openMeteredHome(t)
	h.create(1)
	h.used("PutItem", 1, createUnits)
}

func TestAReadIsOneCallAndOneUnit(t *testing.T) {
	h := openMeteredHome(t)
	id := h.create(1)[0].ID
	h.calls.Take()
	if _, err := h.Store.Get(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	h.used("GetItem", 1, readUnits)
}

func TestTheMetricsAreOneQueryOfTheTally(t *testing.T) {
	h := openMeteredHome(t)
	h.create(50)
	h.tally(50, 10)
	h.calls.Take()
	if got, err := h.Metrics.Metrics(t.Context()); err != nil || got.Total() != 50 {
		t.Fatalf("metrics are %+v, %v", got, err)
	}
	h.used("Query", 1, readUnits)
}

// An index cannot be read strongly consistently, so a query of up to 4 KB is half
// a unit. An empty one is, too, on AWS; the engine says it is free.
func TestAPageIsOneQueryOfEachBucket(t *testing.T) {
	const buckets = 16
	h := openMeteredHome(t)
	h.create(40)
	h.calls.Take()
	page, err := h.Store.List(t.Context(), 1000, "")
	if err != nil || len(page.IDs) != 40 {
		t.Fatalf("the page has %d ids, %v", len(page.IDs), err)
	}
	if used := h.calls.Take(); len(used.Calls) != 1 || used.Calls["Query"] != buckets || used.Units["Query"] > buckets*0.5 {
		t.Errorf("used %+v, not a query of each bucket", used)
	}
}

// used fails the test unless that is all that was asked of AWS.
func (h *meteredHome) used(operation string, calls int, units float64) {
	h.Helper()
	got := h.calls.Take()
	if len(got.Calls) != 1 || got.Calls[operation] != calls || !equal(got.Units[operation], units) {
		h.Errorf("used %+v, not %d %s of %v units", got, calls, operation, units)
	}
}
