package dynamostore_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

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
	_, _, err := h.Create(t.Context(), draft(keyed, takenOver(order.Completed)))
	if !errors.Is(err, order.ErrKeyReused) {
		t.Errorf("error %v", err)
	}
	if got := h.get(t, first.ID); !reflect.DeepEqual(got, first) {
		t.Errorf("the order is now %+v, was %+v", got, first)
	}
}

// I14: one item that somebody has damaged is an error of those who ask for it.
func TestADamagedOrderIsAnErrorOfItsOwnRequestsAlone(t *testing.T) {
	h := open(t)
	bad, good := h.create(t, keyed), h.create(t)
	h.put(t, with(h.item(t, "ORDER#"+string(bad.ID), "ORDER"), item{"item_ids": nil}))
	failures := 0
	for _, err := range []error{
		func() error { _, _, err := h.Create(t.Context(), draft(keyed)); return err }(),
		func() error { _, err := h.Get(t.Context(), bad.ID); return err }(),
	} {
		if err == nil || errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrKeyReused) || errors.Is(err, order.ErrNotFound) {
			t.Errorf("the damaged order: error %v", err)
		}
	}
	for _, err := range h.audit().Orders(t.Context()) {
		if err != nil {
			failures++
		}
	}
	other := h.create(t)
	if got := h.get(t, good.ID); !reflect.DeepEqual(got, good) || failures != 1 {
		t.Errorf("beside it: %+v, %d failures of an audit", got, failures)
	}
	// What the service goes by is whole: the order is started, and listed.
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

// F2, F3, I3: the SDK repeats a create that is lost on its way, or whose answer is.
func TestACreateThatTheSDKRepeatsMakesOneOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		fault    awstest.Fault
		change   func(*order.Draft)
		replayed bool
	}{
		"the answer is lost":               {awstest.ResponseLost, func(*order.Draft) {}, false},
		"the answer is lost, under a key":  {awstest.ResponseLost, keyed, true},
		"the request is lost":              {awstest.NeverArrives, func(*order.Draft) {}, false},
		"the request is lost, under a key": {awstest.NeverArrives, keyed, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.faults.Play("PutItem", tt.fault)
			o, replayed, err := h.Create(t.Context(), draft(tt.change))
			if err != nil || replayed != tt.replayed {
				t.Fatalf("replayed %v, error %v", replayed, err)
			}
			if got := h.get(t, o.ID); !reflect.DeepEqual(got, o) {
				t.Errorf("stored %+v, answered %+v", got, o)
			}
			if n := h.count(t); n != 1 {
				t.Errorf("there are %d orders", n)
			}
		})
	}
}

// F1: when no attempt gets through, nothing is stored and the answer is that it is
// worth another try.
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

// The source of randomness, a bufio.Reader, is not safe for two at once.
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
