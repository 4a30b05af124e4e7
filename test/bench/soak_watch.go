package main

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// A soakWatch is what is watched of a service while it is under load.
type soakWatch struct {
	bench  *bench
	server *server
	file   string
	plan   soakPlan

	acknowledged atomic.Int64
	// creates and reads are by interval: the creates by when they were due.
	creates, reads []histogram
	samples        []interval
	result         result // of the load
}

func newSoakWatch(b *bench, s *server, file string, plan soakPlan) *soakWatch {
	return &soakWatch{
		bench: b, server: s, file: file, plan: plan,
		creates: make([]histogram, plan.intervals()), reads: make([]histogram, plan.intervals()),
	}
}

// observe is load.observe.
func (w *soakWatch) observe(due, latency time.Duration) {
	w.acknowledged.Add(1)
	w.creates[w.intervalAt(due)].add(latency)
}

func (w *soakWatch) intervalAt(since time.Duration) int {
	return min(int(since/w.plan.interval), len(w.creates)-1)
}

// sample takes a sample at the end of each interval, and says one about once a minute.
func (w *soakWatch) sample(ctx context.Context) error {
	ticks := time.NewTicker(w.plan.interval)
	defer ticks.Stop()
	every := max(int(time.Minute/w.plan.interval), 1)
	for n := range w.plan.intervals() {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		i, err := w.sampleNow(time.Duration(n+1) * w.plan.interval)
		if err != nil {
			return err
		}
		w.samples = append(w.samples, i)
		if n%every == every-1 || w.plan.short && n%5 == 4 {
			b := w.bench
			b.say("  %s: %s creates/s, p99 %s, memory %.0f MB, file %.0f MB, -wal %.1f MB", time.Duration(n+1)*w.plan.interval,
				grouped(i.PerSecond), w.creates[n].percentile(99).Round(10*time.Microsecond), i.MemoryMB, i.FileMB, i.WALMB)
		}
	}
	return nil
}

func (w *soakWatch) sampleNow(at time.Duration) (i interval, err error) {
	i = interval{End: at.Seconds(), Acknowledged: w.acknowledged.Load()}
	before := int64(0)
	if n := len(w.samples); n > 0 {
		before = w.samples[n-1].Acknowledged
	}
	i.PerSecond = float64(i.Acknowledged-before) / w.plan.interval.Seconds()
	if i.MemoryMB, err = processMemory(w.server.cmd.Process.Pid, "VmRSS:"); err != nil {
		return i, fmt.Errorf("the service's memory: %w", err)
	}
	if i.ClientMB, err = processMemory(os.Getpid(), "VmRSS:"); err != nil {
		return i, err
	}
	if i.FileMB, err = fileSize(w.file); err != nil {
		return i, err
	}
	i.WALMB, err = fileSize(w.file + "-wal")
	return i, err
}

// fileSize is in megabytes (10^6 bytes).
func fileSize(path string) (float64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()) / 1e6, nil
}

// addLatencies adds to the samples what is complete only when all is answered.
func (w *soakWatch) addLatencies() {
	for n := range w.samples {
		i, creates, reads := &w.samples[n], &w.creates[n], &w.reads[n]
		i.P50, i.P99, i.Max = rounded(creates.percentile(50)), rounded(creates.percentile(99)), rounded(creates.max())
		i.ReadP50, i.ReadMax = rounded(reads.percentile(50)), rounded(reads.max())
	}
}

// readEvery is how often a reader comes by while the service takes orders.
const readEvery = 100 * time.Millisecond

// read asks for the metrics, a page of one id, and the status of that order, again
// and again, each on time however long the one before took.
func (w *soakWatch) read(ctx context.Context) error {
	c, err := dial(ctx, w.server.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	begin := time.Now()
	for since := time.Duration(0); since < w.plan.duration; since += readEvery {
		time.Sleep(time.Until(begin.Add(since)))
		if err := readOnce(c, &w.reads[w.intervalAt(since)]); err != nil {
			return fmt.Errorf("a read: %w", err)
		}
	}
	return nil
}

func readOnce(c *conn, h *histogram) error {
	ask := func(path string) (answer, error) {
		began := time.Now()
		a, err := c.do(get(path))
		if err != nil {
			return a, err
		}
		h.add(time.Since(began))
		return a, checkOK(a)
	}
	if _, err := ask("/api/metrics/"); err != nil {
		return err
	}
	page, err := ask("/api/orders/ids/?limit=1")
	if err != nil {
		return err
	}
	var entries []struct {
		OrderID string `json:"order_id"`
	}
	if err := json.Unmarshal(page.body, &entries); err != nil {
		return err
	}
	for _, e := range entries { // none before the first order
		if _, err := ask("/api/orders/" + e.OrderID + "/status/"); err != nil {
			return err
		}
	}
	return nil
}
