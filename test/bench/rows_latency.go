package main

import (
	"context"
	"fmt"
)

// openGoals are the p99 in milliseconds that is to be kept at a rate of creates
// a second.
var openGoals = []struct {
	rate  int
	limit float64
}{
	{1_000, 4},
	{5_000, 5},
	{10_000, 8},
}

func (b *bench) measureLatency(ctx context.Context) (section, error) {
	sec := section{
		How: fmt.Sprintf(`Open loop over %s keep-alive connections for %s at each rate, after a warm-up of %s, first on
the echo, then on the service with a fresh file and a processing time of %s. Creates are due at even
intervals, and a latency counts from when the create was due, not from when it was sent: it includes the
wait for a free connection and the lateness of the client itself, which the echo's figures show. The
ratio is between the p99s.`,
			grouped(connections), b.openLoop, b.warmUp, processingTime),
	}
	var mem memory
	for _, goal := range openGoals {
		l := load{requests: newCreates(false), rate: goal.rate, warmUp: b.warmUp, duration: b.openLoop}
		var results [2]result
		for i, c := range []contender{b.echoContender(b.base), b.ordersContender("orders", processingTime)} {
			s, err := c.start(ctx)
			if err != nil {
				return sec, err
			}
			results[i], err = b.loadAndStop(ctx, fmt.Sprintf("latency-%d", goal.rate), s, l, &mem)
			if err != nil {
				return sec, fmt.Errorf("%s at %d creates/s: %w", c.name, goal.rate, err)
			}
		}
		r := latencyRow(goal.rate, goal.limit, results[0].latencies, results[1].latencies)
		b.say("  %s: %s", r.Name, r.Measured)
		sec.Rows = append(sec.Rows, r)
	}
	sec.Rows = append(sec.Rows, mem.row("in open loops", 100))
	return sec, nil
}

func latencyRow(rate int, limit float64, echo, orders latencies) row {
	p99, base := milliseconds(orders.percentile(99)), milliseconds(echo.percentile(99))
	return row{
		Name: fmt.Sprintf("p99 of creates at %s/s, open loop", grouped(rate)),
		Goal: atMost(limit, "ms"), Value: p99, Ratio: p99 / base,
		Measured: fmt.Sprintf("p50 %.1f ms, p99 %.1f ms; echo p50 %.1f ms, p99 %.1f ms",
			milliseconds(orders.percentile(50)), p99, milliseconds(echo.percentile(50)), base),
	}
}
