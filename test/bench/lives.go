package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/test/bench/generator"
)

const (
	livesRate = 20_000 // creates a second
	// maxLag is the longest that an order may wait for its start or its completion.
	maxLag = time.Second
)

func (b *bench) measureLives(ctx context.Context) (section, error) {
	sec := section{
		how: fmt.Sprintf(`Open loop, %s creates/s over %s connections for %s, processing time %s, on a fresh file.
The lags are read from the file when the server has stopped: start lag is started_at - created_at,
completion lag is completed_at - started_at - processing time. Unfinished is what GET /api/metrics/
does not count as Completed the processing time and %s after the last response.`,
			grouped(livesRate), grouped(connections), b.lives, b.livesProcessing, maxLag),
	}
	file := b.newFile()
	s, err := b.startOrders(ctx, file, b.livesProcessing)
	if err != nil {
		return sec, err
	}
	defer s.Close()
	res, err := generator.Load{Requests: generator.NewCreates(false), Rate: livesRate, Duration: b.lives}.Run(ctx, s.addr)
	if err != nil {
		return sec, err
	}
	select {
	case <-time.After(b.livesProcessing + maxLag):
	case <-ctx.Done():
		return sec, ctx.Err()
	}
	m, err := s.client.Metrics(ctx)
	if err != nil {
		return sec, err
	}
	if int64(m.TotalOrders) != res.Latencies.Count() {
		return sec, fmt.Errorf("%d creates were acknowledged, and there are %d orders", res.Latencies.Count(), m.TotalOrders)
	}
	var mem memory
	if err := errors.Join(mem.watch(s), s.stop()); err != nil {
		return sec, err
	}
	lags, err := readLags(ctx, file, b.livesProcessing)
	sec.rows = []row{
		b.lagRow("start lag", lags.start),
		b.lagRow("completion lag", lags.completion),
		{
			name: "orders unfinished when all are due", goal: atMost(0, "orders"), value: float64(m.Unfinished()),
			measured: grouped(m.Unfinished()) + " of " + grouped(m.TotalOrders),
		},
		b.memoryRow(mem, "over whole lives", 100),
	}
	return sec, err
}

// lagRow is the line about a lag.
func (b *bench) lagRow(name string, l *generator.Latencies) row {
	b.record(name, l.Milliseconds(99), "p99-ms")
	return row{
		name: fmt.Sprintf("p99 of the %s at %s creates/s", name, grouped(livesRate)),
		goal: atMost(maxLag.Seconds(), "s"), value: l.Percentile(99).Seconds(),
		measured: fmt.Sprintf("p50 %.0f ms, p99 %.0f ms, longest %.0f ms", l.Milliseconds(50), l.Milliseconds(99), l.Milliseconds(100)),
	}
}

// lags are how late orders were started and completed.
type lags struct{ start, completion *generator.Latencies }

// readLags reads the lags of all completed orders from a database file that no process has
// open. The columns are described in shared/sqlite.
func readLags(ctx context.Context, file string, processing time.Duration) (l lags, err error) {
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadOnly)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	l = lags{generator.NewLatencies(), generator.NewLatencies()}
	const query = `SELECT started_at - (seq >> 15), completed_at - started_at - ? FROM orders WHERE status = 2`
	err = sqlitex.Execute(conn, query, &sqlitex.ExecOptions{
		Args: []any{processing.Milliseconds()},
		ResultFunc: func(row *sqlite.Stmt) error {
			l.start.Record(time.Duration(row.ColumnInt64(0)) * time.Millisecond)
			l.completion.Record(time.Duration(row.ColumnInt64(1)) * time.Millisecond)
			return nil
		},
	})
	return l, err
}
