package sqlite

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
)

// F20, I4, I7: a Completed order has its processing time, and no more delay.
func TestNoOrderWaitsLongerAfterTheClockWasSetBack(t *testing.T) {
	r := newRig(t)
	id := r.create(order.Draft{InitialStatus: order.Processing})[0].order.ID
	r.close()
	r.now = r.now.Add(-10 * time.Minute)
	r.open()
	r.now = r.now.Add(historyProcessing)
	work(r.w, r.now)
	r.has(id, order.Completed)
	if o, err := r.store.Get(t.Context(), id); err != nil || o.CompletedAt.Sub(o.StartedAt) < historyProcessing {
		t.Errorf("order %+v, error %v", o, err)
	}
}

// F20, I3, I8, I12.
func TestSeqsGrowThoughTheClockRunsBackwards(t *testing.T) {
	r, last := newRig(t), int64(0)
	for i := range 9 {
		if i%3 == 2 {
			r.close()
			r.open()
		}
		if seq := decodeSeq(r.createOne()); seq <= last {
			t.Errorf("seq %d comes after %d", seq, last)
		} else {
			last = seq
		}
		r.now = r.now.Add(-time.Hour)
	}
}

// clocks are a wall clock and an elapsed time that a test sets.
type clocks struct {
	now     time.Time
	elapsed time.Duration
	log     bytes.Buffer
}

func (c *clocks) clock() *clock {
	c.now, c.elapsed = epoch, time.Hour
	return newClock(Config{
		Now:     func() time.Time { return c.now },
		Elapsed: func() time.Duration { return c.elapsed },
		Log:     slog.New(slog.NewTextHandler(&c.log, nil)),
	})
}

// pass lets time pass on both clocks.
func (c *clocks) pass(d time.Duration) { c.now, c.elapsed = c.now.Add(d), c.elapsed+d }

// F20: a wall clock that leaps ahead for a moment dates no order into the future.
func TestALeapOfTheWallClockDatesNoOrder(t *testing.T) {
	var c clocks
	clock, right := c.clock(), c.now
	for range 3 {
		c.pass(time.Second)
		right = right.Add(time.Second)
		c.now = c.now.AddDate(10, 0, 0)
		for range 2 {
			if got := clock.wall(c.now); !got.Equal(right) {
				t.Errorf("orders are dated %s, not %s", got, right)
			}
			c.pass(time.Second)
			right = right.Add(time.Second)
		}
		c.now = right
		c.pass(stepHolds)
		right = right.Add(stepHolds)
		if got := clock.wall(c.now); !got.Equal(right) {
			t.Errorf("with the clock right again orders are dated %s, not %s", got, right)
		}
	}
	if c.log.Len() > 0 {
		t.Errorf("log: %s", &c.log)
	}
}

// F20: a wall clock that was set is followed, and a line is logged.
func TestAStepOfTheWallClockIsFollowedOnceItHasHeld(t *testing.T) {
	for _, step := range []time.Duration{24 * time.Hour, -time.Hour, time.Second} {
		var c clocks
		clock := c.clock()
		right := c.now
		c.now = c.now.Add(step)
		for range 10 {
			if got := clock.wall(c.now); !got.Equal(right) {
				t.Errorf("step %s: orders are dated %s, not %s", step, got, right)
			}
			c.pass(stepHolds / 10)
			right = right.Add(stepHolds / 10)
		}
		clock.wall(c.now)
		if got := clock.wall(c.now); !got.Equal(c.now) {
			t.Errorf("step %s: orders are dated %s, not %s", step, got, c.now)
		}
		if !strings.Contains(c.log.String(), "level=ERROR") {
			t.Errorf("step %s: log %q", step, &c.log)
		}
	}
}

// A clock that was never set, or was set to nonsense, is not followed.
func TestAnImpossibleClockIsNotFollowed(t *testing.T) {
	var c clocks
	clock := c.clock()
	right := c.now
	c.now = time.Unix(0, 0)
	for range 3 {
		clock.wall(c.now)
		c.pass(stepHolds)
		right = right.Add(stepHolds)
	}
	if got := clock.wall(c.now); !got.Equal(right) {
		t.Errorf("orders are dated %s, not %s", got, right)
	}
	c.now = time.Unix(0, 0)
	if _, err := newStore(byHand(newPath(t), &c.now)).open(t.Context()); err == nil || !strings.Contains(err.Error(), "set the clock") {
		t.Errorf("a start with the clock at %s: %v", c.now, err)
	}
}

// F20, I8: the wall clock is ten years ahead for one create, and then right. All orders have the
// right time, and take their processing time.
func TestOrdersAreDatedByTheProcesssOwnClock(t *testing.T) {
	r, elapsed := newRig(t), time.Hour
	r.store.cfg.Elapsed = func() time.Duration { return elapsed }
	r.store.clock = newClock(r.store.cfg)
	right, processing := r.now, order.Draft{InitialStatus: order.Processing}
	r.now = right.AddDate(10, 0, 0)
	made := r.create(processing)
	r.now = right
	made = append(made, r.create(processing)...)
	elapsed += historyProcessing
	r.now = right.Add(historyProcessing)
	// The queue uses the monotonic reading of Now, which this clock does not have.
	r.w.commit(newGroup(0), r.w.queue.pop(r.now.AddDate(20, 0, 0)), 0, r.now)
	for _, c := range made {
		o, err := r.store.Get(t.Context(), c.order.ID)
		if err != nil || o.CreatedAt.Sub(right).Abs() > time.Second || o.Status != order.Completed || o.CompletedAt.Sub(o.StartedAt) != historyProcessing {
			t.Errorf("%+v, error %v; want one that was created at %s", o, err, right)
		}
	}
}
