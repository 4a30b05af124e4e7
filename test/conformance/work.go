package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"orders/shared/order"
)

var processTests = []test{
	{"I4 I7 I8 an order is started, and completed when its time is over", func(t *tester) {
		o := t.awaitStatus(t.create().ID, order.Completed)
		if o.StartedAt.Before(o.CreatedAt) || o.CompletedAt.Sub(o.StartedAt) < t.ProcessingTime {
			t.Errorf("created %s, started %s, completed %s: not %s of processing", o.CreatedAt, o.StartedAt, o.CompletedAt, t.ProcessingTime)
		}
	}},
	{"an order is Processing for the time in between", func(t *tester) {
		Eventually(t, func() error { // a slow machine may read it too late
			o := t.awaitStatus(t.create().ID, order.Processing)
			if o.Status != order.Processing {
				return errors.New("no order is read before its completion")
			}
			if o.StartedAt.IsZero() || !o.CompletedAt.IsZero() {
				t.Errorf("the order is %+v", o)
			}
			return nil
		})
	}},
	{"I7 an imported order that is Processing is completed a processing time after its creation", func(t *tester) {
		created := t.create(imported(order.Processing))
		o := t.awaitStatus(created.ID, order.Completed)
		if !o.StartedAt.Equal(created.CreatedAt) || o.CompletedAt.Sub(o.CreatedAt) < t.ProcessingTime {
			t.Errorf("created %s, started %s, completed %s", o.CreatedAt, o.StartedAt, o.CompletedAt)
		}
	}},
	{"an imported order that is Completed is counted and never processed", func(t *tester) {
		done := t.create(imported(order.Completed))
		t.awaitStatus(t.create().ID, order.Completed)
		if o := t.get(done.ID); !o.StartedAt.IsZero() || !o.CompletedAt.IsZero() {
			t.Errorf("started at %s, completed at %s", o.StartedAt, o.CompletedAt)
		}
		Eventually(t, func() error {
			if got := t.metrics(); got.ByStatus[order.Completed] != 2 || got.CompletedCount != 1 {
				return fmt.Errorf("metrics are %+v, not 2 completed and 1 of them with a processing time", got)
			}
			return nil
		})
	}},
	{"I5 I9 messages that come again, concurrently and in any order, have no second effect", func(t *tester) {
		t.needsDeliver()
		o := t.create()
		messages := [][]byte{body(o.ID, order.Completed), body(o.ID, order.Processing), body(o.ID, order.Completed)}
		repeat := func() {
			t.concurrently(8, func(int) error { return t.Deliver(t.Context(), messages...) })
		}
		repeat()
		started := t.awaitStatus(o.ID, order.Processing)
		repeat()
		completed := t.awaitStatus(o.ID, order.Completed)
		repeat()
		last := t.get(o.ID)
		if !started.StartedAt.Equal(last.StartedAt) || !completed.CompletedAt.Equal(last.CompletedAt) {
			t.Errorf("times moved: %+v, %+v, %+v", started, completed, last)
		}
		t.awaitCompleted(1)
	}},
	{"I7 a message that comes early waits for its time", func(t *tester) {
		t.needsDeliver()
		o := t.create(imported(order.Processing))
		if err := t.Deliver(t.Context(), body(o.ID, order.Completed)); err != nil {
			t.Fatalf("Deliver: %v", err)
		}
		done := t.awaitStatus(o.ID, order.Completed)
		if done.CompletedAt.Sub(done.StartedAt) < t.ProcessingTime {
			t.Errorf("started %s, completed %s", done.StartedAt, done.CompletedAt)
		}
		t.awaitCompleted(1)
	}},
	{"I4 every order of many is completed, each once", func(t *tester) {
		const n = 200
		t.concurrently(20, func(int) error {
			for range n / 20 {
				if _, _, err := t.store(t.draft()); err != nil {
					return err
				}
			}
			return nil
		})
		t.awaitCount(n)
		t.awaitCompleted(n)
	}},
}

var queueTests = []test{
	{"I13 I14 a message that can never succeed goes to the dead-letter queue, and the messages beside it succeed", func(t *tester) {
		t.needsDeliver()
		unknown := body(order.KeyedID("", "never used"), order.Processing)
		bad := [][]byte{
			[]byte(""), []byte("not JSON"), []byte("null"), []byte("[]"), []byte("{}"), unknown,
			[]byte(`{"order_id":"ORD00000000000000000000000000"}`),
			[]byte(`{"to":"Processing"}`),
			[]byte(`{"order_id":"ORD00000000000000000000000000","to":"Shipped"}`),
			[]byte(`{"order_id":"ORD00000000000000000000000000","to":"Pending"}`),
			[]byte(`{"order_id":"ORDER#x","to":"Processing"}`),
			[]byte(`{"order_id":"ORD00000000000000000000000000","to":"Processing","x":1}`),
			[]byte(`{"order_id":"ORD00000000000000000000000000","to":"Processing"} {}`),
			[]byte(strings.Repeat("x", 200<<10)),
		}
		o := t.create()
		batch := append(append([][]byte{body(o.ID, order.Processing)}, bad...), body(o.ID, order.Completed))
		if err := t.Deliver(t.Context(), batch...); err != nil {
			t.Fatalf("Deliver: %v", err)
		}
		if got := t.get(o.ID); got.Status == order.Pending {
			t.Errorf("the good message in the batch had no effect")
		}
		Eventually(t, func() error { return t.deadLettered(bad) })
		t.awaitCompleted(1)
	}},
	{"I4 I13 members of a message that are not known are ignored", func(t *tester) {
		t.needsDeliver()
		o := t.create(imported(order.Processing))
		late := bytes.Replace(body(o.ID, order.Completed), []byte("{"), []byte(`{"attempt":1,"from":{"regions":["a",null]},`), 1)
		if err := t.Deliver(t.Context(), late, late); err != nil {
			t.Fatalf("Deliver: %v", err)
		}
		if err := t.deadLettered(nil); err != nil {
			t.Error(err)
		}
		t.awaitStatus(o.ID, order.Completed)
		t.awaitCompleted(1)
	}},
	{"an empty batch is nothing", func(t *tester) {
		t.needsDeliver()
		if err := t.Deliver(t.Context()); err != nil {
			t.Errorf("Deliver: %v", err)
		}
	}},
}

func body(id order.ID, to order.Status) []byte {
	return order.Message{OrderID: id, To: to}.Body()
}

// deadLettered returns an error unless the dead-letter queue has these bodies and no others. It
// ignores white space around them, because SQS takes no empty message.
func (t *tester) deadLettered(want [][]byte) error {
	got, err := t.DeadLetters(t.Context())
	if err != nil {
		return err
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d dead letters, not %d", len(got), len(want))
	}
	for _, body := range want {
		found := false
		for _, entry := range got {
			found = found || bytes.Equal(bytes.TrimSpace(entry), body)
		}
		if !found {
			return fmt.Errorf("no dead letter %.60q", body)
		}
	}
	return nil
}

var metricsTests = []test{
	{"an empty store counts nothing", func(t *tester) {
		if got := t.metrics(); got != (order.Tally{}) || got.AvgProcessTime() != 0 {
			t.Errorf("metrics are %+v", got)
		}
	}},
	{"I9 I11 I17 once all orders are completed, metrics equal the fold over them", func(t *tester) {
		for i := range 12 {
			t.create(imported(order.Statuses[i%len(order.Statuses)]))
		}
		t.awaitCompleted(12)
		if got := t.metrics(); got.CompletedCount != 8 || got.DurationSumMillis < 8*t.ProcessingTime.Milliseconds() {
			t.Errorf("metrics are %+v, not 8 orders of at least %s", got, t.ProcessingTime)
		}
	}},
	{"I9 I10 at every moment no count is negative and the total never falls", func(t *tester) {
		last := int64(0)
		whileRunning(func() {
			for range 50 {
				t.create()
			}
			t.awaitCompleted(50)
		}, func() {
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
		})
	}},
}
