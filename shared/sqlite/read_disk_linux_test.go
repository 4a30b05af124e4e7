package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"orders/shared/order"
)

// F23, I1: a file that cannot be read makes orders unavailable, not unknown, and they are
// all there when it is opened on a disk that is well.
func TestAReadThatFailsIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	first := openStore(t, path, time.Hour)
	var ids []order.ID
	for range 200 {
		o, _, err := first.Create(t.Context(), aDraft())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, o.ID)
	}
	closeStore(t, first)
	store := openStore(t, path, time.Hour)

	mend := breakFileFor(t, path, os.O_WRONLY)
	failed := 0
	for _, id := range ids {
		if o, err := store.Get(t.Context(), id); err != nil {
			failed++
			if !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrNotFound) {
				t.Fatalf("Get: %+v, error %v, not %v", o, err, order.ErrUnavailable)
			}
		}
	}
	if failed == 0 {
		t.Error("all orders can be read: nothing is proved")
	}
	mend()
	_ = store.Close() // which tells why it has stopped, if SQLite took the failure for damage
	again := openStore(t, path, time.Hour)
	defer closeStore(t, again)
	for _, id := range ids {
		if o, err := again.Get(t.Context(), id); err != nil || o.ID != id {
			t.Errorf("Get, with a disk that is well: %+v, error %v", o, err)
		}
	}
}
