package acceptance

import (
	"net/http"
	"slices"
	"testing"

	"orders/test/service"
)

const plain = `{"user_id": 645, "item_ids": [890, 563], "total_amount": 1650.78}`

// maxLag bounds the time from when a transition is due to when it takes effect: more
// than a queue that delays by whole seconds needs, less than a retry after the
// visibility timeout, which would mean that the first attempt failed.
const maxLag = eventuallyTimeout / 2

func TestAnOrderIsProcessedThroughItsLifecycle(t *testing.T) { // I4, I7, I8
	d := open(t)
	created := d.create(plain, "")
	if created.Status != "Pending" {
		t.Errorf("the order begins as %s", created.Status)
	}
	o := d.await(created.OrderID)
	d.checkTimes(o)
	if o.OrderID != created.OrderID || o.UserID != "645" || !slices.Equal(o.ItemIDs, []string{"890", "563"}) || o.TotalAmount != "1650.78" || o.ClientReference != "" {
		t.Errorf("the order is %+v", o)
	}
}

// checkTimes checks the times of a completed order.
func (d *deployment) checkTimes(o service.Order) {
	d.Helper()
	if o.StartedAt.IsZero() || o.CompletedAt.IsZero() {
		d.Fatalf("completed without having been started and completed: %+v", o)
	}
	if wait := o.StartedAt.Sub(o.CreatedAt); wait < 0 || wait > maxLag {
		d.Errorf("started %s after it was created: %+v", wait, o)
	}
	if work := o.CompletedAt.Sub(o.StartedAt); work < d.processingTime || work > d.processingTime+maxLag {
		d.Errorf("completed %s after it was started: %+v", work, o)
	}
}

func TestAnOrderImportedAsProcessingIsCompleted(t *testing.T) {
	d := open(t)
	created := d.create(`{"user_id": 645, "order_id": "userTest23", "item_ids": [890, 563], "total_amount": 1650.78, "status": "Processing"}`, "")
	if created.Status != "Processing" {
		t.Errorf("the order begins as %s", created.Status)
	}
	o := d.await(created.OrderID)
	d.checkTimes(o)
	if !o.StartedAt.Equal(o.CreatedAt) || o.ClientReference != "userTest23" {
		t.Errorf("the order is %+v", o)
	}
}

func TestAnOrderImportedAsCompletedIsNeverProcessed(t *testing.T) {
	d := open(t)
	created := d.create(`{"user_id": "anna", "item_ids": ["tea"], "total_amount": "9.90", "status": "Completed"}`, "")
	if o := d.await(created.OrderID); !o.StartedAt.IsZero() || !o.CompletedAt.IsZero() {
		t.Errorf("the order is %+v", o)
	}
}

func TestARetryWithItsKeyFindsItsOrder(t *testing.T) { // I3
	d := open(t)
	key := unique("cart")
	first := d.create(plain, key)
	d.await(first.OrderID)
	again := d.create(`{"item_ids":["890","563"],"total_amount":"1650.780","user_id":"645"}`, key)
	if !again.Replayed || again.OrderID != first.OrderID || again.Status != first.Status {
		t.Errorf("the response to the retry is %+v, not %+v", again, first)
	}
	other := d.send(http.MethodPost, "/api/orders/create/", `{"user_id": 645, "item_ids": [890], "total_amount": 1650.78}`, "Idempotency-Key", key)
	d.wantProblem(other, http.StatusUnprocessableEntity, "idempotency_key_reused")
}
