package main

import (
	"errors"
	"testing"
	"time"
)

var created = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// answerAt is what an honest service says of an order, so far in its life.
func answerAt(r *record, status string) orderAnswer {
	o := orderAnswer{
		OrderID: "ORD1", ClientReference: r.ask.reference(), UserID: r.ask.userID(), ItemIDs: r.ask.itemIDs(),
		TotalAmount: r.ask.amount(), Status: status, CreatedAt: created,
	}
	if status != "Pending" {
		o.StartedAt = created
	}
	if status == "Completed" {
		o.CompletedAt = created.Add(processingTime)
	}
	return o
}

// acknowledgedOrder is a ledger with one order, which has a key.
func acknowledgedOrder(t *testing.T) (*ledger, *record) {
	t.Helper()
	l := newLedger(1)
	r := l.begin()
	if err := l.acknowledge(r, sighting{}, createAnswer{OrderID: "ORD1", Status: "Pending"}); err != nil {
		t.Fatal(err)
	}
	return l, r
}

func TestLedgerHasNothingAgainstAnHonestService(t *testing.T) {
	l, r := acknowledgedOrder(t)
	for _, status := range statuses {
		before := l.before(r)
		o := answerAt(r, status)
		if err := errors.Join(l.saw(before, &o), l.sawStatus(r, before, status)); err != nil {
			t.Errorf("%s: %v", status, err)
		}
	}
	retry := createAnswer{OrderID: "ORD1", Status: "Pending", replayed: true}
	if err := l.acknowledge(r, l.before(r), retry); err != nil {
		t.Errorf("a retry: %v", err)
	}
	metrics := metricsAnswer{TotalOrders: 1}
	metrics.StatusCounts.Completed = 1
	if err := errors.Join(l.sawMetrics(metrics, 1, 0), l.allListed([]string{"ORD1"})); err != nil {
		t.Error(err)
	}
}

// F4, F22, I1, I3, I5, I6, I9: what `make crash` would find.
func TestLedgerFindsEveryBrokenPromise(t *testing.T) {
	// read has the order seen in Processing, and then with a change.
	read := func(change func(*orderAnswer)) func(*ledger, *record) error {
		return func(l *ledger, r *record) error {
			o := answerAt(r, "Processing")
			if err := l.saw(l.before(r), &o); err != nil {
				return err
			}
			change(&o)
			return l.saw(l.before(r), &o)
		}
	}
	tests := []struct {
		name string
		want promise
		then func(l *ledger, r *record) error
	}{
		{"another content", durable, read(func(o *orderAnswer) { o.TotalAmount = "0.01" })},
		{"an order that nobody has asked for", durable, read(func(o *orderAnswer) { o.ClientReference = "crash-1" })},
		{"a second order for a key", oneOrder, func(l *ledger, r *record) error {
			return l.acknowledge(r, l.before(r), createAnswer{OrderID: "ORD2", Status: "Pending", replayed: true})
		}},
		{"one order for two keys", oneOrder, func(l *ledger, _ *record) error {
			return l.acknowledge(l.begin(), sighting{}, createAnswer{OrderID: "ORD1", Status: "Pending"})
		}},
		{"a retry that is not a replay", oneOrder, func(l *ledger, r *record) error {
			return l.acknowledge(r, l.before(r), createAnswer{OrderID: "ORD1", Status: "Pending"})
		}},
		{"a start that is repeated", onceOnly, read(func(o *orderAnswer) { o.StartedAt = o.StartedAt.Add(1) })},
		{"a status that goes back", forward, read(func(o *orderAnswer) { o.Status, o.StartedAt = "Pending", time.Time{} })},
		{"a status by itself that goes back", forward, func(l *ledger, r *record) error {
			return errors.Join(l.sawStatus(r, l.before(r), "Completed"), l.sawStatus(r, l.before(r), "Processing"))
		}},
		{"a completion too early", takesTime, read(func(o *orderAnswer) {
			o.Status, o.CompletedAt = "Completed", o.StartedAt.Add(processingTime-time.Millisecond)
		})},
		{"a completion without its time", inOrder, read(func(o *orderAnswer) { o.Status = "Completed" })},
		{"a start before the creation", inOrder, read(func(o *orderAnswer) { o.StartedAt = o.CreatedAt.Add(-1) })},
		{"metrics that have lost an order", addsUp, func(l *ledger, _ *record) error {
			return l.sawMetrics(metricsAnswer{}, 1, 0)
		}},
		{"metrics whose parts are not the whole", addsUp, func(l *ledger, _ *record) error {
			return l.sawMetrics(metricsAnswer{TotalOrders: 1}, 1, 0)
		}},
		{"a list with an order twice", listsAll, func(l *ledger, _ *record) error { return l.allListed([]string{"ORD1", "ORD1"}) }},
		{"a list without an order", listsAll, func(l *ledger, _ *record) error { return l.allListed([]string{"ORD2"}) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.then(acknowledgedOrder(t))
			if v, ok := errors.AsType[*violation](err); !ok || v.promise != test.want {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
