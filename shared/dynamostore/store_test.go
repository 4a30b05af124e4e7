package dynamostore_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

const processing = 50 * time.Second

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A testStore is a Store with a table of its own, at noon unless the test sets the clock.
type testStore struct {
	*dynamostore.Store
	client *dynamodb.Client
	table  string
	now    time.Time
	calls  awstest.Calls
	faults awstest.Faults
}

func open(t *testing.T) *testStore {
	t.Helper()
	h := &testStore{table: awstest.Table(t), now: noon}
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

// soon lets the SDK retry without a wait.
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

func importedAs(s order.Status) func(*order.Draft) {
	return func(d *order.Draft) { d.InitialStatus = s }
}

// create stores a new order.
func (h *testStore) create(t *testing.T, change ...func(*order.Draft)) order.Order {
	t.Helper()
	o, replayed, err := h.Create(t.Context(), draft(change...))
	if err != nil || replayed {
		t.Fatalf("Create: replayed %v, error %v", replayed, err)
	}
	return o
}

func (h *testStore) get(t *testing.T, id order.ID) order.Order {
	t.Helper()
	o, err := h.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%s): %v", id, err)
	}
	return o
}

// count is how many orders the list has.
func (h *testStore) count(t *testing.T) int {
	t.Helper()
	page, err := h.List(t.Context(), 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	return len(page.IDs)
}

func (h *testStore) metrics(t *testing.T) order.Tally {
	t.Helper()
	tally, err := h.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

// used fails the test unless the calls since the last time were so many of one operation, and
// consumed so many capacity units.
func (h *testStore) used(t *testing.T, operation string, calls int, units float64) {
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
		"all buckets":     {dynamostore.Config{Client: client, Table: "orders", IndexBuckets: 64}, nil},
		"65 buckets":      {dynamostore.Config{Client: client, Table: "orders", IndexBuckets: 65}, []string{"IndexBuckets must be from 1 to 64, not 65"}},
		"less than none":  {dynamostore.Config{Client: client, Table: "orders", IndexBuckets: -1}, []string{"IndexBuckets must be from 1 to 64, not -1"}},
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

// I7: with a processing time of 0 it would complete orders at once.
func TestAStoreWithoutAProcessingTimeAdvancesNothing(t *testing.T) {
	h := open(t)
	begun, created := h.create(t, importedAs(order.Processing)), h.create(t)
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
	for _, change := range []func(*order.Draft){keyed, importedAs(order.Pending)} {
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
func (h *testStore) item(t *testing.T, pk, sk string) item {
	t.Helper()
	found, err := h.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &h.table, Key: item{"pk": text(pk), "sk": text(sk)}})
	if err != nil {
		t.Fatal(err)
	}
	return found.Item
}

// put writes items into the table as they are.
func (h *testStore) put(t *testing.T, items ...item) {
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

func TestACreateIsOneCallAndTwoWriteUnits(t *testing.T) {
	h := open(t)
	h.create(t)
	h.used(t, "PutItem", 1, 2)
}

func TestAReplayIsOneCall(t *testing.T) {
	h := open(t)
	first := h.create(t, keyed)
	h.calls.Take()
	again, replayed, err := h.Create(t.Context(), draft(keyed))
	if err != nil || !replayed || !reflect.DeepEqual(again, first) {
		t.Errorf("again %+v, replayed %v, error %v; first %+v", again, replayed, err, first)
	}
	h.used(t, "PutItem", 1, 0) // DynamoDB Local tells nothing of a refused write's units
}

func TestAKeyThatNamesAnotherRequestIsRefused(t *testing.T) {
	h := open(t)
	first := h.create(t, keyed)
	_, _, err := h.Create(t.Context(), draft(keyed, importedAs(order.Completed)))
	if !errors.Is(err, order.ErrKeyReused) {
		t.Errorf("error %v", err)
	}
	if got := h.get(t, first.ID); !reflect.DeepEqual(got, first) {
		t.Errorf("the order is now %+v, was %+v", got, first)
	}
}

// I14: a damaged item is an error only for requests of this item.
func TestADamagedOrderIsAnErrorOfItsOwnRequestsAlone(t *testing.T) {
	h := open(t)
	bad, good := h.create(t, keyed), h.create(t)
	h.put(t, with(h.item(t, "ORDER#"+string(bad.ID), "ORDER"), item{"item_ids": nil}))
	for _, err := range []error{
		func() error { _, _, err := h.Create(t.Context(), draft(keyed)); return err }(),
		func() error { _, err := h.Get(t.Context(), bad.ID); return err }(),
	} {
		if err == nil || errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrKeyReused) || errors.Is(err, order.ErrNotFound) {
			t.Errorf("the damaged order: error %v", err)
		}
	}
	other := h.create(t)
	if got := h.get(t, good.ID); !reflect.DeepEqual(got, good) {
		t.Errorf("another order: %+v", got)
	}
	audited, failures := 0, 0
	for _, err := range h.audit().Orders(t.Context()) {
		if audited++; err != nil {
			failures++
		}
	}
	if audited != 3 || failures != 1 {
		t.Errorf("an audit reads %d orders, %d with an error", audited, failures)
	}
	// The damage does not concern the lifecycle: the order is started, and listed.
	if err := h.Advance(t.Context(), bad.ID, order.Processing, noon); err != nil {
		t.Error(err)
	}
	if got := all(t, h.Store, 1); len(got) != 3 || !slices.Contains(got, bad.ID) || !slices.Contains(got, other.ID) {
		t.Errorf("the list is %v", got)
	}
}

func TestAReadIsOneCallAndStronglyConsistent(t *testing.T) {
	h := open(t)
	o := h.create(t)
	h.calls.Take()
	h.get(t, o.ID)
	h.used(t, "GetItem", 1, 1) // half a unit, if it were not consistent
}

// F2, F3, I3: the SDK repeats a create when the request or the response was lost.
func TestACreateThatTheSDKRepeatsMakesOneOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		fault    awstest.Fault
		change   func(*order.Draft)
		replayed bool
	}{
		"the response is lost":              {awstest.ResponseLost, func(*order.Draft) {}, false},
		"the response is lost, under a key": {awstest.ResponseLost, keyed, true},
		"the request is lost":               {awstest.NeverArrives, func(*order.Draft) {}, false},
		"the request is lost, under a key":  {awstest.NeverArrives, keyed, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.faults.Play("PutItem", tt.fault)
			o, replayed, err := h.Create(t.Context(), draft(tt.change))
			if err != nil || replayed != tt.replayed {
				t.Fatalf("replayed %v, error %v", replayed, err)
			}
			if got := h.get(t, o.ID); !reflect.DeepEqual(got, o) {
				t.Errorf("stored %+v, returned %+v", got, o)
			}
			if n := h.count(t); n != 1 {
				t.Errorf("there are %d orders", n)
			}
		})
	}
}

// F1: when all attempts are lost, nothing is stored, and the error is transient.
func TestACreateThatNeverArrivesIsUnavailable(t *testing.T) {
	h := open(t)
	h.faults.Play("PutItem", awstest.NeverArrives, awstest.NeverArrives, awstest.NeverArrives)
	if _, _, err := h.Create(t.Context(), draft()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if n := h.count(t); n != 0 {
		t.Errorf("there are %d orders", n)
	}
}

func TestANewIdThatIsTakenLeavesItsOrderAlone(t *testing.T) {
	h := open(t)
	same := func() *dynamostore.Store {
		return awstest.Must(dynamostore.New(dynamostore.Config{
			Client: h.client, Table: h.table, Now: func() time.Time { return noon }, Random: bytes.NewReader(make([]byte, 10)),
		}))
	}
	first, _, err := same().Create(t.Context(), draft())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = same().Create(t.Context(), draft(func(d *order.Draft) { d.UserID = "anna" }))
	if !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrKeyReused) {
		t.Errorf("error %v", err)
	}
	if got := h.get(t, first.ID); !reflect.DeepEqual(got, first) {
		t.Errorf("the order is now %+v, was %+v", got, first)
	}
}

func TestWithoutRandomnessNoOrderIsMade(t *testing.T) {
	h := open(t)
	s := awstest.Must(dynamostore.New(dynamostore.Config{
		Client: h.client, Table: h.table, Now: func() time.Time { return noon }, Random: bytes.NewReader(nil),
	}))
	if _, _, err := s.Create(t.Context(), draft()); err == nil {
		t.Error("no error")
	}
	h.used(t, "PutItem", 0, 0)
}

// The source of randomness, a bufio.Reader, is not safe for concurrent use.
func TestManyAtOnceGetIdsOfTheirOwn(t *testing.T) {
	h := open(t)
	var ids sync.Map
	concurrently(50, func(int) {
		o, _, err := h.Create(t.Context(), draft())
		if err != nil {
			t.Error(err)
		}
		if _, twice := ids.LoadOrStore(o.ID, true); twice {
			t.Errorf("the id %s was given twice", o.ID)
		}
	})
}

func TestATransitionIsOneCallAndOneWriteUnit(t *testing.T) {
	h := open(t)
	o := h.create(t)
	for _, step := range []struct {
		to  order.Status
		now time.Time
	}{{order.Processing, noon}, {order.Completed, noon.Add(processing)}} {
		h.calls.Take()
		if err := h.Advance(t.Context(), o.ID, step.to, step.now); err != nil {
			t.Fatal(err)
		}
		h.used(t, "UpdateItem", 1, 1)
	}
}

func TestAnUnknownOrderIsNotFound(t *testing.T) {
	h := open(t)
	for _, to := range order.Statuses {
		if err := h.Advance(t.Context(), order.KeyedID("", "k"), to, noon); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("to %s: error %v", to, err)
		}
	}
	if n := h.count(t); n != 0 {
		t.Errorf("%d orders were made of nothing", n)
	}
}

// F20, I8: the clock at the start is behind the clock at the creation.
func TestAStartBeforeTheCreationStartsAtTheCreation(t *testing.T) {
	h := open(t)
	o := h.create(t)
	h.calls.Take()
	if err := h.Advance(t.Context(), o.ID, order.Processing, noon.Add(-10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	h.used(t, "UpdateItem", 2, 1)
	if got := h.get(t, o.ID); !got.StartedAt.Equal(o.CreatedAt) || got.Status != order.Processing {
		t.Errorf("order %+v", got)
	}
}

// F11, I5: the SDK repeats a transition after its response was lost.
func TestATransitionWhoseResponseIsLostIsDone(t *testing.T) {
	h := open(t)
	o := h.create(t)
	h.faults.Play("UpdateItem", awstest.ResponseLost)
	if err := h.Advance(t.Context(), o.ID, order.Processing, noon.Add(time.Second)); !errors.Is(err, order.ErrAlreadyDone) {
		t.Errorf("error %v", err)
	}
	if got := h.get(t, o.ID); got.Status != order.Processing || !got.StartedAt.Equal(noon.Add(time.Second)) {
		t.Errorf("order %+v", got)
	}
}

// F8, I5.
func TestOneOfManyAtOnceAdvances(t *testing.T) {
	h := open(t)
	o := h.create(t)
	for _, step := range []struct {
		to  order.Status
		now time.Time
	}{{order.Processing, noon}, {order.Completed, noon.Add(2 * processing)}} {
		var won atomic.Int64
		concurrently(20, func(i int) {
			err := h.Advance(t.Context(), o.ID, step.to, step.now.Add(time.Duration(i)*time.Millisecond))
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, order.ErrAlreadyDone):
				t.Errorf("to %s: error %v", step.to, err)
			}
		})
		if n := won.Load(); n != 1 {
			t.Errorf("to %s: %d of 20 did it", step.to, n)
		}
	}
}

// I7, also for a processing time that is no whole number of milliseconds.
func TestAFractionOfAMillisecondIsWaitedFor(t *testing.T) {
	h := open(t)
	s := awstest.Must(dynamostore.New(dynamostore.Config{Client: h.client, Table: h.table, ProcessingTime: 1500 * time.Microsecond}))
	o := h.create(t, importedAs(order.Processing))
	err := s.Advance(t.Context(), o.ID, order.Completed, noon.Add(1900*time.Microsecond))
	if _, early := errors.AsType[*order.EarlyError](err); !early {
		t.Errorf("error %v", err)
	}
	if err := s.Advance(t.Context(), o.ID, order.Completed, noon.Add(2*time.Millisecond)); err != nil {
		t.Error(err)
	}
}

// The store makes the same transitions as the domain, with the same results and refusals: for any
// order, any clock (F20), any target.
func TestTheStoreAdvancesAsTheDomainDoes(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		near := func(label string) time.Time {
			return noon.Add(time.Duration(rapid.Int64Range(-2, 2).Draw(rt, label+" ms"))*time.Millisecond +
				time.Duration(rapid.Int64Range(-1, 2).Draw(rt, label+" waits"))*processing)
		}
		h.now = near("created")
		o := h.create(t, importedAs(rapid.SampledFrom(order.Statuses[:]).Draw(rt, "status")))
		for range 4 {
			to, now := rapid.SampledFrom(order.Statuses[:]).Draw(rt, "to"), near("now").Add(123*time.Microsecond)
			want, wantErr := o.Advance(to, now, processing)
			err := h.Advance(t.Context(), o.ID, to, now)
			if !reflect.DeepEqual(err, wantErr) {
				rt.Fatalf("%s to %s at %s: error %v, the domain says %v", o.Status, to, now, err, wantErr)
			}
			if o = h.get(t, o.ID); !reflect.DeepEqual(o, want) {
				rt.Fatalf("to %s at %s: order %+v, the domain says %+v", to, now, o, want)
			}
		}
	})
}

// newStubStore is a store whose table gives every request that response.
func newStubStore(t *testing.T, response http.HandlerFunc, options ...func(*dynamodb.Options)) *dynamostore.Store {
	t.Helper()
	server := httptest.NewServer(response)
	t.Cleanup(server.Close)
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	}, options...)
	return awstest.Must(dynamostore.New(dynamostore.Config{
		Client: client, Table: "orders", ProcessingTime: processing,
		Now: func() time.Time { return noon }, Random: strings.NewReader(strings.Repeat("x", 1000)),
	}))
}

// calls are all requests that a store can make.
var calls = map[string]func(context.Context, *dynamostore.Store) error{
	"Create": func(ctx context.Context, s *dynamostore.Store) error {
		_, _, err := s.Create(ctx, draft())
		return err
	},
	"Get":  func(ctx context.Context, s *dynamostore.Store) error { _, err := s.Get(ctx, id(1)); return err },
	"List": func(ctx context.Context, s *dynamostore.Store) error { _, err := s.List(ctx, 1, ""); return err },
	"Advance": func(ctx context.Context, s *dynamostore.Store) error {
		return s.Advance(ctx, id(1), order.Processing, noon)
	},
	"Metrics": func(ctx context.Context, s *dynamostore.Store) error { _, err := s.Metrics(ctx); return err },
}

func problem(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#`+code+`","message":"no"}`)
	}
}

func TestOnlyTransientErrorsAreUnavailable(t *testing.T) {
	for name, tt := range map[string]struct {
		response    http.HandlerFunc
		unavailable bool
	}{
		"throttled":                   {problem(400, "ThrottlingException"), true},
		"throughput exceeded":         {problem(400, "ProvisionedThroughputExceededException"), true},
		"request limit exceeded":      {problem(400, "RequestLimitExceeded"), true},
		"internal error":              {problem(500, "InternalServerError"), true},
		"service unavailable":         {problem(503, "ServiceUnavailable"), true},
		"a gateway's page":            {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, true},
		"expired credentials":         {problem(400, "ExpiredTokenException"), true},
		"an response that is no JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, true},
		"a connection that breaks":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"a request that is not one":   {problem(400, "ValidationException"), false},
		"a missing permission":        {problem(400, "AccessDeniedException"), false},
		"a missing table":             {problem(400, "ResourceNotFoundException"), false},
		"a signature that is wrong":   {problem(400, "UnrecognizedClientException"), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStubStore(t, tt.response)
			for call, f := range calls {
				err := f(t.Context(), s)
				if err == nil || errors.Is(err, order.ErrUnavailable) != tt.unavailable || errors.Is(err, order.ErrNotFound) {
					t.Errorf("%s: error %v, to be unavailable: %v", call, err, tt.unavailable)
				}
			}
		})
	}
}

func TestCredentialsThatCannotBeHadAreUnavailable(t *testing.T) {
	none := errors.New("no credentials today")
	s := newStubStore(t, http.NotFound, func(o *dynamodb.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, none
		})
	})
	for call, f := range calls {
		if err := f(t.Context(), s); !errors.Is(err, order.ErrUnavailable) || !errors.Is(err, none) {
			t.Errorf("%s: error %v", call, err)
		}
	}
}

// I16, F24: a table that never responds takes no longer than the caller allows.
func TestTheEndOfTheContextEndsACallAndIsMatched(t *testing.T) {
	s := newStubStore(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	for call, f := range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := f(ctx, s); !errors.Is(err, order.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: error %v", call, err)
		}
		cancel()
	}
}
