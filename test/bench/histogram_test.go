package main

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestHistogramTellsPercentilesWithinASixtyFourth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var samples []time.Duration
	for range 100_000 {
		// As many of each order of magnitude, from 1 µs to 10 s.
		d := time.Microsecond << random.IntN(23)
		d += time.Duration(random.Int64N(int64(d)))
		samples = append(samples, d)
		h.add(d)
	}
	exact := newLatencies(samples)
	for _, p := range []float64{0, 1, 50, 90, 99, 99.9, 100} {
		want, got := exact.percentile(p), h.percentile(p)
		if got < want || got > want+want/64+time.Microsecond {
			t.Errorf("p%v is %s, want %s or up to a 64th more", p, got, want)
		}
	}
	if h.max() != exact.percentile(100) {
		t.Errorf("the longest is %s, want %s", h.max(), exact.percentile(100))
	}
}

func TestEveryBinBeginsWhereTheOneBeforeEnds(t *testing.T) {
	for bin := range binCount - 1 {
		end := binEnd(bin)
		if at, next := binOf(end-time.Nanosecond), binOf(end); at != bin || next != bin+1 {
			t.Fatalf("bin %d ends at %s, but just before is counted in %d, and that in %d", bin, end, at, next)
		}
	}
}

func TestHistogramTakesWhatHasNoBinOfItsOwn(t *testing.T) {
	var h histogram
	if h.percentile(99) != 0 || h.max() != 0 {
		t.Errorf("without samples: p99 %s, longest %s", h.percentile(99), h.max())
	}
	h.add(-time.Second) // a clock that was set back
	h.add(time.Hour)
	if h.count() != 2 || h.max() != time.Hour || h.percentile(100) != binEnd(binCount-1) {
		t.Errorf("%d samples, longest %s, p100 %s", h.count(), h.max(), h.percentile(100))
	}
}

func TestHistogramCountsWhatManyAddAtOnce(t *testing.T) {
	var parts [2]histogram
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 1000 {
				parts[i%2].add(time.Duration(1000*i+j) * time.Microsecond)
			}
		})
	}
	wg.Wait()
	parts[0].merge(&parts[1])
	if n, longest := parts[0].count(), parts[0].max(); n != 8000 || longest != 7999*time.Microsecond {
		t.Errorf("%d samples up to %s, want 8000 up to 7.999ms", n, longest)
	}
}
