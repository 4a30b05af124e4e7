package acceptance

import (
	"fmt"
	"testing"

	"orders/test/service"
)

func TestACancelledOrderStaysCancelled(t *testing.T) { // I4, I5
	d := open(t)
	id := d.changed("cancel")
	d.await(d.create(plain, "").OrderID) // created later, and done
	d.transition(id, "cancel", 2)
	d.checkConflict(id, "complete", "Cancelled", 3)
	d.checkHistory(id, "start", "cancel")
	if o := d.order(id); o.Status != "Cancelled" || o.CancelledAt.Before(o.StartedAt) || o.Reason != "no stock" {
		t.Errorf("the order is %+v", o)
	}
}

func TestAFailedOrderWaitsForARetry(t *testing.T) { // I4, I5, I7
	d := open(t)
	id := d.changed("fail")
	d.await(d.create(plain, "").OrderID) // created later, and done
	d.checkConflict(id, "complete", "Failed", 3)
	d.transition(id, "retry", 3)
	d.eventually(func() error {
		if o := d.order(id); o.Version != 6 {
			return fmt.Errorf("order %s is %s at version %d", id, o.Status, o.Version)
		}
		return nil
	})
	d.checkHistory(id, "start", "fail", "retry", "start", "complete")
	if o := d.order(id); o.Status != "Completed" || o.CompletedAt.Sub(o.StartedAt) < d.processingTime || !o.FailedAt.IsZero() {
		t.Errorf("the order is %+v", o)
	}
}

// changed imports orders as Processing until a transition of one comes before its completion, and
// returns its id.
func (d *deployment) changed(transition string) string {
	d.Helper()
	for {
		id := d.create(`{"user_id": 645, "item_ids": [890], "total_amount": 1650.78, "status": "Processing"}`, "").OrderID
		conflict := d.ask(id, transition, 2)
		if conflict == nil {
			return id
		}
		if conflict.Status != "Completed" {
			d.Fatalf("%s of %s: the order is %+v", transition, id, conflict)
		}
	}
}

// ask asks for a transition, and returns the conflict if it is refused.
func (d *deployment) ask(id, transition string, version int) *service.Conflict {
	d.Helper()
	conflict, err := d.Transition(d.Context(), id, transition, version, "no stock")
	if err != nil {
		d.Fatal(err)
	}
	return conflict
}

// transition asks for a transition that must be made, now or before.
func (d *deployment) transition(id, transition string, version int) {
	d.Helper()
	if conflict := d.ask(id, transition, version); conflict != nil {
		d.Errorf("%s of %s: the order is %+v", transition, id, conflict)
	}
}

// checkConflict asks for a transition that the order does not allow.
func (d *deployment) checkConflict(id, transition, status string, version int) {
	d.Helper()
	if got := d.ask(id, transition, 0); got == nil || got.Status != status || got.Version != version {
		d.Errorf("%s of %s: %+v, want %s at version %d", transition, id, got, status, version)
	}
}

// checkHistory compares the transitions of an order.
func (d *deployment) checkHistory(id string, want ...string) {
	d.Helper()
	var got []string
	for _, e := range d.order(id).History {
		got = append(got, e.Transition)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.Errorf("the history of %s is %q, want %q", id, got, want)
	}
}
