package acceptance

import (
	"fmt"
	"os"
	"testing"
)

type metrics struct {
	TotalOrders    int            `json:"total_orders"`
	AvgProcessTime float64        `json:"avg_process_time"`
	StatusCounts   map[string]int `json:"status_counts"`
}

func TestMetricsBecomeTheRecountOfAllOrders(t *testing.T) { // I9, I11, I17
	h := open(t)
	if why := os.Getenv("ORDERS_NO_TALLY"); why != "" {
		t.Skip("ORDERS_NO_TALLY: ", why)
	}
	for range 3 {
		h.create(plain)
	}
	h.create(`{"user_id": "anna", "item_ids": ["tea"], "total_amount": "9.90", "status": "Completed"}`)
	for _, id := range h.ids(1000) {
		h.await(id)
	}
	want := h.recount()
	h.eventually(func() error {
		got := get[metrics](h, "/api/metrics/")
		if sum := got.StatusCounts["Pending"] + got.StatusCounts["Processing"] + got.StatusCounts["Completed"]; len(got.StatusCounts) != 3 || got.TotalOrders != sum {
			t.Fatalf("the total is not the sum of the statuses: %+v", got)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("the metrics are %+v, a recount gives %+v", got, want)
		}
		return nil
	})
}

// recount works out the metrics from all orders, which are completed.
func (h *home) recount() metrics {
	h.Helper()
	m := metrics{StatusCounts: map[string]int{"Pending": 0, "Processing": 0, "Completed": 0}}
	var timed, milliseconds int64
	for _, id := range h.ids(1000) {
		o := h.order(id)
		m.TotalOrders++
		m.StatusCounts[o.Status]++
		if o.CompletedAt != nil {
			timed++
			milliseconds += o.CompletedAt.Sub(o.CreatedAt).Milliseconds()
		}
	}
	m.AvgProcessTime = float64(milliseconds) / float64(timed) / 1000
	return m
}
