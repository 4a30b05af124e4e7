package conformance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
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
		for _, s := range order.InitialStatuses {
			before := order.Timestamp(time.Now())
			o := t.create(imported(s))
			if o.Status != s {
				t.Errorf("imported as %s, created as %s", s, o.Status)
			}
			if o.CreatedAt.Before(before) || o.CreatedAt.After(time.Now()) || !o.CreatedAt.Equal(order.Timestamp(o.CreatedAt)) {
				t.Errorf("created at %s, not in milliseconds from %s to now", o.CreatedAt, before)
			}
			if started := !o.StartedAt.IsZero(); started != (s == order.Processing) {
				t.Errorf("imported as %s, started at %s", s, o.StartedAt)
			}
			if !o.CompletedAt.IsZero() {
				t.Errorf("imported as %s, completed at %s", s, o.CompletedAt)
			}
		}
	}},
	{"without a key, the same request makes an order each time", func(t *tester) {
		a, b := t.create(), t.create()
		for _, id := range []order.ID{a.ID, b.ID} {
			if _, err := order.ParseID(string(id)); err != nil || a.ID == b.ID {
				t.Errorf("ids %q and %q: %v", a.ID, b.ID, err)
			}
		}
	}},
	{"I3 the same key and request return the order that exists, also when it is completed", func(t *tester) {
		first := t.create(keyed("k"))
		again := func(least order.Status) {
			o, replayed, err := t.store(t.draft(keyed("k")))
			if err != nil || !replayed || o.ID != first.ID || !o.CreatedAt.Equal(first.CreatedAt) || o.Status < least {
				t.Errorf("again: %+v, replayed %v, error %v; first: %+v", o, replayed, err, first)
			}
		}
		again(order.Pending)
		again(order.Pending)
		t.awaitStatus(first.ID, order.Completed)
		again(order.Completed)
		t.awaitCount(1)
	}},
	{"I2 the same key with another request is refused, and stores nothing", func(t *tester) {
		first := t.create(keyed("k"))
		other := func(d *order.Draft) { d.TotalAmount++ }
		if _, _, err := t.store(t.draft(keyed("k"), other)); !errors.Is(err, order.ErrKeyReused) {
			t.Errorf("error %v, not %v", err, order.ErrKeyReused)
		}
		if o := t.get(first.ID); o.TotalAmount != first.TotalAmount {
			t.Errorf("the amount is now %s, was %s", o.TotalAmount, first.TotalAmount)
		}
		t.awaitCount(1)
	}},
	{"I3 fifty creates at once with one key make one order", func(t *tester) {
		var made atomic.Int64
		t.concurrently(50, func(int) error {
			o, replayed, err := t.store(t.draft(keyed("k")))
			if err != nil {
				return fmt.Errorf("create: %w", err)
			}
			if !replayed {
				made.Add(1)
			}
			if want := order.KeyedID("", "k"); o.ID != want {
				return fmt.Errorf("id %s, not %s", o.ID, want)
			}
			return nil
		})
		if n := made.Load(); n > 1 || n == 0 && t.repeated.Load() == 0 {
			t.Errorf("%d of them say that they made it", n)
		}
		t.awaitCompleted(1)
	}},
	{"I4 many creates at once, keyed and not, are all stored and completed, each once", func(t *tester) {
		const clients, each = 50, 10
		var ids sync.Map
		t.concurrently(clients, func(client int) error {
			for n := range each {
				d := t.draft()
				if n%2 == 0 {
					d = t.draft(keyed(fmt.Sprintf("%d-%d", client, n)))
				}
				o, _, err := t.store(d)
				if err != nil {
					return fmt.Errorf("create: %w", err)
				}
				if _, twice := ids.LoadOrStore(o.ID, true); twice {
					return fmt.Errorf("the id %s was given twice", o.ID)
				}
			}
			return nil
		})
		t.awaitCount(clients * each)
		t.awaitCompleted(clients * each)
	}},
}

var readTests = []test{
	{"an id that names no order is not found", func(t *tester) {
		o := t.create()
		for _, id := range []order.ID{
			order.KeyedID("", "never used"),
			"ORD00000000000000000000000000",
			"ORD7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
			"ORDZZZZZZZZZZZZZZZZZZZZZZZZZZ",
			// The neighbour of an id that exists: ids are not to be guessed.
			o.ID[:len(o.ID)-1] + map[bool]order.ID{true: "1", false: "0"}[o.ID[len(o.ID)-1] == '0'],
		} {
			if _, err := t.Store.Get(t.Context(), id); !errors.Is(err, order.ErrNotFound) {
				t.Errorf("Get(%s): error %v, not %v", id, err, order.ErrNotFound)
			}
		}
	}},
	{"I6 no reader sees a status go backwards", func(t *tester) {
		o := t.create()
		last := order.Pending
		whileRunning(func() { t.awaitStatus(o.ID, order.Completed) }, func() {
			now, err := t.Store.Get(t.Context(), o.ID)
			if err != nil || now.Status < last {
				t.Errorf("saw %s, then %s (error %v)", last, now.Status, err)
			}
			last = now.Status
		})
	}},
	{"I16 a call whose context has ended returns an error at once", func(t *tester) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := t.Store.Get(ctx, order.KeyedID("", "k")); err == nil || errors.Is(err, order.ErrNotFound) {
			t.Errorf("Get: error %v", err)
		}
		if _, err := t.Store.List(ctx, 1, ""); err == nil {
			t.Error("List: no error")
		}
		cancelled := order.TransitionRequest{Transition: order.Cancel}
		if _, err := t.Store.Transition(ctx, order.KeyedID("", "k"), cancelled); err == nil || errors.Is(err, order.ErrNotFound) {
			t.Errorf("Transition: error %v", err)
		}
	}},
}

var listTests = []test{
	{"I12 pages joined are all ids, newest first, none twice, whatever their size", func(t *tester) {
		var want []order.ID
		for i := range 23 {
			if i%3 == 0 {
				want = append(want, t.create(keyed(string(rune('a'+i)))).ID)
			} else {
				want = append(want, t.create().ID)
			}
		}
		slices.Reverse(want)
		t.awaitCount(len(want))
		for _, limit := range []int{1, 2, 7, 22, 23, 24, 1000} {
			if got := t.all(limit); !t.newestFirst(got) || !sameSet(got, want) {
				t.Errorf("pages of %d: %v, not %v", limit, got, want)
			}
		}
	}},
	{"the last page says that it is, also when it is empty or full", func(t *tester) {
		for n := range 5 {
			t.awaitCount(n)
			page, err := t.Store.List(t.Context(), 4, "")
			if err != nil || len(page.IDs) != n || page.Next != "" {
				t.Errorf("page %+v of %d orders, error %v", page, n, err)
			}
			t.create()
		}
	}},
	{"I12 orders that are created while a client reads pages do not change them", func(t *tester) {
		for range 10 {
			t.create()
		}
		t.awaitCount(10)
		want := t.all(1000)
		page, err := t.Store.List(t.Context(), 4, "")
		if err != nil {
			t.Fatal(err)
		}
		got := page.IDs
		for page.Next != "" {
			t.create()
			if page, err = t.Store.List(t.Context(), 4, page.Next); err != nil {
				t.Fatal(err)
			}
			got = append(got, page.IDs...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages give %v, not %v", got, want)
		}
	}},
	{"a position that no page gave out is refused", func(t *tester) {
		t.create()
		for _, after := range []string{"x", "-1", "0", " ", "1e3", "99999999999999999999999", "ORDER#x", "\x00", "☃"} {
			if page, err := t.Store.List(t.Context(), 10, after); !errors.Is(err, order.ErrInvalidCursor) {
				t.Errorf("List(after %q): %+v, error %v, not %v", after, page, err, order.ErrInvalidCursor)
			}
		}
	}},
}

// newestFirst reports whether no order in the list is older than its successor.
func (t *tester) newestFirst(ids []order.ID) bool {
	return slices.IsSortedFunc(ids, func(a, b order.ID) int {
		return t.get(b).CreatedAt.Compare(t.get(a).CreatedAt)
	})
}
