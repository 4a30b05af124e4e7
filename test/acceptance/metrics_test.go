package acceptance

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"orders/test/ledger"
	"orders/test/service"
)

func TestTheTotalIsTheSumOfTheStatuses(t *testing.T) { // I9, I10
	m := open(t).metrics()
	sum := 0
	for _, n := range m.StatusCounts {
		sum += n
	}
	for _, status := range []string{"Pending", "Processing", "Completed"} { // the others while there is one
		if n, ok := m.StatusCounts[status]; !ok || n < 0 {
			t.Errorf("the metrics are %+v", m)
		}
	}
	if sum != m.TotalOrders {
		t.Errorf("the metrics are %+v", m)
	}
}

func TestMetricsBecomeTheRecountOfAllOrders(t *testing.T) { // I9, I11, I17
	d := open(t)
	if why := os.Getenv("ORDERS_NO_TALLY"); why != "" {
		t.Skip("ORDERS_NO_TALLY: ", why)
	}
	for range 3 {
		d.create(plain, "")
	}
	d.create(`{"user_id": "anna", "item_ids": ["tea"], "total_amount": "9.90", "status": "Completed"}`, "")
	d.changed("cancel")
	final := map[string]service.Order{} // nothing changes them
	d.eventually(func() error {
		for _, id := range d.ids(service.MaxPage) {
			if _, ok := final[id]; ok {
				continue
			}
			o := d.order(id)
			if o.Status != "Completed" && o.Status != "Cancelled" {
				return fmt.Errorf("order %s is %s", id, o.Status)
			}
			final[id] = o
		}
		got, want := d.metrics(), ledger.Metrics(slices.Collect(maps.Values(final)))
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("the metrics are %+v, a recount gives %+v", got, want)
		}
		return nil
	})
}
