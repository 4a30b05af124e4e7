package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// A soakPlan says how one service is loaded for a long time.
type soakPlan struct {
	rate int // creates a second
	// duration is cut into intervals, which are judged once the service has settled.
	duration, interval, settle time.Duration
	// short plans are over before the service has settled, so their bounds are wide.
	short bool
}

const (
	soakProcessing = 50 * time.Second // the service's default
	// settledBy is how long a soak lasts at least whose first third has all orders
	// of the processing time under way.
	settledBy = 10 * time.Minute
	minSoak   = 30 * time.Second
)

func newSoakPlan(duration time.Duration, rate int) soakPlan {
	p := soakPlan{rate: rate, interval: 10 * time.Second, settle: min(3*time.Minute, duration/10), short: duration < settledBy}
	if p.short {
		p.interval = duration / 30
	}
	p.duration = duration.Truncate(p.interval)
	return p
}

func (p soakPlan) intervals() int { return int(p.duration / p.interval) }

func (p soakPlan) form() string {
	if p.short {
		return "short"
	}
	return "full"
}

// soak measures one service on a fresh file under one rate, sees all its orders
// completed, and checks the file.
func (b *bench) soak(ctx context.Context, plan soakPlan) (soakRecord, error) {
	b.say("%s creates/s for %s", grouped(plan.rate), plan.duration)
	file := b.newFile()
	s, err := b.startOrders(ctx, file, soakProcessing)
	if err != nil {
		return soakRecord{}, err
	}
	defer s.kill()
	rec := newSoakRecord(plan)
	watch := newSoakWatch(b, s, file, plan)
	if rec.Intervals, err = watch.run(ctx); err != nil {
		return rec, errors.Join(err, ctx.Err())
	}
	rec.Acknowledged = watch.acknowledged.Load()
	rec.Achieved = float64(rec.Acknowledged) / watch.result.answered.Seconds()
	if err := rec.awaitCompletion(ctx, s); err != nil {
		return rec, err
	}
	b.say("  %s orders, of which %s are unfinished %.1f s after the last answer", grouped(rec.Stored), grouped(rec.Unfinished), rec.CompletedAfter)
	if err := s.stop(); err != nil {
		return rec, err
	}
	if b.check {
		b.say("  orders check")
		rec.checkFile(ctx, b.ordersProgram, file)
	}
	rec.judge()
	return rec, ctx.Err()
}

// run puts the load on the service and watches it meanwhile.
func (w *soakWatch) run(ctx context.Context) ([]interval, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		l := load{requests: newCreates(false), rate: w.plan.rate, duration: w.plan.duration, observe: w.observe}
		w.result, err = l.run(ctx, w.server.addr)
		return err
	})
	g.Go(func() error { return w.read(ctx) })
	g.Go(func() error { return w.sample(ctx) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	w.addLatencies()
	return w.samples, nil
}

// awaitCompletion waits until every order is Completed, at most until all were due.
func (r *soakRecord) awaitCompletion(ctx context.Context, s *server) error {
	answered := time.Now()
	for {
		m, err := s.metrics(ctx)
		if err != nil {
			return err
		}
		r.Stored, r.Unfinished, r.CompletedAfter = m.Total, m.unfinished(), time.Since(answered).Seconds()
		if m.unfinished() == 0 || time.Since(answered) > soakProcessing+maxLag {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// checkFile has the program read the whole file, as an operator would.
func (r *soakRecord) checkFile(ctx context.Context, program, file string) {
	began := time.Now()
	output, err := exec.CommandContext(ctx, program, "check", "-db", file).CombinedOutput()
	r.CheckTook = time.Since(began).Seconds()
	if err != nil {
		r.CheckFailed = fmt.Sprintf("%v: %s", err, output)
	}
}

// runSoak is the soak with all that belongs to it: its rate, the table, the files.
func (b *bench) runSoak(ctx context.Context) error {
	rate, err := b.soakRate(ctx)
	if err != nil {
		return err
	}
	rec, err := b.soak(ctx, newSoakPlan(b.soakFor, rate))
	if err != nil {
		return err
	}
	fmt.Fprint(b.out, "\n"+rec.markdown())
	if b.results == "" {
		return rec.failure()
	}
	return errors.Join(rec.save(b.results, b.plots), rec.failure())
}

// soakRate is half of the service's saturation, unless a rate is asked for. What the
// saturation is, a climb on this machine has found before, or finds now.
func (b *bench) soakRate(ctx context.Context) (int, error) {
	if b.rate > 0 {
		return b.rate, nil
	}
	c, err := readClimb(filepath.Join("test", "bench", climbFile))
	if errors.Is(err, os.ErrNotExist) || err == nil && c.Conditions.Machine != currentConditions(b.form).Machine {
		b.say("test/bench/%s is not there or of another machine, so the saturation is measured first", climbFile)
		c, err = b.climb(ctx, b.ordersContender(ordersName, processingTime))
	}
	if err != nil {
		return 0, err
	}
	for _, climber := range c.Contenders {
		if climber.Name == ordersName && climber.saturation() > 1 {
			return climber.saturation() / 2, nil
		}
	}
	return 0, errors.New("the service keeps no rate of which a soak could take half")
}
