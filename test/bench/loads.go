package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/test/bench/generator"
	"orders/test/service"
)

// oneProcessor has a server run its goroutines on one processor, as in the smallest virtual machines
// and containers.
var oneProcessor = []string{"GOMAXPROCS=1"}

func (b *bench) measureCreates() {
	b.how(`Closed loop, %s keep-alive connections, each with one request under way; the contenders take
turns in %d rounds of %s each after a warm-up of %s, always on a fresh file. Each round gives a ratio;
the median counts. Every order is started at once; the processing time is %s, and 1s where orders are
completed, too. The echo reads the body with encoding/json/v2 and writes a response of the service's
shape. On one processor are the service and its echo (GOMAXPROCS=1), not the clients.`,
		grouped(connections), b.rounds, b.creating, b.warmUp, processingTime)
	rates, mem := b.takeTurns(generator.Load{WarmUp: b.warmUp, Duration: b.creating}, []contender{
		{"echo on one", 0, oneProcessor},
		{"orders on one", processingTime, oneProcessor},
		echo,
		orders,
		{"orders completed", time.Second, nil},
	})
	name := fmt.Sprintf("durable creates/s at %s connections ÷ echo", grouped(connections))
	compare := func(what string, g goal, of, to string) {
		b.ratioRow(name+what, g, &comparison{rates[of], rates[to]}, "/s", "")
	}
	compare("", atLeast(0.60), "orders", "echo")
	compare(", orders being completed, too", none, "orders completed", "echo")
	compare(", each on one processor", atLeast(0.50), "orders on one", "echo on one")
	b.memoryRow(mem, "under creates", 100)
}

func (b *bench) measureKeyed() {
	b.how(`As "creates", with an Idempotency-Key on each request, all different, the first %s on a fresh file
or as many as fit into %s, in %d rounds.`, grouped(b.keys), b.keyed, b.rounds)
	l := generator.Load{Keyed: true, WarmUp: b.warmUp, Duration: b.keyed, Limit: b.keys}
	rates, mem := b.takeTurns(l, []contender{echo, orders})
	b.ratioRow("durable creates/s, each with its own Idempotency-Key ÷ echo", atLeast(0.40),
		&comparison{rates["orders"], rates["echo"]}, "/s", "")
	b.memoryRow(mem, "under creates with keys", 100)
}

// takeTurns returns the creates a second by contender and round.
func (b *bench) takeTurns(l generator.Load, contenders []contender) (rates map[string][]float64, mem memory) {
	rates = map[string][]float64{}
	for range b.rounds {
		for _, c := range contenders {
			rate := b.under(c, l, &mem).PerSecond()
			rates[c.name] = append(rates[c.name], rate)
			b.record(c.name, rate, "creates/s")
		}
	}
	return rates, mem
}

func (b *bench) measureLatency() {
	b.how(`Open loop over %s keep-alive connections for %s at each rate, after a warm-up of %s, first on the
echo, then on the service with a fresh file and a processing time of %s. Creates are due at even
intervals, and a latency counts from when the create was due, not from when it was sent: it includes
the wait for a free connection and the lateness of the client itself, which the echo's figures show.`,
		grouped(connections), b.openLoop, b.warmUp, processingTime)
	var mem memory
	for _, goal := range []struct {
		rate  int
		limit float64
	}{{1_000, 4}, {5_000, 5}, {10_000, 8}} {
		l := generator.Load{Rate: goal.rate, WarmUp: b.warmUp, Duration: b.openLoop}
		base, own := b.under(echo, l, &mem), b.under(orders, l, &mem)
		name := fmt.Sprintf("rate=%d/", goal.rate)
		b.record(name+echo.name, base.Milliseconds(99), "p99-ms")
		b.record(name+orders.name, own.Milliseconds(99), "p99-ms")
		b.row(row{
			name: fmt.Sprintf("p99 of creates at %s/s, open loop", grouped(goal.rate)),
			goal: atMost(goal.limit, "ms"), value: own.Milliseconds(99),
			details: fmt.Sprintf("p50 %.1f ms; echo p50 %.1f ms, p99 %.1f ms", own.Milliseconds(50), base.Milliseconds(50), base.Milliseconds(99)),
		})
	}
	b.memoryRow(mem, "in open loops", 100)
}

func (b *bench) measureSlow() {
	const clients, rate = 1000, 2000
	b.how(`Open loop, %s creates/s over %s connections for %s, without slow clients and with them in turn, in
%d rounds on one server, processing time %s. There are %s slow clients: a third sends nothing, a third
sends a byte of its headers a second, a third asks for megabytes and reads nothing. A client that loses
the connection to the server's limits opens another, so that there are as many all the time.`,
		grouped(rate), grouped(connections), b.slow, b.rounds, processingTime, grouped(clients))
	s := b.startOrders(b.newFile(), processingTime)
	defer s.Close()
	l := generator.Load{Rate: rate, WarmUp: b.warmUp, Duration: b.slow}
	var c comparison
	var cutOff int64
	for range b.rounds {
		without := must(l.Run(b.ctx, s.addr)).Milliseconds(99)
		with, ended := b.besideSlow(s.addr, l, clients)
		b.record("without", without, "p99-ms")
		b.record("beside", with, "p99-ms")
		c.add(with, without)
		cutOff += ended
	}
	var mem memory
	mem.watch(s)
	check(s.Stop())
	b.ratioRow(fmt.Sprintf("p99 of creates at %s/s beside %s slow clients ÷ without them", grouped(rate), grouped(clients)),
		atMost(1.5, ""), &c, "ms", fmt.Sprintf("; %s connections cut off meanwhile", grouped(cutOff)))
	b.memoryRow(mem, "beside slow clients", 200) // leaves room for the buffers of as many connections again
}

func (b *bench) measureBackup() {
	const rate = 10_000
	b.how(`Open loop, %s creates/s over %s connections for %s on a fresh file, processing time %s: without
backups, and then with "orders backup" every %s, which always writes to the same file; in turn, %d
times. A backup that takes longer is followed by the next at once. Each checks its copy before it takes
the place of the last one, and must hold every order that was acknowledged before it began.`,
		grouped(rate), grouped(connections), b.backupLoad, processingTime, b.backupEvery, b.backupRounds)
	l := generator.Load{Rate: rate, WarmUp: b.warmUp, Duration: b.backupLoad}
	var c comparison
	var last *backups
	for range b.backupRounds {
		without := b.under(orders, l, new(memory)).Milliseconds(99)
		var with float64
		with, last = b.besideBackups(l)
		b.record("without", without, "p99-ms")
		b.record("beside", with, "p99-ms")
		c.add(with, without)
	}
	b.ratioRow(fmt.Sprintf("p99 of creates at %s/s beside backups every %s ÷ without them", grouped(rate), b.backupEvery), atMost(1.5, ""),
		&c, "ms", fmt.Sprintf("; %d backups, the longest %.1f s, the -wal up to %s MB", last.count, last.longest.Seconds(), grouped(float64(last.wal)/1e6)))
}

// besideBackups puts the load on a fresh service, and makes backups meanwhile.
func (b *bench) besideBackups(l generator.Load) (p99 float64, made *backups) {
	made = &backups{file: b.newFile()}
	s := b.startOrders(made.file, processingTime)
	defer s.Close()
	failed, loadOver := make(chan error, 1), make(chan struct{})
	go func() {
		ticks := time.NewTicker(b.backupEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
			case <-loadOver:
				failed <- nil
				return
			}
			if err := made.backup(exec.CommandContext(b.ctx, b.ordersProgram, "backup", made.file+".backup", "--db", made.file)); err != nil {
				failed <- err
				return
			}
		}
	}()
	l.Observe = func(time.Duration) { made.acknowledged.Add(1) }
	res, err := l.Run(b.ctx, s.addr)
	close(loadOver)
	check(<-failed)
	check(err)
	check(s.Stop())
	return res.Milliseconds(99), made
}

// backups are those of one file, one after the other.
type backups struct {
	file         string
	acknowledged atomic.Int64 // creates so far

	count   int
	longest time.Duration
	wal     int64 // bytes, the most that the log had behind a backup
}

var backedUp = regexp.MustCompile(`(?m)^orders +(\d+) `)

func (r *backups) backup(cmd *exec.Cmd) error {
	acknowledged, began := r.acknowledged.Load(), time.Now()
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("orders backup: %w: %s", err, output)
	}
	var copied int64
	if match := backedUp.FindSubmatch(output); match != nil {
		copied, _ = strconv.ParseInt(string(match[1]), 10, 64)
	}
	if copied < acknowledged {
		return fmt.Errorf("%d orders were acknowledged before this backup: %s", acknowledged, output)
	}
	r.count++
	r.longest = max(r.longest, time.Since(began))
	if info, err := os.Stat(r.file + "-wal"); err == nil {
		r.wal = max(r.wal, info.Size())
	}
	return nil
}

// maxLag is the longest that an order may wait for its start or its completion.
const maxLag = time.Second

// A life is what was measured of orders from their creation to their end.
type life struct {
	perSecond         float64
	start, completion *generator.Latencies // lags
	metrics           service.Metrics      // when all orders are due
}

func (b *bench) measureLives() {
	const rate, cancelEvery = 20_000, 100
	b.how(`Open loop, %s creates/s over %s connections for %s, processing time %s, on a fresh file, in turn
without and with one order of %d cancelled, a while after its creation; %d times. The lags are read from
the file when the server has stopped: start lag is started_at - created_at, completion lag is
completed_at - started_at - processing time. Unfinished is what GET /api/metrics/ still counts as
Pending or Processing the processing time and %s after the last response.`,
		grouped(rate), grouped(connections), b.lives, b.livesProcessing, cancelEvery, b.livesRounds, maxLag)
	var mem memory
	var without, with life
	var throughput, starts, completions comparison
	for range b.livesRounds {
		without = b.live(generator.Load{Rate: rate, Duration: b.lives}, &mem)
		with = b.live(generator.Load{Rate: rate, Duration: b.lives, CancelEvery: cancelEvery}, &mem)
		throughput.add(with.perSecond, without.perSecond)
		starts.add(with.start.Milliseconds(99), without.start.Milliseconds(99))
		completions.add(with.completion.Milliseconds(99), without.completion.Milliseconds(99))
	}
	lagGoal, throughputGoal := atMost(1.1, ""), atLeast(0.9)
	if b.livesRounds == 1 { // which compares nothing on a busy machine
		lagGoal, throughputGoal = none, none
	}
	for _, lag := range []struct {
		name string
		*generator.Latencies
		*comparison
	}{{"start lag", without.start, &starts}, {"completion lag", without.completion, &completions}} {
		b.record(lag.name, lag.Milliseconds(99), "p99-ms")
		b.row(row{
			name: fmt.Sprintf("p99 of the %s at %s creates/s", lag.name, grouped(rate)),
			goal: atMost(milliseconds(maxLag), "ms"), value: lag.Milliseconds(99),
			details: fmt.Sprintf("p50 %.0f ms, longest %.0f ms", lag.Milliseconds(50), lag.Milliseconds(100)),
		})
		b.ratioRow("p99 of the "+lag.name+" with 1 % cancelled ÷ without", lagGoal, lag.comparison, "ms", "")
	}
	b.ratioRow("creates with 1 % cancelled ÷ without", throughputGoal, &throughput, "creates/s",
		fmt.Sprintf("; %s were cancelled", grouped(with.metrics.StatusCounts["Cancelled"])))
	b.row(row{
		name: "orders unfinished when all are due", goal: atMost(0, "orders"),
		value:   float64(without.metrics.Unfinished() + with.metrics.Unfinished()),
		details: "of " + grouped(without.metrics.TotalOrders+with.metrics.TotalOrders),
	})
	b.memoryRow(mem, "over whole lives", 100)
}

// live puts the load on a fresh service and waits until all orders are due.
func (b *bench) live(l generator.Load, mem *memory) (measured life) {
	file := b.newFile()
	s := b.startOrders(file, b.livesProcessing)
	defer s.Close()
	created := must(l.Run(b.ctx, s.addr))
	measured.perSecond = created.PerSecond()
	select {
	case <-time.After(b.livesProcessing + maxLag):
	case <-b.ctx.Done():
		check(b.ctx.Err())
	}
	measured.metrics = must(s.client.Metrics(b.ctx))
	if n := measured.metrics.TotalOrders; int64(n) != created.Count() {
		check(fmt.Errorf("%d creates were acknowledged, and there are %d orders", created.Count(), n))
	}
	mem.watch(s)
	check(s.Stop())
	measured.start, measured.completion = b.lags(file)
	return measured
}

// lags reads how late the completed orders were started and completed from a database file that no
// process has open. The columns are described in shared/sqlite.
func (b *bench) lags(file string) (start, completion *generator.Latencies) {
	conn := must(sqlite.OpenConn(file, sqlite.OpenReadOnly))
	defer conn.Close()
	conn.SetInterrupt(b.ctx.Done())
	start, completion = generator.NewLatencies(), generator.NewLatencies()
	const query = `SELECT started_at - (seq >> 15), completed_at - started_at - ? FROM orders WHERE status = 2`
	check(sqlitex.Execute(conn, query, &sqlitex.ExecOptions{
		Args: []any{b.livesProcessing.Milliseconds()},
		ResultFunc: func(row *sqlite.Stmt) error {
			start.Record(time.Duration(row.ColumnInt64(0)) * time.Millisecond)
			completion.Record(time.Duration(row.ColumnInt64(1)) * time.Millisecond)
			return nil
		},
	}))
	return start, completion
}
