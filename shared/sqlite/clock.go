package sqlite

import (
	"log/slog"
	"sync"
	"time"
)

// A clock returns the times that orders get. It follows a clock that cannot be set, so that a wall
// clock which leaps ahead for a moment does not date all later orders into the future. It follows a
// step of the wall clock once the step has lasted for stepHolds.
type clock struct {
	now     func() time.Time
	elapsed func() time.Duration // if nil, the clock is the wall clock
	log     *slog.Logger

	mu    sync.Mutex
	base  time.Time     // the time at which elapsed was 0
	step  time.Duration // the difference of the wall clock, 0 if there is none
	since time.Duration // when the difference began, by elapsed
}

const (
	// stepHolds is how long a step of the wall clock must last before it is followed.
	stepHolds = 10 * time.Second
	// tolerance is the difference of two clock readings that is not a step.
	tolerance = 100 * time.Millisecond
)

func newClock(cfg Config) *clock {
	c := &clock{now: cfg.Now, elapsed: cfg.Elapsed, log: cfg.Log}
	if c.elapsed != nil {
		c.base = c.now().Round(0).Add(-c.elapsed())
	}
	return c
}

// wall returns the time for orders when the wall clock shows now.
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

// observe follows a step of the wall clock that has lasted for stepHolds.
func (c *clock) observe(now time.Time, elapsed time.Duration) {
	step := now.Round(0).Sub(c.base.Add(elapsed))
	switch {
	case step.Abs() < tolerance:
		c.step = 0
	case (step-c.step).Abs() >= tolerance || c.step == 0:
		c.step, c.since = step, elapsed
	case elapsed-c.since >= stepHolds && isPlausible(now):
		c.log.Error("the wall clock was set: new orders follow it from now on", "by", step)
		c.base, c.step = c.base.Add(step), 0
	}
}

// isPlausible reports whether a clock may be right. A clock that was never set shows 1970.
func isPlausible(now time.Time) bool { return 2020 <= now.Year() && now.Year() < 2100 }
