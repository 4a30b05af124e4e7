package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orders/test/bench/generator"
)

// longProcessing keeps orders unfinished for as long as a measurement takes.
const longProcessing = 15 * time.Minute

func (b *bench) measureStart(ctx context.Context) (section, error) {
	sec := section{
		how: fmt.Sprintf(`From the exec of the server to its first 200 on GET /healthz, sent as soon as it has printed its address; the
median of %d starts. For the last row %s orders are created over HTTP, processing time %s, and the server is killed
with SIGKILL, as it is again after each start. Memory is taken at the first response.`,
			b.starts, grouped(b.unfinished), longProcessing),
	}
	large, err := b.largePath(ctx)
	if err != nil {
		return sec, err
	}
	killed, err := b.killedFile(ctx)
	if err != nil {
		return sec, err
	}
	var mem memory
	for _, c := range []startCase{
		{"without a file", 50 * time.Millisecond, b.newFile, (*server).stop},
		{
			fmt.Sprintf("with %s finished orders", grouped(b.largeFile)), 200 * time.Millisecond,
			func() string { return large }, (*server).stop,
		},
		{
			fmt.Sprintf("after SIGKILL with %s unfinished orders", grouped(b.unfinished)), 1500 * time.Millisecond,
			func() string { return killed }, (*server).Kill,
		},
	} {
		r, err := b.startRow(ctx, c, &mem)
		if err != nil {
			return sec, err
		}
		sec.rows = append(sec.rows, r)
	}
	sec.rows = append(sec.rows, b.memoryRow(mem, "while starting", 200))
	return sec, nil
}

// A startCase is the file that a server is started on, and how the server ends.
type startCase struct {
	name  string
	limit time.Duration
	file  func() string
	end   func(*server) error
}

func (b *bench) startRow(ctx context.Context, c startCase, mem *memory) (row, error) {
	var times []float64
	for range b.starts {
		s, err := b.startOrders(ctx, c.file(), longProcessing)
		if err != nil {
			return row{}, err
		}
		if err := mem.watch(s); err != nil {
			return row{}, errors.Join(err, s.Close())
		}
		times = append(times, milliseconds(s.startedIn))
		b.record(c.name, milliseconds(s.startedIn), "ms")
		if err := c.end(s); err != nil {
			return row{}, err
		}
	}
	return row{
		name: "start to first response " + c.name, goal: atMost(milliseconds(c.limit), "ms"),
		value: median(times), measured: fmt.Sprintf("%.0f ms", median(times)),
	}, nil
}

// killedFile returns the path of a file that a killed server has left with
// unfinished orders.
func (b *bench) killedFile(ctx context.Context) (string, error) {
	b.say("  making a file of %s unfinished orders", grouped(b.unfinished))
	file := b.newFile()
	s, err := b.startOrders(ctx, file, longProcessing)
	if err != nil {
		return "", err
	}
	defer s.Close()
	l := generator.Load{Requests: generator.NewCreates(false), Duration: longProcessing / 2, Limit: b.unfinished}
	if _, err := l.Run(ctx, s.addr); err != nil {
		return "", err
	}
	m, err := s.client.Metrics(ctx)
	if err == nil && int64(m.Unfinished()) != b.unfinished {
		err = fmt.Errorf("%d orders are unfinished, not %d", m.Unfinished(), b.unfinished)
	}
	return file, err
}
