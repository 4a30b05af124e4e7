package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

func (b *bench) measureRates(ctx context.Context) (section, error) {
	sec := section{
		How: fmt.Sprintf(`Open loop over %s keep-alive connections, %s at each rate after a warm-up of %s, the echo and the
service in turn, each rate on a fresh file, processing time %s. The rates rise until one is not kept: fewer
than %.0f %% of the creates that were due a second are answered a second, or p99 is above %.0f ms. A rate that is not kept
is tried once more. Saturation is the highest rate that was kept, so it is known to within a step. A latency counts from
when the create was due. The ratio of a rate is between the p99s. [rates.json](rates.json) has all figures, and
[docs/latency.svg](../docs/latency.svg) shows them.`,
			grouped(connections), b.climbing, b.warmUp, processingTime, 100*minAchieved, milliseconds(maxP99)),
	}
	c, err := b.climb(ctx, b.echoContender(b.base), b.ordersContender(ordersName, processingTime))
	if err != nil {
		return sec, err
	}
	sec.Rows = c.rows()
	b.say("  %s: %s", sec.Rows[0].Name, sec.Rows[0].Measured)
	if b.results == "" {
		return sec, nil
	}
	return sec, errors.Join(c.save(filepath.Join(b.results, climbFile)), c.plot(filepath.Join(b.plots, climbPlot)))
}

// rows are the saturation, and each rate. The first contender is the base.
func (c climb) rows() []row {
	base, orders := c.Contenders[0], c.Contenders[1]
	rows := []row{ratioRow("highest rate of creates kept ÷ "+base.Name, goal{}, float64(orders.saturation())/float64(max(base.saturation(), 1)),
		"%s; %s", orders.end(), base.end())}
	for n := range max(len(base.Steps), len(orders.Steps)) {
		rows = append(rows, stepRow(base.at(n), orders.at(n)))
	}
	return rows
}

// end says where a climber's climb has ended.
func (c climber) end() string {
	last := c.Steps[len(c.Steps)-1]
	return fmt.Sprintf("%s %s/s, of %s/s then %s/s", c.Name, grouped(c.saturation()), grouped(last.Rate), grouped(last.Achieved))
}

// at is the nth step, nil when the climb has ended before.
func (c climber) at(n int) *step {
	if n >= len(c.Steps) {
		return nil
	}
	return &c.Steps[n]
}

// stepRow is about one rate; one of the two may have got so far alone.
func stepRow(base, orders *step) row {
	r := row{Measured: fmt.Sprintf("%s; echo %s", orders, base)}
	if base != nil {
		r.Name = stepName(base.Rate)
	}
	if orders != nil {
		r.Name, r.Value = stepName(orders.Rate), orders.P99
	}
	if base != nil && orders != nil && base.P99 > 0 {
		r.Ratio = orders.P99 / base.P99
	}
	return r
}

func stepName(rate int) string { return fmt.Sprintf("p99 of creates at %s/s, climbing", grouped(rate)) }

func (s *step) String() string {
	if s == nil {
		return "–"
	}
	text := fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", s.P50, s.P99)
	if !s.kept() {
		text += fmt.Sprintf(" at %s/s", grouped(s.Achieved))
	}
	return text
}
