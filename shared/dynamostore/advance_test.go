package dynamostore_test

import (
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

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

// F20, I8: the clock of who starts lies behind the clock of who created.
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

// F11, I5: what the SDK repeats after a lost answer has taken effect once.
func TestATransitionWhoseAnswerIsLostIsDone(t *testing.T) {
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
	o := h.create(t, takenOver(order.Processing))
	err := s.Advance(t.Context(), o.ID, order.Completed, noon.Add(1900*time.Microsecond))
	if _, early := errors.AsType[*order.EarlyError](err); !early {
		t.Errorf("error %v", err)
	}
	if err := s.Advance(t.Context(), o.ID, order.Completed, noon.Add(2*time.Millisecond)); err != nil {
		t.Error(err)
	}
}

// The store is to make exactly the transitions that the domain makes, with the same
// result and the same refusals: for any order, any clock (F20), any target.
func TestTheStoreAdvancesAsTheDomainDoes(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		near := func(label string) time.Time {
			return noon.Add(time.Duration(rapid.Int64Range(-2, 2).Draw(rt, label+" ms"))*time.Millisecond +
				time.Duration(rapid.Int64Range(-1, 2).Draw(rt, label+" waits"))*processing)
		}
		h.now = near("created")
		o := h.create(t, takenOver(rapid.SampledFrom(order.Statuses[:]).Draw(rt, "status")))
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
