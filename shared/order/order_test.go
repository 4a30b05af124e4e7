package order_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orders/shared/order"
)

const processing = 50 * time.Second

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// F8, F16, I5, I6.
func TestAnOrderGoesOneWay(t *testing.T) {
	pending := order.New(order.Draft{}, "ORD", noon)
	started, err := pending.Advance(order.Processing, noon.Add(time.Second), processing)
	if err != nil || started.Status != order.Processing || !started.StartedAt.Equal(noon.Add(time.Second)) {
		t.Fatalf("started %+v, error %v", started, err)
	}
	completed, err := started.Advance(order.Completed, noon.Add(51*time.Second), processing)
	if err != nil || completed.Status != order.Completed || !completed.CompletedAt.Equal(noon.Add(51*time.Second)) {
		t.Fatalf("completed %+v, error %v", completed, err)
	}
	for _, o := range []order.Order{pending, started, completed} {
		for _, to := range order.Statuses {
			if to > o.Status {
				continue
			}
			if same, err := o.Advance(to, noon.Add(time.Hour), processing); !errors.Is(err, order.ErrAlreadyDone) || same.Status != o.Status {
				t.Errorf("%s to %s: %s, error %v", o.Status, to, same.Status, err)
			}
		}
	}
}

// F9, F20, I7.
func TestATransitionWaitsForItsTime(t *testing.T) {
	pending := order.New(order.Draft{}, "ORD", noon)
	started := order.New(order.Draft{InitialStatus: order.Processing}, "ORD", noon)
	for name, tt := range map[string]struct {
		from  order.Order
		now   time.Time
		until time.Time
	}{
		"a millisecond early":         {started, noon.Add(processing - time.Millisecond), noon.Add(processing)},
		"by a clock that lies behind": {started, noon.Add(-10 * time.Minute), noon.Add(processing)},
		"before the start":            {pending, noon.Add(time.Hour), noon.Add(time.Hour + processing)},
	} {
		_, err := tt.from.Advance(order.Completed, tt.now, processing)
		early, ok := errors.AsType[*order.EarlyError](err)
		if !ok || !early.Until.Equal(tt.until) {
			t.Errorf("completing %s: error %v, not early until %s", name, err, tt.until)
		}
	}
}

// F20, I7, I8: for any clock.
func TestTimesNeverRunBackwards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := func(label string) time.Time {
			return noon.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, label)))
		}
		o := order.New(order.Draft{InitialStatus: order.Status(rapid.IntRange(0, 1).Draw(t, "status"))}, "ORD", clock("created"))
		for attempt := 0; o.Status != order.Completed; attempt++ {
			now := clock("now")
			if attempt > 10 {
				now = noon.Add(24 * time.Hour)
			}
			if next, err := o.Advance(o.Status+1, now, processing); err == nil {
				o = next
			}
		}
		if o.StartedAt.Before(o.CreatedAt) || o.CompletedAt.Sub(o.StartedAt) < processing {
			t.Fatalf("order %+v", o)
		}
	})
}

func TestStatusNames(t *testing.T) {
	for _, s := range order.Statuses {
		if got, ok := order.ParseStatus(s.String()); !ok || got != s {
			t.Errorf("%s is read as %s, %v", s, got, ok)
		}
	}
	for _, name := range []string{"", "pending", "PENDING", " Pending", "Shipped", "unknown"} {
		if s, ok := order.ParseStatus(name); ok {
			t.Errorf("%q is read as %s", name, s)
		}
	}
	if got := order.Status(3).String(); got != "unknown" {
		t.Errorf("a status that is none is %q", got)
	}
}
