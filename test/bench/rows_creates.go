package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A contender is a server whose creates a second are compared with others'.
type contender struct {
	name  string
	start func(context.Context) (*server, error)
}

const (
	processingTime = 5 * time.Second
	// quickProcessing lets orders be completed while others are created, which
	// the usual processing time does not within one measurement.
	quickProcessing = time.Second
)

// oneProcessor has a server run its goroutines on one processor, as in the smallest
// virtual machines and containers.
const oneProcessor = "GOMAXPROCS=1"

func (b *bench) echoContender(base string, env ...string) contender {
	name := strings.Join(append([]string{base, "echo"}, env...), " ")
	return contender{name, func(ctx context.Context) (*server, error) { return b.startEcho(ctx, base, env...) }}
}

func (b *bench) ordersContender(name string, processing time.Duration, env ...string) contender {
	return contender{name, func(ctx context.Context) (*server, error) {
		return b.startOrders(ctx, b.newFile(), processing, env...)
	}}
}

func (b *bench) otherBase() string {
	if b.base == baseRaw {
		return baseJSON
	}
	return baseRaw
}

func (b *bench) measureCreates(ctx context.Context) (section, error) {
	const (
		echoOnOne = iota
		ordersOnOne
		echo
		orders
		otherEcho
		completing
	)
	contenders := []contender{
		echoOnOne:   b.echoContender(b.base, oneProcessor),
		ordersOnOne: b.ordersContender("orders "+oneProcessor, processingTime, oneProcessor),
		echo:        b.echoContender(b.base),
		orders:      b.ordersContender("orders", processingTime),
		otherEcho:   b.echoContender(b.otherBase()),
		completing:  b.ordersContender("orders being completed, too", quickProcessing),
	}
	l := load{requests: newCreates(false), warmUp: b.warmUp, duration: b.creating}
	measured, mem, err := b.compare(ctx, "creates", l, contenders)
	if err != nil {
		return section{}, err
	}
	name := fmt.Sprintf("durable creates/s at %s connections ÷ ", grouped(connections))
	return section{
		How: fmt.Sprintf(`Closed loop, %s keep-alive connections, each with one request under way; the contenders take
turns in %d rounds of %s each after a warm-up of %s, always on a fresh file. Each round gives a ratio;
the median counts. Every order is started at once; the processing time is %s, and %s where
orders are completed, too. The json echo reads the body with encoding/json/v2 and writes an answer
of the service's shape; the raw echo writes the body back. On one processor are the service and its echo
(GOMAXPROCS=1), not the clients.`,
			grouped(connections), b.rounds, b.creating, b.warmUp, processingTime, quickProcessing),
		Rows: []row{
			measured.row(name+b.base+" echo", atLeast(0.60), orders, echo),
			measured.row(name+b.otherBase()+" echo", goal{}, orders, otherEcho),
			measured.row(name+b.base+" echo, orders being completed, too", goal{}, completing, echo),
			measured.row(name+b.base+" echo, each on one processor", atLeast(0.50), ordersOnOne, echoOnOne),
			mem.row("under creates", 100),
		},
	}, nil
}

func (b *bench) measureKeyed(ctx context.Context) (section, error) {
	const (
		echo = iota
		orders
	)
	contenders := []contender{echo: b.echoContender(b.base), orders: b.ordersContender("orders", processingTime)}
	l := load{requests: newCreates(true), warmUp: b.warmUp, duration: b.keyed, limit: b.keys}
	measured, mem, err := b.compare(ctx, "keyed", l, contenders)
	if err != nil {
		return section{}, err
	}
	return section{
		How: fmt.Sprintf(`As "creates", with an Idempotency-Key on each request, all different, the first %s on a fresh file
or as many as fit into %s, in %d rounds.`, grouped(b.keys), b.keyed, b.rounds),
		Rows: []row{
			measured.row("durable creates/s, each with its own Idempotency-Key ÷ "+b.base+" echo", atLeast(0.40), orders, echo),
			mem.row("under creates with keys", 100),
		},
	}, nil
}

// rates are creates a second by contender and round.
type rates [][]float64

// compare lets the contenders take turns under the same load.
func (b *bench) compare(ctx context.Context, name string, l load, contenders []contender) (rates, memory, error) {
	all := make(rates, len(contenders))
	var mem memory
	for round := range b.rounds {
		var said []string
		for i, c := range contenders {
			s, err := c.start(ctx)
			if err != nil {
				return nil, mem, err
			}
			res, err := b.loadAndStop(ctx, name, s, l, &mem)
			if err != nil {
				return nil, mem, fmt.Errorf("%s: %w", c.name, err)
			}
			all[i] = append(all[i], res.perSecond())
			said = append(said, fmt.Sprintf("%s %s", c.name, grouped(res.perSecond())))
		}
		b.say("  round %d of %d, creates/s: %s", round+1, b.rounds, strings.Join(said, ", "))
	}
	return all, mem, nil
}

// row compares two contenders, each given by its index, round by round.
func (r rates) row(name string, g goal, contender, base int) row {
	ratios := make([]float64, len(r[contender]))
	for round := range ratios {
		ratios[round] = r[contender][round] / r[base][round]
	}
	return ratioRow(name, g, median(ratios), "%s/s; echo %s/s; ratios %.2f",
		grouped(median(r[contender])), grouped(median(r[base])), ratios)
}
