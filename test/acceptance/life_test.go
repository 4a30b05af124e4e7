package acceptance

import (
	"net/http"
	"slices"
	"testing"
)

const plain = `{"user_id": 645, "item_ids": [890, 563], "total_amount": 1650.78}`

// The latest that a transition may take effect after its time has come: more than
// a queue that delays by whole seconds needs, less than a retry after the
// visibility timeout, which would mean that the first attempt failed.
const delay = patience / 2

func TestAnOrderIsWorkedThroughItsLife(t *testing.T) { // I4, I7, I8
	h := open(t)
	created := h.create(plain)
	if created.Status != "Pending" {
		t.Errorf("the order begins as %s", created.Status)
	}
	o := h.await(created.OrderID)
	h.checkTimes(o)
	if o.OrderID != created.OrderID || o.UserID != "645" || !slices.Equal(o.ItemIDs, []string{"890", "563"}) || o.TotalAmount != "1650.78" || o.ClientReference != nil {
		t.Errorf("the order is %+v", o)
	}
}

// checkTimes holds a completed order to the times it must have.
func (h *home) checkTimes(o order) {
	h.Helper()
	if o.StartedAt == nil || o.CompletedAt == nil {
		h.Fatalf("completed without having been started and completed: %+v", o)
	}
	if wait := o.StartedAt.Sub(o.CreatedAt); wait < 0 || wait > delay {
		h.Errorf("started %s after it was created: %+v", wait, o)
	}
	if work := o.CompletedAt.Sub(*o.StartedAt); work < h.processingTime || work > h.processingTime+delay {
		h.Errorf("completed %s after it was started: %+v", work, o)
	}
}

func TestAnOrderTakenOverAsProcessingIsCompleted(t *testing.T) {
	h := open(t)
	created := h.create(`{"user_id": 645, "order_id": "userTest23", "item_ids": [890, 563], "total_amount": 1650.78, "status": "Processing"}`)
	if created.Status != "Processing" {
		t.Errorf("the order begins as %s", created.Status)
	}
	o := h.await(created.OrderID)
	h.checkTimes(o)
	if !o.StartedAt.Equal(o.CreatedAt) || o.ClientReference == nil || *o.ClientReference != "userTest23" {
		t.Errorf("the order is %+v", o)
	}
}

func TestAnOrderTakenOverAsCompletedIsNeverWorkedOn(t *testing.T) {
	h := open(t)
	created := h.create(`{"user_id": "anna", "item_ids": ["tea"], "total_amount": "9.90", "status": "Completed"}`)
	if o := h.await(created.OrderID); o.StartedAt != nil || o.CompletedAt != nil {
		t.Errorf("the order is %+v", o)
	}
}

func TestARetryWithItsKeyFindsItsOrder(t *testing.T) { // I3
	h := open(t)
	key := []string{"Idempotency-Key", unique("cart")}
	first := h.create(plain, key...)
	h.await(first.OrderID)
	again := h.ask(http.MethodPost, "/api/orders/create", `{"item_ids":["890","563"],"total_amount":"1650.780","user_id":"645"}`, key...)
	if again.StatusCode != http.StatusCreated || again.Header.Get("Idempotency-Replayed") != "true" || decode[summary](h, again) != first {
		t.Errorf("the retry is answered %s %v: %s", again.Status, again.Header, again.body)
	}
	other := h.ask(http.MethodPost, "/api/orders/create/", `{"user_id": 645, "item_ids": [890], "total_amount": 1650.78}`, key...)
	h.wantProblem(other, http.StatusUnprocessableEntity, "idempotency_key_reused")
}
