package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"orders/test/bench/generator"
)

// backupRate is creates a second beside the backups.
const backupRate = 10_000

func (b *bench) measureBackup(ctx context.Context) (section, error) {
	sec := section{
		how: fmt.Sprintf(`Open loop, %s creates/s over %s connections for %s on a fresh file, processing time %s: without
backups, and then with "orders backup" every %s, which always writes to the same file; %d times in turn, of whose ratios the
median counts. A backup that takes longer is followed by the next at once. Each checks its copy before it takes the place of
the last one, and must hold every order that was acknowledged before it began.`,
			grouped(backupRate), grouped(connections), b.backupLoad, processingTime, b.backupEvery, b.backupRounds),
	}
	var without, with, ratios []float64
	var last *backupRun
	for range b.backupRounds {
		alone, _, err := b.besideBackups(ctx, 0)
		if err != nil {
			return sec, err
		}
		beside, run, err := b.besideBackups(ctx, b.backupEvery)
		if err != nil {
			return sec, err
		}
		last = run
		without = append(without, alone.Milliseconds(99))
		with = append(with, beside.Milliseconds(99))
		ratios = append(ratios, beside.Milliseconds(99)/alone.Milliseconds(99))
		b.record("without", alone.Milliseconds(99), "p99-ms")
		b.record("beside", beside.Milliseconds(99), "p99-ms")
		b.say("  p99 %.1f ms, longest %.1f ms; beside %s p99 %.1f ms, longest %.1f ms",
			alone.Milliseconds(99), alone.Milliseconds(100), run, beside.Milliseconds(99), beside.Milliseconds(100))
	}
	sec.rows = []row{ratioRow(
		fmt.Sprintf("p99 of creates at %s/s beside backups every %s ÷ without them", grouped(backupRate), b.backupEvery),
		atMost(1.5, ""), median(ratios), "%.1f ms; %.1f ms; ratios %.2f; %s", median(with), median(without), ratios, last,
	)}
	return sec, nil
}

// besideBackups puts the load on a fresh service, with backups unless every is 0.
func (b *bench) besideBackups(ctx context.Context, every time.Duration) (*generator.Latencies, *backupRun, error) {
	file := b.newFile()
	s, err := b.startOrders(ctx, file, processingTime)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	run := &backupRun{program: b.ordersProgram, file: file, every: every}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	loadOver := make(chan struct{})
	go func() {
		err := run.repeat(ctx, loadOver)
		if err != nil {
			cancel() // the load, too
		}
		failed <- err
	}()
	l := generator.Load{
		Requests: generator.NewCreates(false), Rate: backupRate, WarmUp: b.warmUp, Duration: b.backupLoad,
		Observe: func(_, _ time.Duration) { run.acknowledged.Add(1) },
	}
	res, err := l.Run(ctx, s.addr)
	close(loadOver)
	if failure := <-failed; failure != nil {
		err = failure
	}
	return res.Latencies, run, errors.Join(err, s.stop())
}

// A backupRun is backups of one file, one after the other.
type backupRun struct {
	program, file string
	every         time.Duration
	acknowledged  atomic.Int64 // creates so far

	count   int
	longest time.Duration
	wal     int64 // bytes, the most that the log had behind a backup
}

func (r *backupRun) String() string {
	return fmt.Sprintf("%d backups, the longest %.1f s, the -wal up to %s MB", r.count, r.longest.Seconds(), grouped(float64(r.wal)/1e6))
}

// repeat makes backups until the load is over. The last one is let end.
func (r *backupRun) repeat(ctx context.Context, loadOver <-chan struct{}) error {
	if r.every == 0 {
		return nil
	}
	ticks := time.NewTicker(r.every)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-loadOver:
			return nil
		}
		if err := r.backup(ctx); err != nil {
			return err
		}
	}
}

var backedUp = regexp.MustCompile(`(?m)^orders +(\d+) `)

func (r *backupRun) backup(ctx context.Context) error {
	acknowledged, began := r.acknowledged.Load(), time.Now()
	output, err := exec.CommandContext(ctx, r.program, "backup", r.file+".backup", "--db", r.file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("orders backup: %w: %s", err, output)
	}
	match := backedUp.FindSubmatch(output)
	if match == nil {
		return fmt.Errorf("orders backup does not say how many orders it has: %s", output)
	}
	if n, err := strconv.ParseInt(string(match[1]), 10, 64); err != nil || n < acknowledged {
		return fmt.Errorf("the backup has %d orders, and %d were acknowledged before it began (%w)", n, acknowledged, err)
	}
	r.count++
	r.longest = max(r.longest, time.Since(began))
	if info, err := os.Stat(r.file + "-wal"); err == nil {
		r.wal = max(r.wal, info.Size())
	}
	return nil
}
