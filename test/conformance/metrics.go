package conformance

import "orders/shared/order"

var metricsTests = []test{
	{"an empty store counts nothing", func(t *tester) {
		if got := t.metrics(); got != (order.Tally{}) || got.AvgProcessTime() != 0 {
			t.Errorf("metrics are %+v", got)
		}
	}},
	{"I9 I11 I17 once quiet, metrics equal the fold over all orders", func(t *tester) {
		for i := range 12 {
			t.create(takenOver(order.Statuses[i%len(order.Statuses)]))
		}
		t.awaitQuiet(12)
		if got := t.metrics(); got.CompletedCount != 8 || got.DurationSumMillis < 8*t.ProcessingTime.Milliseconds() {
			t.Errorf("metrics are %+v, not 8 orders of at least %s", got, t.ProcessingTime)
		}
	}},
	{"I9 I10 at every moment no count is negative and the total never falls", func(t *tester) {
		last := int64(0)
		meanwhile(func() {
			got, err := t.Metrics.Metrics(t.Context())
			if err != nil || got.Total() < last {
				t.Errorf("the total went from %d to %d (error %v)", last, got.Total(), err)
			}
			for _, s := range order.Statuses {
				if got.ByStatus[s] < 0 {
					t.Errorf("%d orders are %s", got.ByStatus[s], s)
				}
			}
			last = got.Total()
		}, func() {
			for range 50 {
				t.create()
			}
			t.awaitQuiet(50)
		})
	}},
}
