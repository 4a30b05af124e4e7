package generator

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLatency is counted as itself; longer latencies count as this.
const maxLatency = 5 * time.Minute

// Latencies are a histogram: their size does not depend on their number, and a percentile is at most
// 0.1 % too long. Many goroutines may use them at once.
type Latencies struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram // of nanoseconds
}

// NewLatencies returns no latencies.
func NewLatencies() *Latencies {
	return &Latencies{histogram: hdrhistogram.New(1, int64(maxLatency), 3)}
}

// Record adds a latency. A negative one, of a clock that was set back, counts as 0.
func (l *Latencies) Record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.histogram.RecordValue(int64(min(max(d, 0), maxLatency))) // fails out of these bounds only
}

// Count is the number of latencies.
func (l *Latencies) Count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.histogram.TotalCount()
}

// Milliseconds is a latency that p percent of all do not exceed, 0 without latencies.
func (l *Latencies) Milliseconds(p float64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.histogram.ValueAtPercentile(p)) / float64(time.Millisecond)
}
