package main

import (
	"math"
	"slices"
	"time"
)

// latencies are samples in ascending order.
type latencies []time.Duration

func newLatencies(samples ...[]time.Duration) latencies {
	all := slices.Concat(samples...)
	slices.Sort(all)
	return all
}

// percentile is the smallest sample that p percent of all do not exceed (nearest
// rank), 0 without samples. It is always a time that was measured.
func (l latencies) percentile(p float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(l))))
	return l[min(max(rank, 1), len(l))-1]
}

// median is the middle value, the mean of the two in the middle when their
// number is even, and NaN without values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
