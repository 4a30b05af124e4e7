package order_test

import (
	"testing"
	"time"

	"orders/shared/order"
)

func TestAnOrderIsOverdueOnceItsMessageIsLaterThanTheGrace(t *testing.T) {
	const processing, grace = 50 * time.Second, 10 * time.Minute
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		order order.Order
		due   time.Time // zero: never
	}{
		"Pending":    {order.Order{Status: order.Pending, CreatedAt: noon}, noon},
		"Processing": {order.Order{Status: order.Processing, CreatedAt: noon, StartedAt: noon.Add(time.Minute)}, noon.Add(time.Minute + processing)},
		"Completed":  {order.Order{Status: order.Completed, CreatedAt: noon}, time.Time{}},
	} {
		for late, want := range map[time.Duration]bool{grace - 1: false, grace: true, 24 * time.Hour: true} {
			now := noon.Add(24 * time.Hour)
			if !tt.due.IsZero() {
				now = tt.due.Add(late)
			}
			m, got := tt.order.Overdue(processing, grace, now)
			if want = want && !tt.due.IsZero(); got != want || got && !m.NotBefore.Equal(tt.due) {
				t.Errorf("%s, %s late: overdue %t, message %+v, want %t", name, late, got, m, want)
			}
		}
	}
}
