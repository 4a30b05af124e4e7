package order_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"orders/shared/order"
)

// I4, I5.
func TestFollowUpsOfAChange(t *testing.T) {
	at := func(s order.Status) *order.Order {
		o := order.New(order.Draft{InitialStatus: s}, "ORD", noon)
		return &o
	}
	for name, tt := range map[string]struct {
		change order.Change
		want   []order.Message
	}{
		"a new order":                     {order.Change{New: at(order.Pending)}, []order.Message{{OrderID: "ORD", To: order.Processing, NotBefore: noon}}},
		"an order imported as Processing": {order.Change{New: at(order.Processing)}, []order.Message{{OrderID: "ORD", To: order.Completed, NotBefore: noon.Add(processing)}}},
		"an order imported as Completed":  {order.Change{New: at(order.Completed)}, nil},
		"a start":                         {order.Change{Old: at(order.Pending), New: at(order.Processing)}, []order.Message{{OrderID: "ORD", To: order.Completed, NotBefore: noon.Add(processing)}}},
		"a completion":                    {order.Change{Old: at(order.Processing), New: at(order.Completed)}, nil},
		"a write to a Pending order that keeps the status": {order.Change{Old: at(order.Pending), New: at(order.Pending)}, nil},
		"a deletion": {order.Change{Old: at(order.Pending)}, nil},
		"a write to a Processing order that keeps the status": {order.Change{Old: at(order.Processing), New: at(order.Processing)}, nil},
	} {
		got := tt.change.FollowUps(order.Timer(processing))
		if len(got) != len(tt.want) || len(got) > 0 && got[0] != tt.want[0] {
			t.Errorf("after %s: %+v, not %+v", name, got, tt.want)
		}
	}
}

// I4, I5: off the main path, messages say which version of the order they are for.
func TestFollowUpsOffTheMainPathHaveAVersion(t *testing.T) {
	pending, processing, failed := orderIn(t, order.Pending), orderIn(t, order.Processing), orderIn(t, order.Failed)
	start := func(o order.Order) order.Order {
		t.Helper()
		o, err := o.Advance((order.Change{New: &o}).FollowUps(external)[0], noon.Add(time.Minute), external)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	retried, err := failed.Transition(order.TransitionRequest{Transition: order.Retry}, noon.Add(24*time.Hour), external)
	if err != nil {
		t.Fatal(err)
	}
	again, imported := start(retried), order.New(order.Draft{InitialStatus: order.Processing}, "ORD", noon)
	for name, tt := range map[string]struct {
		order      order.Order
		fulfilment order.Fulfilment
		want       order.Message
	}{
		"a new order":                     {pending, external, order.Message{To: order.Processing, NotBefore: noon}},
		"an order that waits for workers": {processing, external, order.Message{To: order.Processing, Version: 2, NotBefore: noon.Add(time.Hour + time.Minute)}},
		"an imported one":                 {imported, external, order.Message{To: order.Processing, Version: 2, NotBefore: noon.Add(time.Minute)}},
		"the last attempt": {
			processing, order.Fulfilment{External: true, AttemptTimeout: time.Minute, MaxAttempts: 1},
			order.Message{To: order.Failed, Version: 2, NotBefore: noon.Add(time.Hour + time.Minute)},
		},
		"a retried order":           {retried, external, order.Message{To: order.Processing, Version: 4, NotBefore: noon.Add(24 * time.Hour)}},
		"a retried order's attempt": {again, external, order.Message{To: order.Processing, Version: 5, NotBefore: noon.Add(24*time.Hour + time.Minute)}},
		"a retried order's timer":   {again, order.Timer(time.Minute), order.Message{To: order.Completed, Version: 5, NotBefore: noon.Add(24*time.Hour + time.Minute)}},
	} {
		tt.want.OrderID = "ORD"
		if got := (order.Change{New: &tt.order}).FollowUps(tt.fulfilment); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s waits for %+v, not %+v", name, got, tt.want)
		}
	}
}

// I9 to I11: for any history of changes, the sum of their tallies equals a recount of the orders.
func TestTalliesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var running order.Tally
		orders := map[int]order.Order{}
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			i := rapid.IntRange(0, 9).Draw(t, "order")
			now := noon.Add(time.Duration(rapid.IntRange(0, 200_000).Draw(t, "ms")) * time.Millisecond)
			old, exists := orders[i]
			if exists && rapid.IntRange(0, 9).Draw(t, "delete") == 0 {
				running.Add(order.Change{Old: &old}.Tally())
				delete(orders, i)
				continue
			}
			if !exists {
				o := order.New(order.Draft{InitialStatus: rapid.SampledFrom(order.InitialStatuses).Draw(t, "status")}, "ORD", now)
				running.Add(order.Change{New: &o}.Tally())
				orders[i] = o
				continue
			}
			if o, err := old.Advance(order.Message{To: min(old.Status+1, order.Completed)}, now, order.Timer(processing)); err == nil {
				running.Add(order.Change{Old: &old, New: &o}.Tally())
				orders[i] = o
			}
		}
		var recount order.Tally
		for _, o := range orders {
			recount.Add(order.Change{New: &o}.Tally())
		}
		if running != recount || running.Total() != int64(len(orders)) {
			t.Fatalf("tally %+v, recount %+v", running, recount)
		}
	})
}

// I11.
func TestAvgProcessTimeIsExact(t *testing.T) {
	for want, tally := range map[float64]order.Tally{
		0:      {},
		50.482: {CompletedCount: 1000, DurationSumMillis: 50_482_000},
		0.0015: {CompletedCount: 2, DurationSumMillis: 3},
	} {
		if got := tally.AvgProcessTime(); got != want {
			t.Errorf("mean of %+v is %v, not %v", tally, got, want)
		}
	}
}

// I9, I11. The numbers are written out here: a recount by the same code would share its mistakes.
func TestEachStepOfAnOrderAddsItsNumbersToTheTally(t *testing.T) {
	pending := order.New(order.Draft{}, "ORD", noon)
	started, err := pending.Advance(order.Message{To: order.Processing}, noon.Add(time.Second), order.Timer(processing))
	if err != nil {
		t.Fatal(err)
	}
	completed, err := started.Advance(order.Message{To: order.Completed}, noon.Add(time.Second+processing), order.Timer(processing))
	if err != nil {
		t.Fatal(err)
	}
	imported := order.New(order.Draft{InitialStatus: order.Completed}, "ORD", noon)
	duration := (time.Second + processing).Milliseconds()

	var sum order.Tally
	for _, step := range []struct {
		name   string
		change order.Change
		want   order.Tally // the sum behind the step
	}{
		{"a creation", order.Change{New: &pending}, order.Tally{ByStatus: order.Counts{1, 0, 0}}},
		{"a start", order.Change{Old: &pending, New: &started}, order.Tally{ByStatus: order.Counts{0, 1, 0}}},
		{"a completion", order.Change{Old: &started, New: &completed}, order.Tally{ByStatus: order.Counts{0, 0, 1}, CompletedCount: 1, DurationSumMillis: duration}},
		{"a write that changes nothing", order.Change{Old: &completed, New: &completed}, order.Tally{ByStatus: order.Counts{0, 0, 1}, CompletedCount: 1, DurationSumMillis: duration}},
		{"a second creation", order.Change{New: &completed}, order.Tally{ByStatus: order.Counts{0, 0, 2}, CompletedCount: 2, DurationSumMillis: 2 * duration}},
		{"an import", order.Change{New: &imported}, order.Tally{ByStatus: order.Counts{0, 0, 3}, CompletedCount: 2, DurationSumMillis: 2 * duration}},
		{"a deletion", order.Change{Old: &completed}, order.Tally{ByStatus: order.Counts{0, 0, 2}, CompletedCount: 1, DurationSumMillis: duration}},
	} {
		sum.Add(step.change.Tally())
		if sum != step.want {
			t.Errorf("after %s: %+v, want %+v", step.name, sum, step.want)
		}
	}
}
