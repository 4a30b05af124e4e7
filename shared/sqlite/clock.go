package sqlite

import (
	"log/slog"
	"sync"
	"time"
)

// A clock dates orders. Within one life of the process it follows the process's own clock, so that
// a wall clock which leaps ahead for a moment does not date all later orders into the
// future. A step of the wall clock is followed once it has held for a while.
type clock struct {
	now     func() time.Time
	elapsed func() time.Duration // nil: now is followed at once
	log     *slog.Logger

	mu    sync.Mutex
	base  time.Time     // the time when elapsed was 0
	step  time.Duration // by how much the wall clock differs, 0 when it does not
	since time.Duration // when it began to, by elapsed
}

const (
	// stepHolds is how long a step of the wall clock must hold before it is followed.
	stepHolds = 10 * time.Second
	// tolerance is by how much two readings of the clocks may differ without a step.
	tolerance = 100 * time.Millisecond
)

func newClock(cfg Config) *clock {
	c := &clock{now: cfg.Now, elapsed: cfg.Elapsed, log: cfg.Log}
	if c.elapsed != nil {
		c.base = c.now().Round(0).Add(-c.elapsed())
	}
	return c
}

// wall is what orders are dated by when the wall clock says now.
func (c *clock) wall(now time.Time) time.Time {
	if c.elapsed == nil {
		return now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := c.elapsed()
	c.observe(now, elapsed)
	return c.base.Add(elapsed)
}

// observe follows a step of the wall clock that has held.
func (c *clock) observe(now time.Time, elapsed time.Duration) {
	step := now.Round(0).Sub(c.base.Add(elapsed))
	switch {
	case step.Abs() < tolerance:
		c.step = 0
	case (step-c.step).Abs() >= tolerance || c.step == 0:
		c.step, c.since = step, elapsed
	case elapsed-c.since >= stepHolds && isPlausible(now):
		c.log.Error("the wall clock was set while the service ran: new orders are dated by it from now on", "by", step)
		c.base, c.step = c.base.Add(step), 0
	}
}

// plausible reports whether a clock may be right. One that was never set says 1970.
func isPlausible(now time.Time) bool { return 2020 <= now.Year() && now.Year() < 2100 }
