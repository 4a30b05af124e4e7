package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const (
	livesRate = 20_000 // creates a second
	// maxLag is the longest that an order may wait for its start or its completion.
	maxLag = time.Second
)

func (b *bench) measureLives(ctx context.Context) (section, error) {
	sec := section{
		How: fmt.Sprintf(`Open loop, %s creates/s over %s connections for %s, processing time %s, on a fresh file.
The lags are read off the file when the server has stopped: start lag is started_at - created_at,
completion lag is completed_at - started_at - processing time. Unfinished is what GET /api/metrics/
does not count as Completed the processing time and %s after the last answer.`,
			grouped(livesRate), grouped(connections), b.lives, b.livesProcessing, maxLag),
	}
	file := b.newFile()
	s, err := b.startOrders(ctx, file, b.livesProcessing)
	if err != nil {
		return sec, err
	}
	defer s.kill()
	res, err := b.runLoad(ctx, "lives", s, load{requests: newCreates(false), rate: livesRate, duration: b.lives})
	if err != nil {
		return sec, err
	}
	select {
	case <-time.After(b.livesProcessing + maxLag):
	case <-ctx.Done():
		return sec, ctx.Err()
	}
	m, err := s.metrics(ctx)
	if err != nil {
		return sec, err
	}
	if m.Total != int64(len(res.latencies)) {
		return sec, fmt.Errorf("%d creates were answered, and there are %d orders", len(res.latencies), m.Total)
	}
	var mem memory
	mem.watch(s)
	if err := s.stop(); err != nil {
		return sec, err
	}
	lags, err := readLags(ctx, file, b.livesProcessing)
	sec.Rows = []row{
		lags.start.lagRow("start lag"),
		lags.completion.lagRow("completion lag"),
		{
			Name: "orders unfinished when all are due", Goal: atMost(0, "orders"), Value: float64(m.unfinished()),
			Measured: grouped(m.unfinished()) + " of " + grouped(m.Total),
		},
		mem.row("over whole lives", 100),
	}
	for _, r := range sec.Rows {
		b.say("  %s: %s", r.Name, r.Measured)
	}
	return sec, err
}

func (l latencies) lagRow(name string) row {
	p99 := l.percentile(99)
	return row{
		Name: fmt.Sprintf("p99 of the %s at %s creates/s", name, grouped(livesRate)),
		Goal: atMost(maxLag.Seconds(), "s"), Value: p99.Seconds(),
		Measured: fmt.Sprintf("p50 %.0f ms, p99 %.0f ms, longest %.0f ms",
			milliseconds(l.percentile(50)), milliseconds(p99), milliseconds(l.percentile(100))),
	}
}

// lags are how late orders were started and completed.
type lags struct{ start, completion latencies }

// readLags reads the lags of all orders that are completed off a database file
// that no process has open. The columns are described in shared/sqlite.
func readLags(ctx context.Context, file string, processing time.Duration) (l lags, err error) {
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadOnly)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	var start, completion []time.Duration
	const query = `SELECT started_at - (seq >> 15), completed_at - started_at - ? FROM orders WHERE status = 2`
	err = sqlitex.Execute(conn, query, &sqlitex.ExecOptions{
		Args: []any{processing.Milliseconds()},
		ResultFunc: func(row *sqlite.Stmt) error {
			start = append(start, time.Duration(row.ColumnInt64(0))*time.Millisecond)
			completion = append(completion, time.Duration(row.ColumnInt64(1))*time.Millisecond)
			return nil
		},
	})
	return lags{newLatencies(start), newLatencies(completion)}, err
}
