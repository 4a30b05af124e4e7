package main

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/order"
	"orders/shared/workload"
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

// quantities runs the command and returns the quantities of one order by their units.
func quantities(t *testing.T, args ...string) map[string]float64 {
	t.Helper()
	_, stdout, _ := invoke(t, append([]string{"cost", "--json"}, args...)...)
	quantities := map[string]float64{}
	for _, line := range readJSON[estimate](t, stdout).Lines {
		quantities[line.Unit] = line.Quantity / pricedOrders
	}
	return quantities
}

func TestEmptyBatchesCostMore(t *testing.T) {
	got := quantities(t, "--rate", "1e-9", "--status-reads", "0")
	for unit, want := range map[string]float64{
		"HTTP API requests": 1, "invocations": 1 + 3 + 3 + 2, "write request units": 4 + 3,
		"read request units": 0, "requests, standard queue": 6,
	} {
		if math.Abs(got[unit]-want) > 1e-6 {
			t.Errorf("%v %s an order, want %v", got[unit], unit, want)
		}
	}
}

func TestAMillionOrdersCostLessAtAHigherLoad(t *testing.T) {
	_, stdout, _ := invoke(t, "cost", "--json", "--rate", "10")
	e := readJSON[estimate](t, stdout)
	for n, at := range e.Range {
		if at.Rate == e.Rate && at.USD != e.TotalUSD {
			t.Errorf("at %v a second $%v in the range, $%v alone", at.Rate, at.USD, e.TotalUSD)
		}
		if n > 0 && (at.Rate <= e.Range[n-1].Rate || at.USD > e.Range[n-1].USD+0.01) {
			t.Errorf("$%v at %v a second, after $%v at %v", at.USD, at.Rate, e.Range[n-1].USD, e.Range[n-1].Rate)
		}
	}
	first, last := e.Range[0], e.Range[len(e.Range)-1]
	if e.Rate != 10 || first.USD < 2*last.USD || last.USD > 5.75 {
		t.Errorf("at %v a second, from $%v to $%v", e.Rate, first.USD, last.USD)
	}
}

func TestTheCostOfAnOpenAPIGrowsWithItsThrottle(t *testing.T) {
	usd := map[string][]float64{}
	for _, rate := range []string{"50", "1000"} {
		_, stdout, _ := invoke(t, "cost", "--abuse", "--json", "--throttle-rate", rate)
		for _, day := range readJSON[abuse](t, stdout).Kinds {
			usd[day.Kind] = append(usd[day.Kind], day.USD)
		}
	}
	if len(usd) != 4 {
		t.Errorf("kinds of requests: %v", usd)
	}
	for kind, days := range usd {
		if days[0] > 400 || days[1] < 13*days[0] {
			t.Errorf("%s: $%v at 50 a second, $%v at 1000", kind, days[0], days[1])
		}
	}
}

// A test of dynamostore counts the units of both pages.
func TestAPageOfMoreBucketsCostsMore(t *testing.T) {
	usd := map[string]float64{}
	for _, buckets := range []string{"1", "16", "17", "64"} {
		_, stdout, _ := invoke(t, "cost", "--abuse", "--json", "--index-buckets", buckets)
		for _, day := range readJSON[abuse](t, stdout).Kinds {
			if day.Kind == "list 1,000 ids" {
				usd[buckets] = day.USD
			}
		}
	}
	const perDay = 50 * secondsADay
	more := perDay * (workload.PageUnits(1000, 64) - workload.PageUnits(1000, 16)) * 0.125 / 1e6
	if usd["1"] != usd["16"] || usd["17"] != usd["64"] || math.Abs(usd["64"]-usd["16"]-more) > 1e-6 || more < 1 {
		t.Errorf("a day costs %v, want $%v more for 64 buckets", usd, more)
	}
}

// The largest order has the most texts of the most characters of the most bytes.
func TestAbuseCountsTheLargestOrder(t *testing.T) {
	h := openMeteredDeployment(t)
	text := strings.Repeat("\U0002070E", order.MaxTextLength)
	d := order.Draft{Details: order.Details{UserID: text, ClientReference: text, ItemIDs: slices.Repeat([]string{text}, order.MaxItems)}}
	d.SetFingerprint()
	h.create(1, d)
	created := h.calls.Take().Units["PutItem"]
	if want := (workload.Load{ItemBytes: largestItem}).CreateUnits() + 1; created != want {
		t.Errorf("the create takes %v units, cost says %v", created, want)
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

// usualDraft is the order of README's examples.
func usualDraft() order.Draft {
	d := order.Draft{Details: order.Details{
		ClientReference: "userTest23", UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78,
	}}
	d.SetFingerprint()
	return d
}

// uuidDraft has 18 item ids, and all of its texts are UUIDs.
func uuidDraft() order.Draft {
	const id = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	d := order.Draft{Details: order.Details{ClientReference: id, UserID: id, ItemIDs: slices.Repeat([]string{id}, 18), TotalAmount: 1650_78}}
	d.SetFingerprint()
	return d
}

// itemBytes is the size of a draft's item, as the help of cost says it.
func itemBytes(d order.Draft) int {
	n := 265 + len(d.UserID) + len(d.ClientReference)
	for _, id := range d.ItemIDs {
		n += 1 + len(id)
	}
	return n
}

// create makes n orders.
func (h *meteredDeployment) create(n int, d order.Draft) []order.Order {
	h.Helper()
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
func (h *meteredDeployment) live(n int, d order.Draft, b workload.Batches) awstest.Usage {
	h.Helper()
	h.create(n, d)
	h.relay(0, n, int(b.Relay))
	h.process(0, n, int(b.Process))
	h.relay(n, 2*n, int(b.Relay))
	h.process(n, 2*n, int(b.Process))
	h.relay(2*n, 3*n, int(b.Relay))
	h.tally(3*n, int(b.Tally))
	used := h.calls.Take()
	got, err := h.Metrics.Metrics(h.Context())
	if err != nil || got.ByStatus != (order.Counts{order.Completed: int64(n)}) || got.CompletedCount != int64(n) {
		h.Fatalf("after their lives %d orders are %+v, %v", n, got, err)
	}
	return used
}

func TestALifeAsksOfAWSWhatCostSays(t *testing.T) {
	for _, test := range []struct {
		name   string
		orders int
		draft  order.Draft
		batch  workload.Batches
	}{
		{"in batches of one", 3, usualDraft(), workload.Batches{Relay: 1, Tally: 1, Send: 1, Process: 1}},
		{"in full batches", 300, usualDraft(), workload.Batches{Relay: 100, Tally: 900, Send: 10, Process: 10}},
		{"with 18 UUIDs", 10, uuidDraft(), workload.Batches{Relay: 10, Tally: 30, Send: 10, Process: 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			used := openMeteredDeployment(t).live(test.orders, test.draft, test.batch)
			want := workload.Load{ItemBytes: itemBytes(test.draft)}.PerOrder(test.batch)
			perOrder := func(total float64) float64 { return total / float64(test.orders) }

			const takeover = 1 // the tally's first batch of a shard writes one item more
			units := used.Units["PutItem"] + used.Units["UpdateItem"] - takeover
			if got := perOrder(units); !equal(got, want.WriteUnits) {
				t.Errorf("%v write units an order, cost says %v: %v", got, want.WriteUnits, used)
			}
			// Lambda's poller receives a batch in one request and deletes it in one.
			sent := float64(used.Calls["SendMessageBatch"] + used.Calls["SendMessage"])
			polled := 2 * workload.Messages * float64(test.orders) / test.batch.Process
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
	usual, large := quantities(t, "--rate", "5000"), quantities(t, "--rate", "5000", "--item-bytes", strconv.Itoa(itemBytes(uuidDraft())))
	if usual["write request units"] > 4.1 || usual["requests, standard queue"] > 1.5 {
		t.Errorf("%v, not 4.1 write units and 1.5 requests of SQS", usual)
	}
	if got := math.Floor(large["write request units"]); got != 6 {
		t.Errorf("%v write units for 18 UUIDs, want 6", got)
	}
}

func TestAReadIsOneCallAndOneUnit(t *testing.T) {
	h := openMeteredDeployment(t)
	id := h.create(1, usualDraft())[0].ID
	h.calls.Take()
	if _, err := h.Store.Get(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := h.calls.Take(); got.Calls["GetItem"] != 1 || len(got.Calls) != 1 || got.Units["GetItem"] != quantities(t)["read request units"] {
		t.Errorf("used %+v", got)
	}
}
