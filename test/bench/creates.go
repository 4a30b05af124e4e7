package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"orders/test/bench/generator"
)

const (
	processingTime = 5 * time.Second
	// quickProcessing lets orders be completed while others are created, which
	// the usual processing time does not within one measurement.
	quickProcessing = time.Second
)

// oneProcessor has a server run its goroutines on one processor, as in the smallest
// virtual machines and containers.
const oneProcessor = "GOMAXPROCS=1"

func (b *bench) echoContender(name string, raw bool, env ...string) contender {
	return contender{name, func(ctx context.Context) (*server, error) { return b.startEcho(ctx, raw, env...) }}
}

func (b *bench) ordersContender(name string, processing time.Duration, env ...string) contender {
	return contender{name, func(ctx context.Context) (*server, error) {
		return b.startOrders(ctx, b.newFile(), processing, env...)
	}}
}

func (b *bench) measureCreates(ctx context.Context) (section, error) {
	contenders := []contender{
		b.echoContender("json echo on one", false, oneProcessor),
		b.ordersContender("orders on one", processingTime, oneProcessor),
		b.echoContender("json echo", false),
		b.ordersContender("orders", processingTime),
		b.echoContender("raw echo", true),
		b.ordersContender("orders completed", quickProcessing),
	}
	l := generator.Load{Requests: generator.NewCreates(false), WarmUp: b.warmUp, Duration: b.creating}
	measured, mem, err := b.compare(ctx, l, contenders)
	if err != nil {
		return section{}, err
	}
	name := fmt.Sprintf("durable creates/s at %s connections ÷ ", grouped(connections))
	return section{
		how: fmt.Sprintf(`Closed loop, %s keep-alive connections, each with one request under way; the contenders take
turns in %d rounds of %s each after a warm-up of %s, always on a fresh file. Each round gives a ratio;
the median counts. Every order is started at once; the processing time is %s, and %s where
orders are completed, too. The json echo reads the body with encoding/json/v2 and writes a response
of the service's shape; the raw echo writes the body back. On one processor are the service and its echo
(GOMAXPROCS=1), not the clients.`,
			grouped(connections), b.rounds, b.creating, b.warmUp, processingTime, quickProcessing),
		rows: []row{
			measured.row(name+"json echo", atLeast(0.60), "orders", "json echo"),
			measured.row(name+"raw echo", goal{}, "orders", "raw echo"),
			measured.row(name+"json echo, orders being completed, too", goal{}, "orders completed", "json echo"),
			measured.row(name+"json echo, each on one processor", atLeast(0.50), "orders on one", "json echo on one"),
			b.memoryRow(mem, "under creates", 100),
		},
	}, nil
}

func (b *bench) measureKeyed(ctx context.Context) (section, error) {
	contenders := []contender{b.echoContender("json echo", false), b.ordersContender("orders", processingTime)}
	l := generator.Load{Requests: generator.NewCreates(true), WarmUp: b.warmUp, Duration: b.keyed, Limit: b.keys}
	measured, mem, err := b.compare(ctx, l, contenders)
	if err != nil {
		return section{}, err
	}
	return section{
		how: fmt.Sprintf(`As "creates", with an Idempotency-Key on each request, all different, the first %s on a fresh file
or as many as fit into %s, in %d rounds.`, grouped(b.keys), b.keyed, b.rounds),
		rows: []row{
			measured.row("durable creates/s, each with its own Idempotency-Key ÷ json echo", atLeast(0.40), "orders", "json echo"),
			b.memoryRow(mem, "under creates with keys", 100),
		},
	}, nil
}

// rates are creates a second by contender and round.
type rates map[string][]float64

// compare lets the contenders take turns under the same load.
func (b *bench) compare(ctx context.Context, l generator.Load, contenders []contender) (rates, memory, error) {
	all := rates{}
	var mem memory
	for round := range b.rounds {
		var progress []string
		for _, c := range contenders {
			res, err := c.measure(ctx, l, &mem)
			if err != nil {
				return nil, mem, err
			}
			all[c.name] = append(all[c.name], res.PerSecond())
			b.record(c.name, res.PerSecond(), "creates/s")
			progress = append(progress, c.name+" "+grouped(res.PerSecond()))
		}
		b.say("  round %d of %d, creates/s: %s", round+1, b.rounds, strings.Join(progress, ", "))
	}
	return all, mem, nil
}

// row compares two contenders, round by round.
func (r rates) row(name string, g goal, contender, base string) row {
	ratios := make([]float64, len(r[contender]))
	for round := range ratios {
		ratios[round] = r[contender][round] / r[base][round]
	}
	return ratioRow(name, g, median(ratios), "%s/s; echo %s/s; ratios %.2f",
		grouped(median(r[contender])), grouped(median(r[base])), ratios)
}
