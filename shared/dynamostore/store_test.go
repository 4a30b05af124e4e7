package dynamostore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
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
	h.client = awstest.DynamoDB(t, dynamodb.WithAPIOptions(h.faults.Middleware), dynamodb.WithAPIOptions(h.calls.Middleware))
	h.Store = awstest.Must(dynamostore.New(dynamostore.Config{
		Client: h.client, Table: h.table, Fulfilment: order.Timer(processing),
		Now: func() time.Time { return h.now }, Random: rand.Reader,
	}))
	t.Cleanup(func() {
		if unplayed := h.faults.Unplayed(); len(unplayed) > 0 {
			t.Errorf("faults that did not happen: %v", unplayed)
		}
	})
	return h
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
		"nothing":         {dynamostore.Config{Client: client, Table: "orders", Fulfilment: order.Timer(processing), Now: now, Random: random}, nil},
		"to create":       {dynamostore.Config{Client: client, Table: "orders", Now: now, Random: random}, nil},
		"to read":         {dynamostore.Config{Client: client, Table: "orders"}, nil},
		"all is missing":  {dynamostore.Config{}, []string{"Client is missing", "Table is missing"}},
		"all buckets":     {dynamostore.Config{Client: client, Table: "orders", IndexBuckets: 64}, nil},
		"65 buckets":      {dynamostore.Config{Client: client, Table: "orders", IndexBuckets: 65}, []string{"IndexBuckets must be from 1 to 64, not 65"}},
		"less than none":  {dynamostore.Config{Client: client, Table: "orders", IndexBuckets: -1}, []string{"IndexBuckets must be from 1 to 64, not -1"}},
		"a negative time": {dynamostore.Config{Client: client, Table: "orders", Fulfilment: order.Timer(-1)}, []string{"ProcessingTime must be from 1ms to 15m0s"}},
		"no randomness": {dynamostore.Config{Client: client, Now: now},
			[]string{"Table is missing", "Now and Random must be given together"}},
		"no clock": {dynamostore.Config{Client: client, Table: "orders", Fulfilment: order.Timer(-1), Random: random},
			[]string{"ProcessingTime must be from 1ms to 15m0s", "Now and Random must be given together"}},
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
func TestAStoreWithoutAProcessingTimeOrAClockWritesNothing(t *testing.T) {
	h := open(t)
	begun := h.create(t, importedAs(order.Processing))
	s := awstest.Must(dynamostore.New(dynamostore.Config{Client: h.client, Table: h.table}))
	h.calls.Take()
	_, _, err := s.Create(t.Context(), draft())
	_, transitionErr := s.Transition(t.Context(), begun.ID, order.TransitionRequest{Transition: order.Complete})
	for _, err := range []error{err, transitionErr, s.Advance(t.Context(), order.Message{OrderID: begun.ID, To: order.Completed}, noon.Add(time.Hour))} {
		if err == nil || errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrAlreadyDone) || errors.Is(err, order.ErrNotFound) {
			t.Errorf("error %v", err)
		}
	}
	h.used(t, "UpdateItem", 0, 0)
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

// Each request is one call; a read that were not consistent would take half a unit. DynamoDB Local
// does not tell the units of a write that it refuses.
func TestTheCostOfEachRequest(t *testing.T) {
	h := open(t)
	first := h.create(t, keyed)
	h.used(t, "PutItem", 1, 2)
	again, replayed, err := h.Create(t.Context(), draft(keyed))
	if err != nil || !replayed || !reflect.DeepEqual(again, first) {
		t.Errorf("again %+v, replayed %v, error %v; first %+v", again, replayed, err, first)
	}
	h.used(t, "PutItem", 1, 0)
	if _, _, err := h.Create(t.Context(), draft(keyed, importedAs(order.Completed))); !errors.Is(err, order.ErrKeyReused) {
		t.Errorf("another request under the key: error %v", err)
	}
	h.used(t, "PutItem", 1, 0)
	if got := h.get(t, first.ID); !reflect.DeepEqual(got, first) {
		t.Errorf("the order is now %+v, was %+v", got, first)
	}
	h.used(t, "GetItem", 1, 1)
	for to, now := range map[order.Status]time.Time{order.Processing: noon, order.Completed: noon.Add(processing)} {
		o := h.create(t, importedAs(to-1))
		h.calls.Take()
		if err := h.Advance(t.Context(), order.Message{OrderID: o.ID, To: to}, now); err != nil {
			t.Fatal(err)
		}
		h.used(t, "UpdateItem", 1, 1)
	}
	o := h.create(t)
	h.calls.Take()
	if _, err := h.Transition(t.Context(), o.ID, order.TransitionRequest{Transition: order.Cancel}); err != nil {
		t.Fatal(err)
	}
	if used := h.calls.Take(); !maps.Equal(used.Calls, map[string]int{"GetItem": 1, "UpdateItem": 1}) || used.Units["GetItem"] != 1 || used.Units["UpdateItem"] != 1 {
		t.Errorf("a cancel used %+v", used)
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
	if err := h.Advance(t.Context(), order.Message{OrderID: bad.ID, To: order.Processing}, noon); err != nil {
		t.Error(err)
	}
	if got := all(t, h.Store, 1); len(got) != 3 || !slices.Contains(got, bad.ID) || !slices.Contains(got, other.ID) {
		t.Errorf("the list is %v", got)
	}
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

func TestANewIdThatIsTakenLeavesItsOrderAlone(t *testing.T) {
	h := open(t)
	create := func(user string, random int) (order.Order, error) {
		s := awstest.Must(dynamostore.New(dynamostore.Config{
			Client: h.client, Table: h.table, Now: func() time.Time { return noon }, Random: bytes.NewReader(make([]byte, random)),
		}))
		o, _, err := s.Create(t.Context(), draft(func(d *order.Draft) { d.UserID = user }))
		return o, err
	}
	first, err := create("645", 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create("anna", 10); !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrKeyReused) {
		t.Errorf("error %v", err)
	}
	if _, err := create("anna", 9); err == nil || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("without enough randomness: error %v", err)
	}
	if got := h.get(t, first.ID); !reflect.DeepEqual(got, first) {
		t.Errorf("the order is now %+v, was %+v", got, first)
	}
}

// F11, I5: the SDK repeats a transition after its response was lost.
func TestATransitionWhoseResponseIsLostIsDoneAndOneOfNothingIsNotFound(t *testing.T) {
	h := open(t)
	o := h.create(t)
	h.faults.Play("UpdateItem", awstest.ResponseLost)
	if err := h.Advance(t.Context(), order.Message{OrderID: o.ID, To: order.Processing}, noon.Add(time.Second)); !errors.Is(err, order.ErrAlreadyDone) {
		t.Errorf("error %v", err)
	}
	if got := h.get(t, o.ID); got.Status != order.Processing || !got.StartedAt.Equal(noon.Add(time.Second)) {
		t.Errorf("order %+v", got)
	}
	for _, to := range order.Statuses {
		if err := h.Advance(t.Context(), order.Message{OrderID: order.KeyedID("", "k"), To: to}, noon); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("an order that is not there, to %s: error %v", to, err)
		}
	}
}

// F2, I5: the service starts a retried order before the SDK repeats the retry.
func TestACallWhoseResponseIsLostIsDoneAlthoughTheOrderHasGoneOn(t *testing.T) {
	h := open(t)
	o := h.create(t)
	if err := h.Advance(t.Context(), order.Message{OrderID: o.ID, To: order.Processing}, noon.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Transition(t.Context(), o.ID, order.TransitionRequest{Transition: order.Fail}); err != nil {
		t.Fatal(err)
	}
	h.faults.Play("UpdateItem", func(a *awstest.Attempt) (*smithyhttp.Response, error) {
		response, lost := awstest.ResponseLost(a)
		if err := h.Advance(t.Context(), order.Message{OrderID: o.ID, To: order.Processing, Version: 4}, noon.Add(time.Hour)); err != nil {
			t.Error(err)
		}
		return response, lost
	})
	got, err := h.Transition(t.Context(), o.ID, order.TransitionRequest{Transition: order.Retry, Version: 3})
	if err != nil || got.Version() != 4 || got.Status != order.Pending {
		t.Errorf("retried as %+v, error %v", got, err)
	}
	if now := h.get(t, o.ID); now.Version() != 5 || now.Status != order.Processing {
		t.Errorf("the order is %+v", now)
	}
}

// F8, I5, I6: between a caller's reading and writing the order goes on, and the caller is told, or the
// transition is made of the order as it is then.
func TestACallThatAnotherComesBeforeFindsTheOrderAsItIsThen(t *testing.T) {
	h := open(t)
	cancel, fail, retry := order.Cancel, order.Fail, order.Retry
	for name, tt := range map[string]struct {
		from    order.Status
		between func(order.ID)
		call    order.TransitionRequest
		want    error
		history string // afterwards
	}{
		"it is started": {
			order.Pending, func(id order.ID) { h.start(t, id, 1) }, order.TransitionRequest{Transition: cancel}, nil, "start cancel",
		},
		"it is cancelled": {
			order.Processing, func(id order.ID) { h.ask(t, id, cancel) }, order.TransitionRequest{Transition: fail},
			&order.ConflictError{Status: order.Cancelled, Version: 3}, "start cancel",
		},
		"the same call is made": {
			order.Processing, func(id order.ID) { h.ask(t, id, cancel) }, order.TransitionRequest{Transition: cancel, Version: 2}, nil, "start cancel",
		},
		"it fails, and is in the same status again": {
			order.Processing, func(id order.ID) { h.ask(t, id, fail, retry); h.start(t, id, 4) }, order.TransitionRequest{Transition: cancel}, nil,
			"start fail retry start cancel",
		},
		"it fails, and no call is for its version any more": {
			order.Processing, func(id order.ID) { h.ask(t, id, fail, retry); h.start(t, id, 4) }, order.TransitionRequest{Transition: cancel, Version: 2},
			&order.ConflictError{Status: order.Processing, Version: 5}, "start fail retry start",
		},
	} {
		o := h.create(t, importedAs(tt.from))
		h.faults.Play("UpdateItem", func(a *awstest.Attempt) (*smithyhttp.Response, error) {
			tt.between(o.ID)
			return a.Send()
		})
		if _, err := h.Transition(t.Context(), o.ID, tt.call); !reflect.DeepEqual(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
		var history []string
		for _, e := range h.get(t, o.ID).History() {
			history = append(history, e.Transition.String())
		}
		if got := strings.Join(history, " "); got != tt.history {
			t.Errorf("%s: the history is %s, want %s", name, got, tt.history)
		}
	}
}

// ask makes transitions of an order in another's name.
func (h *testStore) ask(t *testing.T, id order.ID, all ...order.Transition) {
	t.Helper()
	for _, transition := range all {
		if _, err := h.Transition(t.Context(), id, order.TransitionRequest{Transition: transition, By: "another"}); err != nil {
			t.Fatal(err)
		}
	}
}

// start starts an order that has a version.
func (h *testStore) start(t *testing.T, id order.ID, version int) {
	t.Helper()
	if err := h.Advance(t.Context(), order.Message{OrderID: id, To: order.Processing, Version: version}, h.now); err != nil {
		t.Fatal(err)
	}
}

// F8, I5: the failed order that was read was retried meanwhile, and has failed again.
func TestACallIsForTheVersionThatWasReadAndNotForTheStatusAlone(t *testing.T) {
	h := open(t)
	o := h.create(t, importedAs(order.Processing))
	h.ask(t, o.ID, order.Fail)
	h.faults.Play("UpdateItem", func(a *awstest.Attempt) (*smithyhttp.Response, error) {
		h.ask(t, o.ID, order.Retry)
		h.start(t, o.ID, 4)
		h.ask(t, o.ID, order.Fail)
		return a.Send()
	})
	_, err := h.Transition(t.Context(), o.ID, order.TransitionRequest{Transition: order.Retry, Version: 3})
	if conflict, ok := errors.AsType[*order.ConflictError](err); !ok || conflict.Version != 6 {
		t.Errorf("error %v", err)
	}
	if got := h.get(t, o.ID); got.Status != order.Failed || got.Version() != 6 {
		t.Errorf("the order is %+v", got)
	}
}

// I16: the attempts at a change are bounded. This item contradicts itself, so every write is refused.
func TestAnOrderThatKeepsChangingIsUnavailable(t *testing.T) {
	h := open(t)
	o := h.create(t, importedAs(order.Processing))
	h.ask(t, o.ID, order.Fail)
	h.put(t, with(h.item(t, "ORDER#"+string(o.ID), "ORDER"), item{"version": number("9")}))
	h.calls.Take()
	_, err := h.Transition(t.Context(), o.ID, order.TransitionRequest{Transition: order.Cancel})
	if used := h.calls.Take().Calls; !errors.Is(err, order.ErrUnavailable) || used["GetItem"] != 5 || used["UpdateItem"] != 5 {
		t.Errorf("error %v after %v", err, used)
	}
}

// F6, I5: a message from before a retry, which has no version, is about an order that was done with.
func TestAMessageOfTheMainPathHasNoEffectOnAnOrderThatHasLeftIt(t *testing.T) {
	h := open(t)
	o := h.create(t, importedAs(order.Processing))
	h.ask(t, o.ID, order.Fail, order.Retry)
	for _, version := range []int{4, 5} {
		for _, to := range []order.Status{order.Processing, order.Completed} {
			if err := h.Advance(t.Context(), order.Message{OrderID: o.ID, To: to}, noon.Add(time.Hour)); !errors.Is(err, order.ErrAlreadyDone) {
				t.Errorf("at version %d, to %s: error %v", version, to, err)
			}
		}
		if got := h.get(t, o.ID); got.Version() != version {
			t.Errorf("the order is %+v, want version %d", got, version)
		}
		if version == 4 {
			h.start(t, o.ID, 4)
		}
	}
}

// I5: a message that was sent under a timer is about the attempt of a worker now.
func TestWithWorkersNoMessageCompletesAnOrder(t *testing.T) {
	h := open(t)
	o := h.create(t, importedAs(order.Processing))
	store := h.fulfilling(external, nil)
	if err := store.Advance(t.Context(), order.Message{OrderID: o.ID, To: order.Completed}, noon.Add(processing)); err != nil {
		t.Error(err)
	}
	if got := h.get(t, o.ID); got.Status != order.Processing || got.Version() != 3 || got.Attempt() != 2 {
		t.Errorf("the order is %+v", got)
	}
}

// external is the fulfilment by workers, whose attempts take as long as the timer.
var external = order.Fulfilment{External: true, AttemptTimeout: processing, MaxAttempts: 2}

// fulfilling opens another store in the same table, whose orders are completed in that way.
func (h *testStore) fulfilling(f order.Fulfilment, advanced func(order.Order)) *dynamostore.Store {
	return awstest.Must(dynamostore.New(dynamostore.Config{
		Client: h.client, Table: h.table, Fulfilment: f, Now: func() time.Time { return h.now }, Random: rand.Reader, Advanced: advanced,
	}))
}

// F8, F9, F20, I4 to I8: on the main path the store makes the same transitions as the domain, with the
// same results and refusals: for any order, any clock, any target.
func TestTheStoreAdvancesAsTheDomainDoes(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		h.now = near(rt, "created")
		o := h.create(t, importedAs(rapid.SampledFrom(order.InitialStatuses).Draw(rt, "status")))
		for range 4 {
			to, now := rapid.SampledFrom(order.Statuses[:]).Draw(rt, "to"), near(rt, "now").Add(123*time.Microsecond)
			want, wantErr := o.Advance(order.Message{To: to}, now, order.Timer(processing))
			err := h.Advance(t.Context(), order.Message{OrderID: o.ID, To: to}, now)
			if !reflect.DeepEqual(err, wantErr) {
				rt.Fatalf("%s to %s at %s: error %v, the domain says %v", o.Status, to, now, err, wantErr)
			}
			if o = h.get(t, o.ID); !reflect.DeepEqual(o, want) {
				rt.Fatalf("to %s at %s: order %+v, the domain says %+v", to, now, o, want)
			}
		}
	})
}

// near is a time around noon, or around a processing time before or after it.
func near(rt *rapid.T, label string) time.Time {
	return noon.Add(time.Duration(rapid.Int64Range(-2, 2).Draw(rt, label+" ms"))*time.Millisecond +
		time.Duration(rapid.Int64Range(-1, 2).Draw(rt, label+" waits"))*processing)
}

// F8, F9, F20, I4 to I8: the same is true of any message and any request, under a timer and with
// workers.
func TestTheStoreChangesOrdersAsTheDomainDoes(t *testing.T) {
	h := open(t)
	stores := map[bool]*dynamostore.Store{false: h.Store, true: h.fulfilling(external, nil)}
	fulfilments := map[bool]order.Fulfilment{false: order.Timer(processing), true: external}
	rapid.Check(t, func(rt *rapid.T) {
		h.now = near(rt, "created")
		o := h.create(t, importedAs(rapid.SampledFrom(order.InitialStatuses).Draw(rt, "status")))
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			workers, version := rapid.Bool().Draw(rt, "workers"), rapid.IntRange(max(0, o.Version()-1), o.Version()+1).Draw(rt, "version")
			if rapid.Bool().Draw(rt, "without a version") {
				version = 0
			}
			store, fulfilment, now := stores[workers], fulfilments[workers], near(rt, "now").Add(123*time.Microsecond)
			var want order.Order
			var err, wantErr error
			step := "advance"
			if to := rapid.SampledFrom(order.Statuses[:]).Draw(rt, "to"); rapid.Bool().Draw(rt, "by a message") {
				want, wantErr = o.Advance(order.Message{To: to, Version: version}, now, fulfilment)
				err = store.Advance(t.Context(), order.Message{OrderID: o.ID, To: to, Version: version}, now)
			} else {
				request := order.TransitionRequest{Version: version, Reason: "no stock", By: "anna"}
				request.Transition = rapid.SampledFrom([]order.Transition{order.Complete, order.Fail, order.Retry, order.Cancel}).Draw(rt, "transition")
				step, h.now = request.Transition.String(), now
				want, wantErr = o.Transition(request, now, fulfilment)
				var got order.Order
				if got, err = store.Transition(t.Context(), o.ID, request); err == nil && !reflect.DeepEqual(got, want) {
					rt.Fatalf("%s returned %+v, the domain %+v", step, got, want)
				}
				if errors.Is(wantErr, order.ErrAlreadyDone) {
					wantErr = nil
				}
			}
			if !reflect.DeepEqual(err, wantErr) {
				rt.Fatalf("%s of %s with version %d at %s: error %v, the domain says %v", step, o.Status, version, now, err, wantErr)
			}
			if o = h.get(t, o.ID); !reflect.DeepEqual(o, want) {
				rt.Fatalf("after %s with version %d at %s: order %+v, the domain says %+v", step, version, now, o, want)
			}
		}
	})
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
		return s.Advance(ctx, order.Message{OrderID: id(1), To: order.Processing}, noon)
	},
	"Transition": func(ctx context.Context, s *dynamostore.Store) error {
		_, err := s.Transition(ctx, id(1), order.TransitionRequest{Transition: order.Cancel})
		return err
	},
	"Metrics": func(ctx context.Context, s *dynamostore.Store) error { _, err := s.Metrics(ctx); return err },
}

// F1, F24, I16: a table that never responds takes no longer than the caller allows.
func TestEachRequestSaysWhetherToTryAgainAndEndsWithItsContext(t *testing.T) {
	h := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	missing := dynamostore.Config{Client: h.client, Table: "missing", Fulfilment: order.Timer(processing), Now: time.Now, Random: rand.Reader}
	under := func(ctx context.Context, fault awstest.Fault, f func(context.Context, *dynamostore.Store) error) error {
		for _, operation := range []string{"PutItem", "GetItem", "Query", "UpdateItem"} {
			defer h.faults.Begin(operation, fault)()
		}
		return f(ctx, h.Store)
	}
	for call, f := range calls {
		if err := f(t.Context(), awstest.Must(dynamostore.New(missing))); err == nil || errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrNotFound) {
			t.Errorf("%s: there is no table: error %v", call, err)
		}
		if err := under(t.Context(), awstest.Throttled, f); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%s: throttled: error %v", call, err)
		}
		if err := under(ctx, awstest.Slow(time.Hour), f); !errors.Is(err, order.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: no response: error %v", call, err)
		}
	}
}
