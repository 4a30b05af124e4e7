package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/order"
	"orders/test/awstest"
)

func TestAMillionOrdersCostNoMoreThanSixDollars(t *testing.T) {
	code, stdout, stderr := invoke(t, "cost", "--json")
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	got := readJSON[estimate](t, stdout)
	sum := 0.0
	for _, line := range got.Lines {
		sum += line.USD
		if charged := line.Quantity / line.Per * line.PriceUSD; math.Abs(charged-line.USD) > 1e-9 || line.USD <= 0 {
			t.Errorf("%+v is charged %v", line, charged)
		}
		if !strings.HasPrefix(line.Page, "https://aws.amazon.com/") {
			t.Errorf("%s: its price has no page", line.Service)
		}
	}
	if got.Orders != 1_000_000 || got.TotalUSD > 6 || math.Abs(sum-got.TotalUSD) > 1e-9 {
		t.Errorf("%d orders cost $%v, the lines are $%v", got.Orders, got.TotalUSD, sum)
	}
	if got.Region != "us-east-1" || got.PricesAsOf == "" || len(got.LeftOut) == 0 {
		t.Errorf("the estimate does not say what it is of: %+v", got)
	}
}

func TestTheEstimateAsAPersonReadsIt(t *testing.T) {
	code, stdout, _ := invoke(t, "cost")
	want := `1000000 orders in us-east-1, list prices as known in 2026-11:

API Gateway      2000000  HTTP API requests         $1.000 a million    $2.00
Lambda           2233000  invocations               $0.200 a million    $0.45
Lambda           14660    GB-seconds on arm64       $0.0000133334 each  $0.20
DynamoDB         4003000  write request units       $0.625 a million    $2.50
DynamoDB         1000000  read request units        $0.125 a million    $0.12
SQS              600000   requests, standard queue  $0.400 a million    $0.24
CloudWatch Logs  0.50     GB taken in               $0.5 each           $0.25
total                                                                   $5.76

Not counted:
  storage of the table,`
	if code != exitOK || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit code %d\n%s\nwant\n%s", code, stdout, want)
	}
}

func TestEmptyBatchesCostMore(t *testing.T) {
	_, stdout, _ := invoke(t, "cost", "--json", "--relay-batch", "1", "--tally-batch", "1", "--queue-batch", "1", "--status-reads", "0")
	quantities := map[string]float64{}
	for _, line := range readJSON[estimate](t, stdout).Lines {
		quantities[line.Unit] = line.Quantity / pricedOrders
	}
	for unit, want := range map[string]float64{
		"HTTP API requests": 1, "invocations": 1 + 3 + 3 + 2, "write request units": 7,
		"read request units": 0, "requests, standard queue": 6,
	} {
		if got := quantities[unit]; math.Abs(got-want) > 1e-9 {
			t.Errorf("%v %s an order, want %v", got, unit, want)
		}
	}
}

// A meteredDeployment is a deployment on AWS whose calls are counted, and whose functions get what
// happens in batches of a chosen size.
type meteredDeployment struct {
	*testing.T
	awstest.Deployment
	calls   awstest.Calls
	capture awstest.Capture
}

func openMeteredDeployment(t *testing.T) *meteredDeployment {
	t.Helper()
	h := &meteredDeployment{T: t}
	h.Deployment = awstest.OpenDeployment(t, func(s *awstest.Setup) {
		s.DynamoDB = []func(*dynamodb.Options){dynamodb.WithAPIOptions(h.calls.Middleware)}
		s.SQS = []func(*sqs.Options){sqs.WithAPIOptions(h.calls.Middleware)}
		s.Between = h.capture.Between
	})
	return h
}

// create makes n orders.
func (h *meteredDeployment) create(n int) []order.Order {
	h.Helper()
	d := order.Draft{Details: order.Details{
		ClientReference: "userTest23", UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78,
	}}
	d.SetFingerprint()
	orders := make([]order.Order, n)
	for i := range orders {
		var err error
		if orders[i], _, err = h.Store.Create(h.Context(), d); err != nil {
			h.Fatal(err)
		}
	}
	return orders
}

// relay hands the stream's records from one to another to the relay.
func (h *meteredDeployment) relay(from, to, batch int) {
	h.Helper()
	records := h.capture.Records(h, awstest.RelayFunction, to)[from:to]
	for records := range slices.Chunk(records, batch) {
		h.run(awstest.RelayFunction, h.capture.Event(h, records))
	}
}

func (h *meteredDeployment) tally(n, batch int) {
	h.Helper()
	for records := range slices.Chunk(h.capture.Records(h, awstest.TallyFunction, n)[:n], batch) {
		h.run(awstest.TallyFunction, h.capture.Event(h, records))
	}
}

// process hands the queue's messages from one to another to the processor.
func (h *meteredDeployment) process(from, to, batch int) {
	h.Helper()
	for messages := range slices.Chunk(h.capture.Messages(h, to)[from:to], batch) {
		h.run(awstest.ProcessorFunction, awstest.MessageEvent(h, messages))
	}
}

// run invokes a function, which is to be done with its whole batch.
func (h *meteredDeployment) run(function string, event []byte) {
	h.Helper()
	response, err := h.Invoke(h.Context(), function, event)
	done := []string{`{"batchItemFailures":[]}`, `{"state":{},"batchItemFailures":[]}`}
	if err != nil || !slices.Contains(done, string(response)) {
		h.Fatalf("%s returns %s, %v", function, response, err)
	}
}

// live takes n orders through their lives and returns what that asked of AWS.
func (h *meteredDeployment) live(n int, w workload) awstest.Usage {
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
		{"in full batches", 300, workload{RelayBatch: 100, TallyBatch: 900, QueueBatch: 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			used := openMeteredDeployment(t).live(test.orders, test.load)
			want := test.load.perOrder()
			perOrder := func(total float64) float64 { return total / float64(test.orders) }

			const takeover = 1 // the tally's first batch of a shard writes one item more
			units := used.Units["PutItem"] + used.Units["UpdateItem"] - takeover
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
				if !slices.Contains([]string{"PutItem", "UpdateItem", "SendMessageBatch"}, operation) {
					t.Errorf("a life calls %s: %v", operation, used)
				}
			}
		})
	}
}

func equal(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestALifeInFullBatchesKeepsToItsBudget(t *testing.T) {
	one := workload{RelayBatch: 100, TallyBatch: 1000, QueueBatch: 10}.perOrder()
	if one.WriteUnits > 4.1 || one.QueueRequests > 1.5 {
		t.Errorf("%v write units and %v requests of SQS an order, not 4.1 and 1.5", one.WriteUnits, one.QueueRequests)
	}
}

func TestAReadIsOneCallAndOneUnit(t *testing.T) {
	h := openMeteredDeployment(t)
	id := h.create(1)[0].ID
	h.calls.Take()
	if _, err := h.Store.Get(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := h.calls.Take(); got.Calls["GetItem"] != 1 || len(got.Calls) != 1 || got.Units["GetItem"] != readUnits {
		t.Errorf("used %+v, cost says %v", got, readUnits)
	}
}
