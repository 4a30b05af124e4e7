package main

import (
	"cmp"
	"fmt"
	"slices"
)

// What a soak must keep, beside what stays flat.
const (
	minAchieved = 0.98 // of the rate
	maxMemory   = 150  // MB at any time
	maxWAL      = 64   // MB at any time: checkpoints keep pace
)

// flats are what the last third of a soak is compared by with the first, and how
// many times as high it may be. The medians of the intervals count, so that a hiccup
// of the machine decides nothing. In a short soak memory still grows with the orders
// under way, and the p99 of a second or two is the machine's as much as ours.
var flats = []struct {
	name         string
	bound, short float64
	unit         string
	of           func(interval) float64
}{
	{"resident memory", 1.10, 2.5, "MB", func(i interval) float64 { return i.MemoryMB }},
	{"p99 of creates", 1.20, 20, "ms", func(i interval) float64 { return i.P99 }},
	{"bytes of file an order", 1.05, 1.5, "B", interval.bytesPerOrder},
}

// judge makes the rows.
func (r *soakRecord) judge() {
	first, last := r.thirds()
	r.Rows = nil
	for _, f := range flats {
		bound := f.bound
		if r.short() {
			bound = f.short
		}
		before, after := medianOf(first, f.of), medianOf(last, f.of)
		r.Rows = append(r.Rows, ratioRow(f.name+", last third ÷ first third", atMost(bound, ""), after/before,
			"%.1f %s; %.1f %s", after, f.unit, before, f.unit))
	}
	achieved := r.Achieved / float64(r.Rate)
	r.Rows = append(
		r.Rows,
		r.most("largest resident memory", maxMemory, func(i interval) float64 { return i.MemoryMB }),
		r.most("largest -wal", maxWAL, func(i interval) float64 { return i.WALMB }),
		ratioRow("rate achieved ÷ due", atLeast(minAchieved), achieved, "%s/s", grouped(r.Achieved)),
		countRow("orders stored that were not acknowledged, or the reverse", max(r.Stored-r.Acknowledged, r.Acknowledged-r.Stored), r.Acknowledged),
		countRow("orders unfinished when all are due", r.Unfinished, r.Stored),
		r.checkRow(), r.worstRow(), r.readRow(first, last), r.clientRow(first, last),
	)
}

// thirds are the first and the last third of the intervals that are judged.
func (r *soakRecord) thirds() (first, last []interval) {
	judged := slices.DeleteFunc(slices.Clone(r.Intervals), func(i interval) bool { return i.End <= r.Settle })
	third := len(judged) / 3
	return judged[:third], judged[len(judged)-third:]
}

func medianOf(intervals []interval, of func(interval) float64) float64 {
	values := make([]float64, len(intervals))
	for n, i := range intervals {
		values[n] = of(i)
	}
	return median(values)
}

// most is a row about the highest that there was at any time, in megabytes.
func (r *soakRecord) most(name string, limit float64, of func(interval) float64) row {
	var most float64
	for _, i := range r.Intervals {
		most = max(most, of(i))
	}
	return row{Name: name, Goal: atMost(limit, "MB"), Value: most, Measured: fmt.Sprintf("%.1f MB", most)}
}

// countRow is about orders of which there must be none.
func countRow(name string, n, of int64) row {
	return row{Name: name, Goal: atMost(0, "orders"), Value: float64(n), Measured: grouped(n) + " of " + grouped(of)}
}

func (r *soakRecord) checkRow() row {
	c := row{Name: "orders check", Failed: r.CheckFailed}
	if c.Measured = "left out"; r.CheckTook > 0 {
		c.Measured = fmt.Sprintf("ok, in %.1f s", r.CheckTook)
	}
	return c
}

func (r *soakRecord) worstRow() row {
	worst := slices.MaxFunc(r.Intervals, func(a, b interval) int { return cmp.Compare(a.P99, b.P99) })
	return row{Name: "worst interval", Measured: fmt.Sprintf("p99 %.1f ms, max %.0f ms, %s/s, until second %.0f",
		worst.P99, worst.Max, grouped(worst.PerSecond), worst.End)}
}

func (r *soakRecord) readRow(first, last []interval) row {
	of := func(i interval) float64 { return i.ReadP50 }
	slowest := slices.MaxFunc(r.Intervals, func(a, b interval) int { return cmp.Compare(a.ReadMax, b.ReadMax) })
	before, after := medianOf(first, of), medianOf(last, of)
	return ratioRow("reads meanwhile, last third ÷ first third", goal{}, after/before,
		"p50 %.2f ms; %.2f ms; the slowest %.0f ms", after, before, slowest.ReadMax)
}

func (r *soakRecord) clientRow(first, last []interval) row {
	of := func(i interval) float64 { return i.ClientMB }
	before, after := medianOf(first, of), medianOf(last, of)
	return ratioRow("memory of the load's own process, last third ÷ first third", goal{}, after/before, "%.1f MB; %.1f MB", after, before)
}
