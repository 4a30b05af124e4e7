package main

import (
	"context"
	"fmt"
	"time"

	"orders/test/bench/generator"
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
		how: fmt.Sprintf(`Open loop over %s keep-alive connections for %s at each rate, after a warm-up of %s, first on
the echo, then on the service with a fresh file and a processing time of %s. Creates are due at even
intervals, and a latency counts from when the create was due, not from when it was sent: it includes the
wait for a free connection and the lateness of the client itself, which the echo's figures show. The
ratio is between the p99s.`,
			grouped(connections), b.openLoop, b.warmUp, processingTime),
	}
	var mem memory
	for _, goal := range openGoals {
		l := generator.Load{Requests: generator.NewCreates(false), Rate: goal.rate, WarmUp: b.warmUp, Duration: b.openLoop}
		var results [2]generator.Result
		for i, c := range b.echoAndOrders() {
			var err error
			if results[i], err = c.measure(ctx, l, &mem); err != nil {
				return sec, err
			}
			b.record(fmt.Sprintf("rate=%d/%s", goal.rate, c.name), results[i].Latencies.Milliseconds(99), "p99-ms")
		}
		echo, orders := results[0].Latencies, results[1].Latencies
		sec.rows = append(sec.rows, row{
			name: fmt.Sprintf("p99 of creates at %s/s, open loop", grouped(goal.rate)),
			goal: atMost(goal.limit, "ms"), value: orders.Milliseconds(99), ratio: orders.Milliseconds(99) / echo.Milliseconds(99),
			measured: fmt.Sprintf("p50 %.1f ms, p99 %.1f ms; echo p50 %.1f ms, p99 %.1f ms",
				orders.Milliseconds(50), orders.Milliseconds(99), echo.Milliseconds(50), echo.Milliseconds(99)),
		})
	}
	sec.rows = append(sec.rows, b.memoryRow(mem, "in open loops", 100))
	return sec, nil
}

func (b *bench) echoAndOrders() []contender {
	return []contender{b.echoContender("json echo", false), b.ordersContender("orders", processingTime)}
}

const (
	// minAchieved is the part of a rate that must be achieved for it to count as kept.
	minAchieved = 0.98
	// maxP99 is when a rate counts as not kept, though each create has its response in the end: the queue
	// grows.
	maxP99 = 100 * time.Millisecond
	// tries is how often a rate may be missed, so that a hiccup of the machine does not end the climb.
	tries = 2
)

func (b *bench) measureRates(ctx context.Context) (section, error) {
	sec := section{
		how: fmt.Sprintf(`Open loop over %s keep-alive connections, %s at each rate after a warm-up of %s, the echo and the
service by themselves, each rate on a fresh file, processing time %s. The rates rise until one is not kept: fewer
than %.0f %% of the creates that were due a second have their response in a second, or p99 is above %.0f ms. A rate that
is not kept is tried once more. A latency counts from when the create was due. results.txt has the p99 at each rate.`,
			grouped(connections), b.climbing, b.warmUp, processingTime, 100*minAchieved, milliseconds(maxP99)),
	}
	var highest []int
	var ends []string
	for _, c := range b.echoAndOrders() {
		kept, end, err := b.climb(ctx, c)
		if err != nil {
			return sec, err
		}
		highest, ends = append(highest, kept), append(ends, end)
	}
	sec.rows = []row{ratioRow("highest rate of creates kept ÷ json echo", goal{},
		float64(highest[1])/float64(max(highest[0], 1)), "%s; %s", ends[1], ends[0])}
	return sec, nil
}

// climb raises the rate until the contender does not keep it. It returns the highest rate that was
// kept, and that with the first that was not, in words.
func (b *bench) climb(ctx context.Context, c contender) (kept int, end string, err error) {
	for n := 0; ; n++ {
		rate := b.rateAt(n)
		res, err := b.tryRate(ctx, c, rate)
		if err != nil {
			return 0, "", err
		}
		b.record(fmt.Sprintf("rate=%d/%s", rate, c.name), res.Latencies.Milliseconds(99), "p99-ms")
		if !isKept(rate, res) {
			b.record(c.name, float64(kept), "kept/s")
			return kept, fmt.Sprintf("%s %s/s, of %s/s then %s/s", c.name, grouped(kept), grouped(rate), grouped(res.Achieved())), nil
		}
		kept = rate
	}
}

// tryRate measures a contender at one rate, again if it does not keep it at once.
func (b *bench) tryRate(ctx context.Context, c contender, rate int) (res generator.Result, err error) {
	l := generator.Load{Requests: generator.NewCreates(false), Rate: rate, WarmUp: b.warmUp, Duration: b.climbing}
	for range tries {
		if res, err = c.measure(ctx, l, new(memory)); err != nil {
			return res, err
		}
		b.say("  %s at %s/s: %s/s, p99 %.1f ms", c.name, grouped(rate), grouped(res.Achieved()), res.Latencies.Milliseconds(99))
		if isKept(rate, res) {
			break
		}
	}
	return res, nil
}

func isKept(rate int, r generator.Result) bool {
	return r.Achieved() >= minAchieved*float64(rate) && r.Latencies.Percentile(99) <= maxP99
}
