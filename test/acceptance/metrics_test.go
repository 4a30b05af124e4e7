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

func TestTheTotalIsTheSumOfTheStatuses(t *testing.T) { // I9, I10
	m := get[metrics](open(t), "/api/metrics/")
	sum := 0
	for _, n := range m.StatusCounts {
		sum += n
	}
	if len(m.StatusCounts) != 3 || sum != m.TotalOrders || min(m.StatusCounts["Pending"], m.StatusCounts["Processing"], m.StatusCounts["Completed"]) < 0 {
		t.Errorf("the metrics are %+v", m)
	}
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
	completed := map[string]order{} // nothing changes them
	h.eventually(func() error {
		for _, id := range h.ids(1000) {
			if _, ok := completed[id]; ok {
				continue
			}
			o := h.order(id)
			if o.Status != "Completed" {
				return fmt.Errorf("order %s is %s", id, o.Status)
			}
			completed[id] = o
		}
		got, want := get[metrics](h, "/api/metrics/"), recount(completed)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("the metrics are %+v, a recount gives %+v", got, want)
		}
		return nil
	})
}

// recount works out the metrics from all orders, which are completed.
func recount(completed map[string]order) metrics {
	var timed, milliseconds int64
	for _, o := range completed {
		if o.CompletedAt != nil {
			timed++
			milliseconds += o.CompletedAt.Sub(o.CreatedAt).Milliseconds()
		}
	}
	return metrics{
		TotalOrders:    len(completed),
		AvgProcessTime: float64(milliseconds) / float64(timed) / 1000,
		StatusCounts:   map[string]int{"Pending": 0, "Processing": 0, "Completed": len(completed)},
	}
}
