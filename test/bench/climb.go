package main

import (
	"context"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"
)

// A climb is contenders under open loops whose rates rise until they cannot be kept.
type climb struct {
	Conditions conditions `json:"conditions"`
	Contenders []climber  `json:"contenders"`
}

// A climber is one contender. All its steps but the last were kept.
type climber struct {
	Name  string `json:"name"`
	Steps []step `json:"steps"`
}

// A step is one rate: creates a second that were due, and that were answered.
// Latencies are in milliseconds from when each create was due.
type step struct {
	Rate     int     `json:"rate"`
	Achieved float64 `json:"achieved"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p999_ms"`
	Max      float64 `json:"max_ms"`
}

const (
	ordersName = "orders"
	climbFile  = "rates.json"
	// maxP99 is when a rate counts as not kept, though each create is answered at
	// last: creates wait in a line that clears no more.
	maxP99 = 100 * time.Millisecond
	// tries is how often a rate may be missed, so that a hiccup of the machine does
	// not end the climb.
	tries = 2
)

func (s step) kept() bool {
	return s.Achieved >= minAchieved*float64(s.Rate) && s.P99 <= milliseconds(maxP99)
}

// saturation is the highest rate that was kept, 0 when none was.
func (c climber) saturation() (rate int) {
	for _, s := range c.Steps {
		if s.kept() {
			rate = max(rate, s.Rate)
		}
	}
	return rate
}

// saturated reports whether the climb has ended where a rate was not kept.
func (c climber) saturated() bool { return len(c.Steps) > 0 && !c.Steps[len(c.Steps)-1].kept() }

// rateAt is the rate of the nth step.
func (s sizes) rateAt(n int) int {
	if n < len(s.firstRates) {
		return s.firstRates[n]
	}
	return (n - len(s.firstRates) + 1) * s.rateStep
}

// climb lets the contenders take turns at each rate, on a fresh file, as long as
// one of them keeps up.
func (b *bench) climb(ctx context.Context, contenders ...contender) (climb, error) {
	c := climb{Conditions: currentConditions(b.form), Contenders: make([]climber, len(contenders))}
	for n, climbing := 0, len(contenders); climbing > 0; n++ {
		climbing = 0
		for i, contender := range contenders {
			climber := &c.Contenders[i]
			climber.Name = contender.name
			if climber.saturated() {
				continue
			}
			s, err := b.step(ctx, contender, b.rateAt(n))
			if err != nil {
				return c, fmt.Errorf("%s at %d creates/s: %w", contender.name, b.rateAt(n), err)
			}
			climber.Steps = append(climber.Steps, s)
			if s.kept() {
				climbing++
			}
		}
	}
	return c, nil
}

// step measures a contender at one rate, again if it does not keep it at once.
func (b *bench) step(ctx context.Context, c contender, rate int) (s step, err error) {
	l := load{requests: newCreates(false), rate: rate, warmUp: b.warmUp, duration: b.climbing}
	for range tries {
		server, err := c.start(ctx)
		if err != nil {
			return s, err
		}
		res, err := b.loadAndStop(ctx, fmt.Sprintf("rates-%d", rate), server, l, new(memory))
		if err != nil {
			return s, err
		}
		s = newStep(rate, res)
		b.say("  %s at %s/s: %s/s, p50 %.1f ms, p99 %.1f ms", c.name, grouped(rate), grouped(s.Achieved), s.P50, s.P99)
		if s.kept() {
			break
		}
	}
	return s, nil
}

func newStep(rate int, r result) step {
	return step{
		Rate: rate, Achieved: math.Round(r.achieved()),
		P50: rounded(r.latencies.percentile(50)), P99: rounded(r.latencies.percentile(99)),
		P999: rounded(r.latencies.percentile(99.9)), Max: rounded(r.latencies.percentile(100)),
	}
}

// rounded is in milliseconds, to the microsecond.
func rounded(d time.Duration) float64 { return milliseconds(d.Round(time.Microsecond)) }

func (c climb) save(path string) error {
	data, err := json.Marshal(c, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// readClimb returns an os.ErrNotExist when there is no such file.
func readClimb(path string) (c climb, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return c, nil
}
