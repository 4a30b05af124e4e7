package sqlite

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"testing"

	"orders/shared/order"
)

// schema3 is a file that the last release without exceptions has written: three Completed orders, of
// which the second has the key "old-key-1", and two Processing orders.
//
//go:embed testdata/schema3.db.gz
var schema3 []byte

// I1, I3, I4, I9: the orders of before go on, and can make the new transitions.
func TestAFileOfTheReleaseBeforeOpensAndGoesOn(t *testing.T) {
	unzipped, err := gzip.NewReader(bytes.NewReader(schema3))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	path := newPath(t)
	overwrite(t, path, content)
	cfg := storeConfig(path, 0)
	cfg.Fulfilment = order.Fulfilment{External: true, AttemptTimeout: order.MaxProcessingTime, MaxAttempts: 9}
	store, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	page, err := store.List(t.Context(), 10, "")
	if err != nil || len(page.IDs) != 5 || page.IDs[3] != order.KeyedID("", "old-key-1") {
		t.Fatalf("%v, %v", page.IDs, err)
	}
	for i, transition := range []order.Transition{order.Cancel, order.Fail} { // newest first
		o, err := store.Transition(t.Context(), page.IDs[i], order.TransitionRequest{Transition: transition, Reason: "why"})
		if err != nil || o.Status != transition.To() {
			t.Errorf("%s: %+v, %v", transition, o, err)
		}
	}
	closeStore(t, store)
	report, err := Check(t.Context(), path)
	if want := (order.Counts{order.Completed: 3, order.Failed: 1, order.Cancelled: 1}); err != nil || report.Tally.ByStatus != want || len(report.Findings) > 0 {
		t.Errorf("%+v, %v, want %v and no finding", report, err, want)
	}
}
