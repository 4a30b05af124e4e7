package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"orders/test/bench/generator"
	"orders/test/ledger"
	"orders/test/service"
)

const (
	soakProcessing = 50 * time.Second // the service's default
	// settledBy is how long a soak lasts at least whose first third has all orders of the processing time
	// in Processing.
	settledBy = 10 * time.Minute
	minSoak   = 30 * time.Second
	// saturationTime is how long the saturation is measured.
	saturationTime = 5 * time.Second
	// readEvery is how often the service is read from while it takes orders.
	readEvery = 100 * time.Millisecond
	// maxLag bounds how late the last orders may be Completed.
	maxLag = time.Second
)

// A soak loads one service for a long time.
type soak struct {
	folder, program, db string

	rate int // creates a second
	// duration is cut into intervals, which are judged once the service has settled.
	duration, interval, settle time.Duration
	// short soaks are over before the service has settled, so their bounds are wide.
	short bool

	acknowledged atomic.Int64
	latencies    atomic.Pointer[generator.Latencies] // of this interval
	samples      []sample
	achieved     float64         // creates a second
	metrics      service.Metrics // after the wait for the last orders
}

func newSoak(duration time.Duration, rate int) (*soak, error) {
	if duration < minSoak || rate < 0 {
		return nil, fmt.Errorf("a soak takes %s at least and a positive rate, not %s and %d", minSoak, duration, rate)
	}
	s := &soak{rate: rate, interval: 10 * time.Second, settle: min(3*time.Minute, duration/10), short: duration < settledBy}
	if s.short {
		s.interval = duration / 30
	}
	s.duration = duration.Truncate(s.interval)
	return s, nil
}

// A sample is the state of the service at the end of an interval. Sizes are in megabytes (10^6 bytes).
type sample struct {
	end               time.Duration // since the load began
	acknowledged      int64
	memory, file, wal float64
	p99               float64 // milliseconds from when a create was due, of the responses in the interval
}

// run sees all orders of the load Completed, and checks the file. With a rate of 0 it takes half of the
// saturation. The folder is on the disk of the project: a temporary one may be in memory, where a
// commit costs nothing.
func (s *soak) run(ctx context.Context) (err error) {
	if err := os.MkdirAll("bin", 0o755); err != nil {
		return err
	}
	if s.folder, err = os.MkdirTemp("bin", "soak-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.folder)) }()
	if s.program, err = service.Build(ctx, s.folder, "orders/cmd/orders"); err != nil {
		return err
	}
	if s.rate == 0 {
		if s.rate, err = s.halfOfSaturation(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("soak: %d creates/s for %s\n", s.rate, s.duration)
	p, err := s.start(ctx, "orders.db")
	if err != nil {
		return err
	}
	defer p.Close()
	c := service.NewClient(p.URL, 1)
	if err := s.load(ctx, p, c); err != nil {
		return err
	}
	err = ledger.AwaitCompletion(ctx, c, int(s.acknowledged.Load()), soakProcessing+maxLag)
	if err != nil && !ledger.IsViolation(err) { // judge counts the orders
		return err
	}
	if s.metrics, err = c.Metrics(ctx); err != nil {
		return err
	}
	return errors.Join(s.judge(os.Stdout), c.Close(), p.Stop(), service.Check(ctx, s.program, s.db))
}

func (s *soak) start(ctx context.Context, file string) (*service.Process, error) {
	s.db = filepath.Join(s.folder, file)
	cmd := service.Orders(ctx, s.program, s.db, soakProcessing)
	cmd.Stderr = os.Stderr
	return service.Start(cmd)
}

// halfOfSaturation is half of the creates a second that 1,000 connections get from a service.
func (s *soak) halfOfSaturation(ctx context.Context) (int, error) {
	p, err := s.start(ctx, "saturation.db")
	if err != nil {
		return 0, err
	}
	defer p.Close()
	l := generator.Load{WarmUp: time.Second, Duration: saturationTime}
	res, err := l.Run(ctx, strings.TrimPrefix(p.URL, "http://"))
	return int(res.PerSecond() / 2), err
}

// load puts the load on the service, and reads and watches it meanwhile.
func (s *soak) load(ctx context.Context, p *service.Process, c *service.Client) error {
	s.latencies.Store(generator.NewLatencies())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		observe := func(latency time.Duration) {
			s.acknowledged.Add(1)
			s.latencies.Load().Record(latency)
		}
		l := generator.Load{Rate: s.rate, Duration: s.duration, Observe: observe}
		res, err := l.Run(ctx, strings.TrimPrefix(p.URL, "http://"))
		if err == nil {
			s.achieved = res.PerSecond()
		}
		return err
	})
	g.Go(func() error { return every(ctx, readEvery, s.duration, func() error { return read(ctx, c) }) })
	g.Go(func() error { return every(ctx, s.interval, s.duration, func() error { return s.sample(p.PID()) }) })
	return g.Wait()
}

// every does something at the end of each interval of a duration.
func every(ctx context.Context, interval, duration time.Duration, do func() error) error {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for range int(duration / interval) {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// read reads the metrics, the newest id, and the status of that order.
func read(ctx context.Context, c *service.Client) error {
	if _, err := c.Metrics(ctx); err != nil {
		return err
	}
	ids, _, err := c.Page(ctx, service.FirstPage(1))
	for _, id := range ids { // none before the first order
		_, err = c.Status(ctx, id)
	}
	return err
}

func (s *soak) sample(pid int) (err error) {
	n := len(s.samples)
	now := sample{end: time.Duration(n+1) * s.interval, acknowledged: s.acknowledged.Load()}
	now.p99 = s.latencies.Swap(generator.NewLatencies()).Milliseconds(99)
	if now.memory, err = service.Memory(pid, "VmRSS"); err != nil {
		return err
	}
	for suffix, size := range map[string]*float64{"": &now.file, "-wal": &now.wal} {
		info, err := os.Stat(s.db + suffix)
		if err != nil {
			return err
		}
		*size = float64(info.Size()) / 1e6
	}
	s.samples = append(s.samples, now)
	if n%6 == 5 {
		fmt.Printf("  %s: %d orders, p99 %.1f ms, memory %.0f MB, file %.0f MB, -wal %.1f MB\n",
			now.end, now.acknowledged, now.p99, now.memory, now.file, now.wal)
	}
	return nil
}

const (
	minAchieved = 0.98 // of the rate
	maxMemory   = 150  // MB at any time
	maxWAL      = 64   // MB at any time: checkpoints keep pace
)

// flats are the figures of which the last third of a soak is compared with the first, and how many
// times as high it may be. In a short soak memory still grows with the orders in Processing, and the
// p99 of a second or two is the machine's as much as ours.
var flats = []struct {
	name         string
	bound, short float64
	of           func(sample) float64
}{
	{"resident memory", 1.10, 2.5, func(i sample) float64 { return i.memory }},
	{"p99 of creates", 1.20, 20, func(i sample) float64 { return i.p99 }},
	{"bytes of file an order", 1.05, 1.5, func(i sample) float64 { return i.file / float64(i.acknowledged) }},
}

// judge writes the figures, and returns an error for each that is out of its bound.
func (s *soak) judge(w io.Writer) error {
	judged := slices.DeleteFunc(slices.Clone(s.samples), func(i sample) bool { return i.end <= s.settle })
	third := len(judged) / 3
	first, last := judged[:third], judged[len(judged)-third:]
	var out []error
	check := func(name string, value, bound float64) {
		fmt.Fprintf(w, "  %s: %.3g, bound %.3g\n", name, value, bound)
		if math.IsNaN(value) || value > bound {
			out = append(out, fmt.Errorf("%s: %.3g is not at most %.3g", name, value, bound))
		}
	}
	for _, f := range flats {
		bound := f.bound
		if s.short {
			bound = f.short
		}
		check(f.name+", last third ÷ first third", medianOf(last, f.of)/medianOf(first, f.of), bound)
	}
	var memory, wal float64
	for _, i := range s.samples {
		memory, wal = max(memory, i.memory), max(wal, i.wal)
	}
	check("largest resident memory, MB", memory, maxMemory)
	check("largest -wal, MB", wal, maxWAL)
	check("rate due ÷ achieved", float64(s.rate)/s.achieved, 1/minAchieved)
	check("orders stored that were not acknowledged, or the reverse", math.Abs(float64(int64(s.metrics.TotalOrders)-s.acknowledged.Load())), 0)
	check("orders unfinished when all are due", float64(s.metrics.Unfinished()), 0)
	return errors.Join(out...)
}

// medianOf is the middle of the values, NaN without any: a hiccup of the machine decides nothing.
func medianOf(samples []sample, of func(sample) float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	var values []float64
	for _, i := range samples {
		values = append(values, of(i))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
