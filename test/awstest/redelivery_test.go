package awstest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
	"orders/test/awstest"
)

// A counted home has a stream of 60 changes that its tally function has not been
// given yet.
type countedHome struct {
	*testing.T
	awstest.Home
	stream  *awstest.Capture
	records []events.DynamoDBEventRecord
	want    order.Tally
}

func openCountedHome(t *testing.T) countedHome {
	t.Helper()
	const orders = 60
	h := countedHome{T: t, stream: &awstest.Capture{}}
	h.Home = awstest.OpenDeployment(t, func(s *awstest.Setup) { s.Between = h.stream.Between })
	for i := range orders {
		d := order.Draft{
			Details:     order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: order.Amount(i)},
			InitialStatus: order.Statuses[i%len(order.Statuses)],
		}
		d.SetFingerprint()
		o, _, err := h.Store.Create(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		h.want.Add(order.Change{New: &o}.Tally())
	}
	h.records = h.stream.Records(t, awstest.TallyFunction, orders)
	return h
}

// count hands some of the records to the tally function, and that must succeed.
func (h countedHome) count(from, to int) {
	h.Helper()
	answer, err := h.Invoke(h.Context(), awstest.TallyFunction, h.stream.Event(h, h.records[from:to]))
	if want := `{"state":{},"batchItemFailures":[]}`; err != nil || string(answer) != want {
		h.Fatalf("the tally answers %s, %v to records %d to %d", answer, err, from, to)
	}
}

// check holds the metrics to those of all orders.
func (h countedHome) check() {
	h.Helper()
	if got, err := h.Metrics.Metrics(h.Context()); err != nil || got != h.want {
		h.Errorf("metrics are %+v, %v; want %+v", got, err, h.want)
	}
}

// F17, I9: a batch comes again, whole or in parts.
func TestARedeliveredBatchIsCountedOnce(t *testing.T) {
	for _, test := range []struct {
		name    string
		batches [][2]int
	}{
		{"whole, again and again", [][2]int{{0, 60}, {0, 60}, {0, 60}}},
		{"in parts", [][2]int{{0, 60}, {0, 1}, {10, 20}, {59, 60}}},
		{"with more behind it", [][2]int{{0, 20}, {0, 40}, {20, 60}}},
		{"from the middle of the one before", [][2]int{{0, 30}, {15, 45}, {29, 46}, {44, 60}}},
		{"one by one, after a part", [][2]int{{0, 58}, {57, 58}, {58, 59}, {58, 60}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := openCountedHome(t)
			for _, batch := range test.batches {
				h.count(batch[0], batch[1])
			}
			h.check()
		})
	}
}

// F17, I9: Lambda goes on where a batch ended, or anywhere before.
func TestBatchesThatOverlapAtRandomAreCountedOnce(t *testing.T) {
	h := openCountedHome(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for reached := 0; reached < len(h.records); {
		from := random.IntN(reached + 1)
		to := from + 1 + random.IntN(len(h.records)-from)
		h.count(from, to)
		reached = max(reached, to)
	}
	h.check()
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}
