package order_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orders/shared/order"
)

const processing = 50 * time.Second

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// F8, F16, I5, I6.
func TestStatusesOnlyMoveForward(t *testing.T) {
	pending := order.New(order.Draft{}, "ORD", noon)
	started, err := pending.Advance(order.Message{To: order.Processing}, noon.Add(time.Second), order.Timer(processing))
	if err != nil || started.Status != order.Processing || !started.StartedAt.Equal(noon.Add(time.Second)) {
		t.Fatalf("started %+v, error %v", started, err)
	}
	completed, err := started.Advance(order.Message{To: order.Completed}, noon.Add(52*time.Second), order.Timer(processing))
	if err != nil || completed.Status != order.Completed || !completed.CompletedAt.Equal(noon.Add(52*time.Second)) ||
		!completed.StartedAt.Equal(started.StartedAt) || !completed.CreatedAt.Equal(noon) {
		t.Fatalf("completed %+v, error %v", completed, err)
	}
	for _, o := range []order.Order{pending, started, completed} {
		for _, to := range order.Statuses {
			if to > o.Status {
				continue
			}
			if same, err := o.Advance(order.Message{To: to}, noon.Add(time.Hour), order.Timer(processing)); !errors.Is(err, order.ErrAlreadyDone) || !reflect.DeepEqual(same, o) {
				t.Errorf("%s to %s: %+v, error %v", o.Status, to, same, err)
			}
		}
	}
}

// F9, F20, I7.
func TestAnEarlyTransitionIsRefusedUntilItsTime(t *testing.T) {
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
		same, err := tt.from.Advance(order.Message{To: order.Completed}, tt.now, order.Timer(processing))
		early, ok := errors.AsType[*order.EarlyError](err)
		if !ok || !early.Until.Equal(tt.until) || !reflect.DeepEqual(same, tt.from) {
			t.Errorf("completing %s: %+v, error %v, not early until %s", name, same, err, tt.until)
		}
	}
	if _, err := started.Advance(order.Message{To: order.Completed}, noon.Add(processing), order.Timer(processing)); err != nil {
		t.Errorf("completing at the first possible moment: %v", err)
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
			if next, err := o.Advance(order.Message{To: o.Status + 1}, now, order.Timer(processing)); err == nil {
				o = next
			}
		}
		if err := o.Validate(); err != nil || o.CompletedAt.Sub(o.StartedAt) < processing {
			t.Fatalf("order %+v, %v", o, err)
		}
	})
}

func TestTimesAreUTCAndTruncatedToMilliseconds(t *testing.T) {
	exact := noon.Add(time.Second + 1_999_999).In(time.FixedZone("", 3600))
	want := noon.Add(time.Second + time.Millisecond)
	o := order.New(order.Draft{InitialStatus: order.Processing}, "ORD", exact)
	if o.CreatedAt != want || o.StartedAt != want {
		t.Errorf("imported at %s: %+v", exact, o)
	}
	if o, err := o.Advance(order.Message{To: order.Completed}, exact.Add(processing), order.Timer(processing)); err != nil || o.CompletedAt != want.Add(processing) {
		t.Errorf("completed at %s: %+v, %v", exact.Add(processing), o, err)
	}
}

func TestNewKeepsTheDraft(t *testing.T) {
	d := order.Draft{Details: order.Details{
		ClientReference: "r", UserID: "u", ItemIDs: []string{"i"}, TotalAmount: 1, Fingerprint: order.Fingerprint{1},
	}}
	for _, s := range order.InitialStatuses {
		d.InitialStatus = s
		want := order.Order{ID: "ORD", Details: d.Details, Status: s, CreatedAt: noon}
		if s == order.Processing {
			want.StartedAt = noon
		}
		if got := order.New(d, "ORD", noon); !reflect.DeepEqual(got, want) || got.Validate() != nil {
			t.Errorf("New makes %+v, not %+v; Validate: %v", got, want, got.Validate())
		}
	}
}

// F15, I6, I8.
func TestValidateRefusesALifecycleThatCannotBe(t *testing.T) {
	at := func(seconds ...int) (o order.Order) { // a negative number leaves the time out
		for i, field := range []*time.Time{&o.CreatedAt, &o.StartedAt, &o.CompletedAt} {
			if seconds[i] >= 0 {
				*field = noon.Add(time.Duration(seconds[i]) * time.Second)
			}
		}
		return o
	}
	for _, tt := range []struct {
		status order.Status
		order  order.Order
		want   string // "" for nil
	}{
		{order.Pending, at(0, -1, -1), ""},
		{order.Processing, at(0, 0, -1), ""},
		{order.Processing, at(0, 1, -1), ""},
		{order.Completed, at(0, 1, 51), ""},
		{order.Completed, at(0, 1, 1), ""},
		{order.Completed, at(0, -1, -1), ""}, // imported

		{order.Pending, at(0, 1, -1), "status Pending contradicts the times (started: true, completed: false)"},
		{order.Pending, at(0, -1, 1), "status Pending contradicts the times (started: false, completed: true)"},
		{order.Processing, at(0, -1, -1), "status Processing contradicts the times (started: false, completed: false)"},
		{order.Processing, at(0, 1, 2), "status Processing contradicts the times (started: true, completed: true)"},
		{order.Completed, at(0, 1, -1), "status Completed contradicts the times (started: true, completed: false)"},
		{order.Completed, at(0, -1, 1), "status Completed contradicts the times (started: false, completed: true)"},
		{order.Pending, at(-1, -1, -1), "creation time is missing"},
		{order.Processing, at(1, 0, -1), "started before it was created"},
		{order.Completed, at(0, 2, 1), "completed before it was started"},
		{order.Cancelled + 1, at(0, 1, 51), "unknown status 5"},
	} {
		tt.order.Status = tt.status
		got := ""
		if err := tt.order.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.order, got, tt.want)
		}
	}
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
	if got := order.Status(5).String(); got != "unknown" {
		t.Errorf("an unknown status is %q", got)
	}
}
