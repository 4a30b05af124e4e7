package conformance

import (
	"context"
	"fmt"
	"testing"

	"orders/shared/order"
)

func TestARequestWithAKeyIsSentAgainWhileTheStoreIsUnavailable(t *testing.T) {
	for key, calls := range map[string]int{"k": 3, "": 1} {
		store := &busyStore{}
		tester := &tester{TB: t, Harness: Harness{Store: store}}
		_, _, err := tester.store(order.Draft{Key: order.ID(key)})
		if store.calls != calls || (err == nil) != (key != "") {
			t.Errorf("key %q: %d calls, error %v", key, store.calls, err)
		}
	}
}

// A busyStore is unavailable for two calls.
type busyStore struct {
	order.Store
	calls int
}

func (s *busyStore) Create(context.Context, order.Draft) (o order.Order, replayed bool, err error) {
	if s.calls++; s.calls < 3 {
		err = fmt.Errorf("%w: busy", order.ErrUnavailable)
	}
	return o, replayed, err
}
