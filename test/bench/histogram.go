package main

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram counts latencies in bins, so that its size does not depend on how
// many there are. A bin is a microsecond wide, or a 64th of what it counts if that
// is more. Many goroutines may use one at once.
type histogram struct {
	bins    [binCount]atomic.Uint32
	longest atomic.Int64 // nanoseconds
}

const (
	// binBits makes 64 bins of each power of two.
	binBits = 6
	// binnedBits bound what has a bin of its own: 67 seconds in microseconds.
	binnedBits = 26
	binCount   = (binnedBits - binBits + 1) << binBits
)

// add counts a latency. What is longer than the last bin reaches is counted there.
func (h *histogram) add(d time.Duration) {
	h.bins[binOf(d)].Add(1)
	for longest := h.longest.Load(); int64(d) > longest; longest = h.longest.Load() {
		if h.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}

func binOf(d time.Duration) int {
	micros := uint64(max(d.Microseconds(), 0))
	shift := max(bits.Len64(micros)-binBits-1, 0)
	return min(shift<<binBits+int(micros>>shift), binCount-1)
}

// binEnd is what all that the bin counts are shorter than.
func binEnd(bin int) time.Duration {
	shift := max(bin>>binBits-1, 0)
	return time.Duration((bin-shift<<binBits+1)<<shift) * time.Microsecond
}

// merge adds what another has counted.
func (h *histogram) merge(other *histogram) {
	for i := range other.bins {
		h.bins[i].Add(other.bins[i].Load())
	}
	h.longest.Store(max(h.longest.Load(), other.longest.Load()))
}

func (h *histogram) count() (n int64) {
	for i := range h.bins {
		n += int64(h.bins[i].Load())
	}
	return n
}

func (h *histogram) max() time.Duration { return time.Duration(h.longest.Load()) }

// percentile is the end of the bin in which the sample lies that p percent of all
// do not exceed, and 0 without samples.
func (h *histogram) percentile(p float64) time.Duration {
	rank := max(int64(math.Ceil(p/100*float64(h.count()))), 1)
	for i := range h.bins {
		if rank -= int64(h.bins[i].Load()); rank <= 0 {
			return min(binEnd(i), h.max())
		}
	}
	return 0
}
