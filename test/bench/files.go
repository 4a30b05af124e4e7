package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"orders/shared/order"
	"orders/shared/sqlite"
	"orders/test/bench/generator"
	"orders/test/service"
)

func (b *bench) measureCommit() {
	const callers, manyCallers = connections, 5000
	many, more, one := b.commitRate(callers), b.commitRate(manyCallers), b.commitRate(1)
	b.how(`The store alone, in this process, without HTTP: durable orders a second when %s goroutines call
Store.Create, against one goroutine that calls it again when it has returned, which makes each order a
transaction, and an fsync, of its own; %s each, on fresh files. The orders are imported as Completed, so
that no transitions are counted on either side. A group is no larger than the number of callers, so the
ratio falls where an fsync is fast, and rises with the callers: the second line has %s. Here an order
alone took %.2f ms, nearly all of it fsync, and each of %s callers came round every %.1f ms, 4 ms of
which are the pacing of commits, which the creates over HTTP gain by.`,
		grouped(callers), b.committing, grouped(manyCallers), 1000/one, grouped(callers), 1000*callers/many)
	b.record("1 caller", one, "orders/s")
	b.record("1000 callers", many, "orders/s")
	b.record("5000 callers", more, "orders/s")
	const name = "group commit ÷ one transaction an order"
	b.ratioRow(name, atLeast(40), &comparison{[]float64{many}, []float64{one}}, "orders/s", "")
	b.ratioRow(name+", "+grouped(manyCallers)+" callers", none, &comparison{[]float64{more}, []float64{one}}, "orders/s", "")
}

// commitRate is how many orders a second so many goroutines create.
func (b *bench) commitRate(goroutines int) float64 {
	store := b.openStore(b.newFile())
	began := time.Now()
	n := b.fill(store, goroutines, func(int64) bool { return time.Since(began) < b.committing })
	return float64(n) / time.Since(began).Seconds()
}

// openStore opens a database file in this process. fill closes it.
func (b *bench) openStore(file string) *sqlite.Store {
	return must(sqlite.Open(b.ctx, sqlite.Config{
		Path: file, Fulfilment: order.Timer(processingTime),
		Now: time.Now, Random: bufio.NewReader(rand.Reader), Log: slog.New(slog.DiscardHandler),
	}))
}

// fill creates finished orders from so many goroutines at once, each goroutine one after another. It
// asks more, with the number of the order, before each of them, and returns how many it has created.
// No transitions follow, and orders have much the same size as the creates'.
func (b *bench) fill(store *sqlite.Store, goroutines int, more func(n int64) bool) int64 {
	var next, created atomic.Int64
	g, ctx := errgroup.WithContext(b.ctx)
	for range goroutines {
		g.Go(func() error { return fillFrom(ctx, store, &next, &created, more) })
	}
	check(errors.Join(g.Wait(), store.Close()))
	return created.Load()
}

func fillFrom(ctx context.Context, store *sqlite.Store, next, created *atomic.Int64, more func(n int64) bool) error {
	for n := next.Add(1) - 1; more(n); n = next.Add(1) - 1 {
		number := strconv.FormatInt(n%1024, 10)
		d := order.Draft{
			Details: order.Details{
				ClientReference: "userTest" + number, UserID: number, ItemIDs: []string{"890", number},
				TotalAmount: order.Amount(n % int64(order.MaxAmount)),
			},
			InitialStatus: order.Completed,
		}
		d.SetFingerprint()
		if _, _, err := store.Create(ctx, d); err != nil {
			return err
		}
		created.Add(1)
	}
	return nil
}

// finished makes a file of so many finished orders.
func (b *bench) finished(orders int64) (file string) {
	file = b.newFile()
	b.fill(b.openStore(file), connections, func(n int64) bool { return n < orders })
	return file
}

// largeFile is made when it is first asked for.
func (b *bench) largeFile() string {
	if b.largePath == "" {
		b.largePath = b.finished(b.large)
	}
	return b.largePath
}

func (b *bench) measureReads() {
	const small, statuses = 1000, 100 // orders
	// deepLimit is how many ids the deep page has: as many as the small file still has there.
	const deepLimit = 100
	b.how(`Two concurrent servers, on files of %s and of %s finished orders. Of each kind, %s requests go to
each of them in turn, one after the other, on one keep-alive connection each; the ratio is between the
medians. Status asks for %d orders spread over the newer 60 %% of the file. The first page has %s ids,
the deep one has %d and begins behind those 60 %%.`,
		grouped(small), grouped(b.large), grouped(b.reads), statuses, grouped(service.MaxPage), deepLimit)
	var sides [2]*readSide
	for i, file := range []string{b.finished(small), b.largeFile()} {
		s := b.startOrders(file, processingTime)
		defer s.Close()
		sides[i] = &readSide{server: s, conn: must(generator.Dial(b.ctx, s.addr)), requests: map[string][][]byte{
			"metrics": {generator.Get("/api/metrics/")}, "first page of ids": {generator.Get("/api/orders/ids/")},
		}}
		defer sides[i].conn.Close()
		ids, deep := sides[i].walk(b.ctx, deepLimit)
		sides[i].requests["deep page of ids"] = [][]byte{generator.Get(deep)}
		for n := range statuses {
			path := "/api/orders/" + ids[n*len(ids)/statuses] + "/status/"
			sides[i].requests["status"] = append(sides[i].requests["status"], generator.Get(path))
		}
	}
	for _, kind := range []string{"metrics", "status", "first page of ids", "deep page of ids"} {
		before, after := b.compareReads(sides, kind)
		b.record(kind+"/small", before, "p50-ms")
		b.record(kind+"/large", after, "p50-ms")
		b.row(row{
			name: fmt.Sprintf("%s at %s orders ÷ at %s", kind, grouped(b.large), grouped(small)),
			goal: atMost(1.2, ""), value: after / before, details: fmt.Sprintf("p50 %.3f ms ÷ %.3f ms", after, before),
		})
	}
	var mem memory
	mem.watch(sides[1].server)
	b.memoryRow(mem, fmt.Sprintf("with %s orders", grouped(b.large)), 100)
}

// A readSide is one of the two servers, and its requests of each kind, sent in turn.
type readSide struct {
	*server
	conn     *generator.Conn
	requests map[string][][]byte
}

// walk reads pages over the newer 60 % of the file. It returns their ids, and the path of the page
// that follows.
func (s *readSide) walk(ctx context.Context, limit int) (ids []string, next string) {
	n := must(s.client.Metrics(ctx)).TotalOrders * 6 / 10
	for next = service.FirstPage(limit); len(ids) < n; {
		page, following, err := s.client.Page(ctx, next)
		check(err)
		ids, next = append(ids, page...), following
	}
	return ids, next
}

// compareReads returns the median milliseconds of one kind of read on both sides.
func (b *bench) compareReads(sides [2]*readSide, kind string) (small, large float64) {
	samples := [2]*generator.Latencies{generator.NewLatencies(), generator.NewLatencies()}
	for i := range b.reads {
		for k := range sides {
			j := (i + k) % len(sides) // neither is always the first
			requests := sides[j].requests[kind]
			began := time.Now()
			check(sides[j].conn.Do(requests[i%len(requests)], generator.CheckOK))
			samples[j].Record(time.Since(began))
		}
	}
	return samples[0].Milliseconds(50), samples[1].Milliseconds(50)
}

func (b *bench) measureStart() {
	// longProcessing keeps orders unfinished for as long as a measurement takes.
	const longProcessing = 15 * time.Minute
	b.how(`From the exec of the server to its first 200 on GET /healthz, sent as soon as it has printed its
address; the median of %d starts. For the last row %s orders are created over HTTP, processing time %s,
and the server is killed with SIGKILL, as it is again after each start. Memory is taken at the first
response.`, b.starts, grouped(b.unfinished), longProcessing)
	killed := b.newFile()
	s := b.startOrders(killed, longProcessing)
	defer s.Close()
	must(generator.Load{Duration: longProcessing / 2, Limit: b.unfinished}.Run(b.ctx, s.addr))
	if n := must(s.client.Metrics(b.ctx)).Unfinished(); int64(n) != b.unfinished {
		check(fmt.Errorf("%d orders are unfinished, not %d", n, b.unfinished))
	}
	check(s.Kill())
	var mem memory
	for _, c := range []struct {
		name  string
		limit float64 // ms
		file  func() string
		end   func(*server) error
	}{
		{"without a file", 50, b.newFile, (*server).Stop},
		{fmt.Sprintf("with %s finished orders", grouped(b.large)), 200, b.largeFile, (*server).Stop},
		{
			fmt.Sprintf("after SIGKILL with %s unfinished orders", grouped(b.unfinished)), 1500,
			func() string { return killed }, (*server).Kill,
		},
	} {
		var times []float64
		for range b.starts {
			s := b.startOrders(c.file(), longProcessing)
			defer s.Close()
			conn := must(generator.Dial(b.ctx, s.addr))
			defer conn.Close()
			check(conn.Do(generator.Get("/healthz"), generator.CheckOK))
			took := milliseconds(time.Since(s.began))
			mem.watch(s)
			check(c.end(s))
			times = append(times, took)
			b.record(c.name, took, "ms")
		}
		b.row(row{name: "start to first response " + c.name, goal: atMost(c.limit, "ms"), value: median(times)})
	}
	b.memoryRow(mem, "while starting", 200)
}
