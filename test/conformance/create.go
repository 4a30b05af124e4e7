package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"orders/shared/order"
)

var createTests = []test{
	{"I1 an acknowledged order is read back as it was asked for", func(t *tester) {
		for name, change := range map[string]func(*order.Draft){
			"plain":              func(*order.Draft) {},
			"with a key":         keyed("a key"),
			"least":              func(d *order.Draft) { d.ClientReference, d.ItemIDs, d.TotalAmount = "", []string{"1"}, 0 },
			"largest amount":     func(d *order.Draft) { d.TotalAmount = order.MaxAmount },
			"an item many times": func(d *order.Draft) { d.ItemIDs = []string{"7", "7", "7"} },
			"any script":         func(d *order.Draft) { d.UserID, d.ClientReference = "Ünïcødé 注文 🚀", "नमस्ते" },
			"code in all dress":  func(d *order.Draft) { d.UserID, d.ClientReference = `' OR 1=1--`, `${jndi:x} {"$ne":1} %s%n` },
			"like a key of ours": func(d *order.Draft) { d.UserID, d.ClientReference = "ORDER#x", "TALLY" },
		} {
			want := t.draft(change)
			o := t.create(change)
			if got := t.get(o.ID); !reflect.DeepEqual(got.Details, want.Details) {
				t.Errorf("%s: read %+v, stored %+v", name, got.Details, want.Details)
			}
		}
	}},
	{"an order begins in the status asked for, with the times that this sets", func(t *tester) {
		for _, s := range order.Statuses {
			before := order.Timestamp(time.Now())
			o := t.create(takenOver(s))
			if o.Status != s {
				t.Errorf("taken over as %s, created as %s", s, o.Status)
			}
			if o.CreatedAt.Before(before) || o.CreatedAt.After(time.Now()) || !o.CreatedAt.Equal(order.Timestamp(o.CreatedAt)) {
				t.Errorf("created at %s, not in milliseconds from %s to now", o.CreatedAt, before)
			}
			if started := !o.StartedAt.IsZero(); started != (s == order.Processing) {
				t.Errorf("taken over as %s, started at %s", s, o.StartedAt)
			}
			if !o.CompletedAt.IsZero() {
				t.Errorf("taken over as %s, completed at %s", s, o.CompletedAt)
			}
		}
	}},
	{"without a key, the same request makes an order each time", func(t *tester) {
		if a, b := t.create(), t.create(); a.ID == b.ID {
			t.Errorf("both have the id %s", a.ID)
		}
	}},
	{"every id has the form of one", func(t *tester) {
		for _, o := range []order.Order{t.create(), t.create(keyed("k"))} {
			if _, err := order.ParseID(string(o.ID)); err != nil {
				t.Errorf("id %q: %v", o.ID, err)
			}
		}
	}},
	{"I3 the same key and request answer with the order there is", func(t *tester) {
		first := t.create(keyed("k"))
		for range 3 {
			again, replayed, err := t.Store.Create(t.Context(), t.draft(keyed("k")))
			if err != nil || !replayed || again.ID != first.ID || !again.CreatedAt.Equal(first.CreatedAt) {
				t.Errorf("again: %+v, replayed %v, error %v; first: %+v", again, replayed, err, first)
			}
		}
		t.awaitCount(1)
	}},
	{"I3 a key names its order for ever, also when that is completed", func(t *tester) {
		first := t.create(keyed("k"))
		t.awaitStatus(first.ID, order.Completed)
		again, replayed, err := t.Store.Create(t.Context(), t.draft(keyed("k")))
		if err != nil || !replayed || again.ID != first.ID || again.Status != order.Completed {
			t.Errorf("again: %+v, replayed %v, error %v", again, replayed, err)
		}
	}},
	{"I2 the same key with another request is refused, and stores nothing", func(t *tester) {
		first := t.create(keyed("k"))
		other := func(d *order.Draft) { d.TotalAmount++ }
		if _, _, err := t.Store.Create(t.Context(), t.draft(keyed("k"), other)); !errors.Is(err, order.ErrKeyReused) {
			t.Errorf("error %v, not %v", err, order.ErrKeyReused)
		}
		if o := t.get(first.ID); o.TotalAmount != first.TotalAmount {
			t.Errorf("the amount is now %s, was %s", o.TotalAmount, first.TotalAmount)
		}
		t.awaitCount(1)
	}},
	{"I3 fifty creates at once with one key make one order", func(t *tester) {
		var made atomic.Int64
		concurrently(50, func(int) {
			o, replayed, err := t.Store.Create(t.Context(), t.draft(keyed("k")))
			if err != nil {
				t.Errorf("Create: %v", err)
			}
			if !replayed {
				made.Add(1)
			}
			if want := order.KeyedID("", "k"); o.ID != want {
				t.Errorf("id %s, not %s", o.ID, want)
			}
		})
		if n := made.Load(); n != 1 {
			t.Errorf("%d of them say that they made it", n)
		}
		t.awaitQuiet(1)
	}},
	{"many creates at once, keyed and not, are all stored, each once", func(t *tester) {
		const clients, each = 50, 10
		var ids sync.Map
		concurrently(clients, func(client int) {
			for n := range each {
				d := t.draft()
				if n%2 == 0 {
					d = t.draft(keyed(fmt.Sprintf("%d-%d", client, n)))
				}
				o, _, err := t.Store.Create(t.Context(), d)
				if err != nil {
					t.Errorf("Create: %v", err)
				}
				if _, twice := ids.LoadOrStore(o.ID, true); twice {
					t.Errorf("the id %s was given twice", o.ID)
				}
			}
		})
		t.awaitCount(clients * each)
		t.awaitQuiet(clients * each)
	}},
}

// meanwhile calls watch again and again, beside run, until run returns.
func meanwhile(watch func(), run func()) {
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !done.Load() {
			watch()
		}
	})
	defer wg.Wait()
	defer done.Store(true)
	run()
}

// concurrently runs f(0) to f(n-1) at the same time and waits for all.
func concurrently(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
