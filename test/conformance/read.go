package conformance

import (
	"context"
	"errors"
	"slices"

	"orders/shared/order"
)

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
		meanwhile(func() {
			now, err := t.Store.Get(t.Context(), o.ID)
			if err != nil || now.Status < last {
				t.Errorf("saw %s, then %s (error %v)", last, now.Status, err)
			}
			last = now.Status
		}, func() { t.awaitStatus(o.ID, order.Completed) })
	}},
	{"I16 a call whose context has ended returns an error, and soon", func(t *tester) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := t.Store.Get(ctx, order.KeyedID("", "k")); err == nil || errors.Is(err, order.ErrNotFound) {
			t.Errorf("Get: error %v", err)
		}
		if _, err := t.Store.List(ctx, 1, ""); err == nil {
			t.Error("List: no error")
		}
	}},
}

var listTests = []test{
	{"an empty store has one empty page", func(t *tester) {
		page, err := t.Store.List(t.Context(), 10, "")
		if err != nil || len(page.IDs) != 0 || page.Next != "" {
			t.Errorf("page %+v, error %v", page, err)
		}
	}},
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
	{"the last page says that it is, also when it is full", func(t *tester) {
		for range 4 {
			t.create()
		}
		t.awaitCount(4)
		page, err := t.Store.List(t.Context(), 4, "")
		if err != nil || len(page.IDs) != 4 || page.Next != "" {
			t.Errorf("page %+v, error %v", page, err)
		}
	}},
	{"I12 orders that come while somebody pages do not disturb", func(t *tester) {
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

func sameSet(a, b []order.ID) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
