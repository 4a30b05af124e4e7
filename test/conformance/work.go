package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
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
		messages := [][]byte{message(o.ID, order.Completed), message(o.ID, order.Processing), message(o.ID, order.Completed)}
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
		o := t.create(imported(order.Processing))
		t.deliver(message(o.ID, order.Completed))
		done := t.awaitStatus(o.ID, order.Completed)
		if done.CompletedAt.Sub(done.StartedAt) < t.ProcessingTime {
			t.Errorf("started %s, completed %s", done.StartedAt, done.CompletedAt)
		}
		t.awaitCompleted(1)
	}},
}

var queueTests = []test{
	{"I13 I14 a message that can never succeed goes to the dead-letter queue, and the messages beside it succeed", func(t *tester) {
		unknown := message(order.KeyedID("", "never used"), order.Processing)
		bad := [][]byte{unknown}
		for _, text := range []string{
			"", "not JSON", "null", "[]", "{}", `{"order_id":"ORD00000000000000000000000000"}`, `{"to":"Processing"}`,
			`{"order_id":"ORD00000000000000000000000000","to":"Shipped"}`,
			`{"order_id":"ORD00000000000000000000000000","to":"Pending"}`, `{"order_id":"ORDER#x","to":"Processing"}`,
			`{"order_id":"ORD00000000000000000000000000","to":"Processing","x":1}`, // the order is unknown
			`{"order_id":"ORD00000000000000000000000000","to":"Processing"} {}`, strings.Repeat("x", 200<<10),
		} {
			bad = append(bad, []byte(text))
		}
		o := t.create()
		batch := append(append([][]byte{message(o.ID, order.Processing)}, bad...), message(o.ID, order.Completed))
		t.deliver(batch...)
		if got := t.get(o.ID); got.Status == order.Pending {
			t.Errorf("the good message in the batch had no effect")
		}
		Eventually(t, func() error { return t.deadLettered(bad) })
		t.awaitCompleted(1)
	}},
	{"I4 I13 members of a message that are not known are ignored", func(t *tester) {
		o := t.create(imported(order.Processing))
		late := bytes.Replace(message(o.ID, order.Completed), []byte("{"), []byte(`{"attempt":1,"from":{"regions":["a",null]},`), 1)
		t.deliver(late, late)
		if err := t.deadLettered(nil); err != nil {
			t.Error(err)
		}
		t.awaitStatus(o.ID, order.Completed)
		t.awaitCompleted(1)
	}},
	{"an empty batch is nothing", func(t *tester) {
		t.deliver()
	}},
}

func message(id order.ID, to order.Status) []byte {
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
		if !slices.ContainsFunc(got, func(entry []byte) bool { return bytes.Equal(bytes.TrimSpace(entry), body) }) {
			return fmt.Errorf("no dead letter %.60q", body)
		}
	}
	return nil
}

var metricsTests = []test{
	{"I9 I11 I17 once all orders are completed, metrics equal the fold over them", func(t *tester) {
		if got := t.metrics(); got != (order.Tally{}) {
			t.Errorf("metrics of no orders are %+v", got)
		}
		for i := range 12 {
			t.create(imported(order.InitialStatuses[i%len(order.InitialStatuses)]))
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
