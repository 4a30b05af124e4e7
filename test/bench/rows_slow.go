package main

import (
	"context"
	"errors"
	"fmt"
)

const (
	slowClients = 1000
	slowRate    = 2000 // creates a second beside them
	// maxSlowMemory leaves room for the buffers of as many connections again as the load has.
	maxSlowMemory = 200 // MB
)

func (b *bench) measureSlow(ctx context.Context) (section, error) {
	sec := section{
		How: fmt.Sprintf(`Open loop, %s creates/s over %s connections for %s, without slow clients and with them in turn, in %d
rounds on one server, processing time %s. There are %s slow clients: a third sends nothing, a third sends a byte of its
headers a second, a third asks for megabytes and reads nothing. Whoever loses the connection to the server's
limits opens another, so that there are as many all the time. The ratio is between the p99s of a round; the median counts.`,
			grouped(slowRate), grouped(connections), b.slowLoad, b.rounds, processingTime, grouped(slowClients)),
	}
	s, err := b.startOrders(ctx, b.newFile(), processingTime)
	if err != nil {
		return sec, err
	}
	defer s.kill()
	l := load{requests: newCreates(false), rate: slowRate, warmUp: b.warmUp, duration: b.slowLoad}
	var without, with, ratios []float64
	var cutOff int64
	for round := range b.rounds {
		alone, err := l.run(ctx, s.addr)
		if err != nil {
			return sec, err
		}
		beside, ended, err := besideSlow(ctx, s.addr, l)
		if err != nil {
			return sec, fmt.Errorf("beside slow clients: %w", err)
		}
		cutOff += ended
		without = append(without, milliseconds(alone.latencies.percentile(99)))
		with = append(with, milliseconds(beside.latencies.percentile(99)))
		ratios = append(ratios, with[round]/without[round])
		b.say("  round %d of %d: p99 %.1f ms, beside slow clients %.1f ms", round+1, b.rounds, without[round], with[round])
	}
	var mem memory
	mem.watch(s)
	sec.Rows = []row{
		ratioRow(fmt.Sprintf("p99 of creates at %s/s beside %s slow clients ÷ without them", grouped(slowRate), grouped(slowClients)),
			atMost(1.5, ""), median(ratios), "%.1f ms; %.1f ms; ratios %.2f; %s connections cut off meanwhile",
			median(with), median(without), ratios, grouped(cutOff)),
		mem.row("beside slow clients", maxSlowMemory),
	}
	return sec, s.stop()
}

// besideSlow puts the load on a server that has slow clients, too. It returns how
// many connections of theirs the server has ended.
func besideSlow(ctx context.Context, addr string, l load) (res result, cutOff int64, err error) {
	crowd, err := startCrowd(ctx, addr, slowClients)
	if err != nil {
		return res, 0, err
	}
	defer crowd.stop()
	res, err = l.run(ctx, addr)
	if n := crowd.connected.Load(); err == nil && n < slowClients*9/10 {
		err = errors.New("the slow clients found no connections")
	}
	return res, crowd.cutOff.Load(), err
}
