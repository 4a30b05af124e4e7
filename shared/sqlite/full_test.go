package sqlite

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"orders/shared/order"
)

// TestAFullDiskStopsNobodyButTheWriters fills the file to a limit of SQLite's, which
// fails as a disk does that has no room left. The limit is set on the writer's
// connection while the writer is idle: nothing is due for an hour.
func TestAFullDiskStopsNobodyButTheWriters(t *testing.T) {
	store, err := Open(t.Context(), Config{
		Path: filepath.Join(t.TempDir(), "orders.db"), ProcessingTime: time.Hour, Now: time.Now,
		Random: bufio.NewReader(rand.Reader), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	draft := order.Draft{InitialStatus: order.Completed, Details: order.Details{UserID: "645", ItemIDs: make([]string, order.MaxItems)}}
	limit := func(pages int64) {
		if err := pragma(store.conn, fmt.Sprintf("max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}

	limit(20)
	var last order.Order
	stored := int64(0)
	for ; err == nil; stored++ {
		var o order.Order
		if o, _, err = store.Create(t.Context(), draft); err == nil {
			last = o
		}
	}
	stored--
	if !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Create: error %v, not %v", err, order.ErrUnavailable)
	}
	if tally, err := store.Metrics(t.Context()); err != nil || tally.Total() != stored {
		t.Errorf("metrics %+v, error %v, not %d orders", tally, err, stored)
	}
	if o, err := store.Get(t.Context(), last.ID); err != nil || o.ID != last.ID {
		t.Errorf("Get: %+v, error %v", o, err)
	}

	if err := store.Ping(t.Context()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Ping: %v, not %v", err, order.ErrUnavailable)
	}

	limit(1_000_000)
	// Nothing is due and no order comes: the store tries by itself.
	for deadline := time.Now().Add(20 * time.Second); store.Ping(t.Context()) != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Ping, with space again: %v", store.Ping(t.Context()))
		}
	}
	if _, _, err := store.Create(t.Context(), draft); err != nil {
		t.Errorf("Create, with space again: %v", err)
	}
	if tally, err := store.Metrics(t.Context()); err != nil || tally.Total() != stored+1 {
		t.Errorf("metrics %+v, error %v, not %d orders", tally, err, stored+1)
	}
	if err := store.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
