package order_test

import (
	"testing"
	"time"

	"orders/shared/order"
)

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
