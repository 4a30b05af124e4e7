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
	path, now := newPath(t), epoch
	s, w := openByHand(t, path, &now)
	c := together(w, now, order.Draft{InitialStatus: order.Processing})[0]
	release(t, s)

	now = now.Add(-10 * time.Minute)
	s, w = openByHand(t, path, &now)
	now = now.Add(historyProcessing)
	work(w, now)
	o, err := s.Get(t.Context(), c.order.ID)
	if err != nil || o.Status != order.Completed || o.CompletedAt.Sub(o.StartedAt) < historyProcessing {
		t.Errorf("order %+v, error %v", o, err)
	}
	release(t, s)
}

// F20, I3, I8, I12.
func TestSeqsGrowThoughTheClockRunsBackwards(t *testing.T) {
	path, now := newPath(t), epoch
	last := int64(0)
	for range 3 {
		s, w := openByHand(t, path, &now)
		for range 3 {
			c := together(w, now, keyed(""))[0]
			if seq := decodeSeq(c.order.ID); seq <= last {
				t.Errorf("seq %d comes after %d", seq, last)
			} else {
				last = seq
			}
			now = now.Add(-time.Hour)
		}
		release(t, s)
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
	var c clocks
	c.clock()
	cfg := byHand(newPath(t), &c.now)
	cfg.Elapsed = func() time.Duration { return c.elapsed }
	s := newStore(cfg)
	w, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	right := c.now
	c.now = right.AddDate(10, 0, 0)
	processing := order.Draft{InitialStatus: order.Processing}
	first := together(w, c.now, processing)[0].order
	c.now = right
	second := together(w, c.now, processing)[0].order
	for _, o := range []order.Order{first, second} {
		if o.CreatedAt.Sub(right).Abs() > time.Second {
			t.Errorf("created at %s, not at %s", o.CreatedAt, right)
		}
	}
	c.pass(historyProcessing)
	// The queue uses the monotonic reading of Now, which this clock does not have.
	w.commit(newGroup(0), w.queue.pop(c.now.AddDate(20, 0, 0)), 0, c.now)
	for _, made := range []order.Order{first, second} {
		o, err := s.Get(t.Context(), made.ID)
		if err != nil || o.Status != order.Completed || o.CompletedAt.Sub(o.StartedAt) != historyProcessing {
			t.Errorf("%+v, error %v", o, err)
		}
	}
	release(t, s)
}
