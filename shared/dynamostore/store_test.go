package dynamostore_test

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

const processing = 50 * time.Second

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A home is a store in a table of its own, at noon unless the test sets the clock.
type home struct {
	*dynamostore.Store
	client *dynamodb.Client
	table  string
	now    time.Time
	calls  awstest.Calls
	faults awstest.Faults
}

func open(t *testing.T) *home {
	t.Helper()
	h := &home{table: awstest.Table(t), now: noon}
	// Calls are counted outside the faults, so that a lost one counts, too.
	h.client = awstest.DynamoDB(t, dynamodb.WithAPIOptions(h.faults.Middleware), dynamodb.WithAPIOptions(h.calls.Middleware), soon)
	h.Store = awstest.Must(dynamostore.New(dynamostore.Config{
		Client: h.client, Table: h.table, ProcessingTime: processing,
		Now: func() time.Time { return h.now }, Random: bufio.NewReader(rand.Reader),
	}))
	t.Cleanup(func() {
		if unplayed := h.faults.Unplayed(); len(unplayed) > 0 {
			t.Errorf("faults that did not happen: %v", unplayed)
		}
	})
	return h
}

// soon lets the SDK try again without a wait.
func soon(o *dynamodb.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
}

func draft(change ...func(*order.Draft)) order.Draft {
	d := order.Draft{Details: order.Details{
		ClientReference: "userTest23", UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78,
	}}
	for _, c := range change {
		c(&d)
	}
	d.SetFingerprint()
	return d
}

func keyed(d *order.Draft) { d.Key = order.KeyedID("", "k") }

func takenOver(s order.Status) func(*order.Draft) {
	return func(d *order.Draft) { d.InitialStatus = s }
}

// create stores a new order.
func (h *home) create(t *testing.T, change ...func(*order.Draft)) order.Order {
	t.Helper()
	o, replayed, err := h.Create(t.Context(), draft(change...))
	if err != nil || replayed {
		t.Fatalf("Create: replayed %v, error %v", replayed, err)
	}
	return o
}

func (h *home) get(t *testing.T, id order.ID) order.Order {
	t.Helper()
	o, err := h.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%s): %v", id, err)
	}
	return o
}

// count is how many orders the list has.
func (h *home) count(t *testing.T) int {
	t.Helper()
	page, err := h.List(t.Context(), 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	return len(page.IDs)
}

func (h *home) metrics(t *testing.T) order.Tally {
	t.Helper()
	tally, err := h.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

// used holds what was asked of DynamoDB since it was last asked to a number of calls of
// one operation, and to capacity units.
func (h *home) used(t *testing.T, operation string, calls int, units float64) {
	t.Helper()
	want := map[string]int{operation: calls}
	if calls == 0 {
		want = nil
	}
	used := h.calls.Take()
	if !maps.Equal(used.Calls, want) || used.Units[operation] != units {
		t.Errorf("used %+v, want %d calls of %s and %v units", used, calls, operation, units)
	}
}

func TestAllThatIsWrongWithAConfigurationIsToldAtOnce(t *testing.T) {
	client := awstest.DynamoDB(t)
	now, random := time.Now, rand.Reader
	for name, tt := range map[string]struct {
		cfg  dynamostore.Config
		want []string
	}{
		"nothing":         {dynamostore.Config{Client: client, Table: "orders", ProcessingTime: processing, Now: now, Random: random}, nil},
		"to create":       {dynamostore.Config{Client: client, Table: "orders", Now: now, Random: random}, nil},
		"to read":         {dynamostore.Config{Client: client, Table: "orders"}, nil},
		"all is missing":  {dynamostore.Config{}, []string{"Client is missing", "Table is missing"}},
		"a negative time": {dynamostore.Config{Client: client, Table: "orders", ProcessingTime: -1}, []string{"ProcessingTime is negative"}},
		"no randomness": {dynamostore.Config{Client: client, Now: now},
			[]string{"Table is missing", "Now and Random must be given together"}},
		"no clock": {dynamostore.Config{Client: client, Table: "orders", ProcessingTime: -1, Random: random},
			[]string{"ProcessingTime is negative", "Now and Random must be given together"}},
	} {
		t.Run(name, func(t *testing.T) {
			var want []error
			for _, problem := range tt.want {
				want = append(want, errors.New("dynamostore: "+problem))
			}
			store, err := dynamostore.New(tt.cfg)
			if got, want := fmt.Sprint(err), fmt.Sprint(errors.Join(want...)); got != want || (store == nil) == (tt.want == nil) {
				t.Errorf("error %s, want %s", got, want)
			}
		})
	}
}

// I7: a store that was not told how long processing takes would complete at once.
func TestAStoreWithoutAProcessingTimeAdvancesNothing(t *testing.T) {
	h := open(t)
	begun, created := h.create(t, takenOver(order.Processing)), h.create(t)
	s := awstest.Must(dynamostore.New(dynamostore.Config{Client: h.client, Table: h.table}))
	h.calls.Take()
	for _, err := range []error{
		s.Advance(t.Context(), begun.ID, order.Completed, noon.Add(time.Hour)),
		s.Advance(t.Context(), created.ID, order.Processing, noon.Add(time.Hour)),
	} {
		if err == nil || errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrAlreadyDone) || errors.Is(err, order.ErrNotFound) {
			t.Errorf("error %v", err)
		}
	}
	h.used(t, "UpdateItem", 0, 0)
	if a, b := h.get(t, begun.ID).Status, h.get(t, created.ID).Status; a != order.Processing || b != order.Pending {
		t.Errorf("the orders are %s and %s", a, b)
	}
}

func TestAStoreWithoutAClockCreatesNothing(t *testing.T) {
	h := open(t)
	s := awstest.Must(dynamostore.New(dynamostore.Config{Client: h.client, Table: h.table, ProcessingTime: processing}))
	for _, change := range []func(*order.Draft){keyed, takenOver(order.Pending)} {
		if _, _, err := s.Create(t.Context(), draft(change)); err == nil || errors.Is(err, order.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	}
	if n := h.count(t); n != 0 {
		t.Errorf("there are %d orders", n)
	}
}

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: s} }
func number(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} }

// item reads an item as it is in the table.
func (h *home) item(t *testing.T, pk, sk string) item {
	t.Helper()
	found, err := h.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &h.table, Key: item{"pk": text(pk), "sk": text(sk)}})
	if err != nil {
		t.Fatal(err)
	}
	return found.Item
}

// put writes items into the table as they are.
func (h *home) put(t *testing.T, items ...item) {
	t.Helper()
	for batch := range slices.Chunk(items, 25) {
		var requests []types.WriteRequest
		for _, it := range batch {
			requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
		}
		_, err := h.client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{h.table: requests},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// with is a copy of an item in which some attributes are others; nil removes one.
func with(it item, attributes item) item {
	it = maps.Clone(it)
	maps.Copy(it, attributes)
	maps.DeleteFunc(it, func(_ string, v types.AttributeValue) bool { return v == nil })
	return it
}

// concurrently runs f(0) to f(n-1) at the same time and waits for all.
func concurrently(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// id is one of that number, in a form that sorts like the number.
func id(n int) order.ID { return order.ID(fmt.Sprintf("ORD%026d", n)) }
