package main

import (
	"context"
	"fmt"
	"time"

	"orders/test/bench/generator"
	"orders/test/service"
)

// maxGrowth is how much longer a read may take on the large file.
const maxGrowth = 1.2

const (
	// deepLimit is how many ids the deep page has: as many as the small file
	// still has there.
	deepLimit = 100
	// statusIDs is how many orders are asked for in turn.
	statusIDs = 100
)

func (b *bench) measureReads(ctx context.Context) (section, error) {
	sec := section{
		how: fmt.Sprintf(`Two concurrent servers, on files of %s and of %s finished orders. Of each kind, %s requests
go to each of them in turn, one after the other, on one keep-alive connection each; the ratio is between
the medians. Status asks for %d orders spread over the newer 60 %% of the file. The first page has %s ids,
the deep one has %d and begins behind those 60 %%.`,
			grouped(smallFile), grouped(b.largeFile), grouped(b.reads), statusIDs, grouped(smallFile), deepLimit),
	}
	small := b.newFile()
	if err := fillFile(ctx, small, smallFile); err != nil {
		return sec, err
	}
	large, err := b.largePath(ctx)
	if err != nil {
		return sec, err
	}
	var mem memory
	var sides [2]readSide
	for i, file := range []string{small, large} {
		s, err := b.startOrders(ctx, file, processingTime)
		if err != nil {
			return sec, err
		}
		defer s.Close()
		if sides[i], err = newReadSide(ctx, s); err != nil {
			return sec, err
		}
		defer sides[i].conn.Close()
	}
	for kind, name := range readKinds {
		r, err := b.compareReads(&sides, kind, name)
		if err != nil {
			return sec, err
		}
		sec.rows = append(sec.rows, r)
	}
	if err := mem.watch(sides[1].server); err != nil {
		return sec, err
	}
	sec.rows = append(sec.rows, b.memoryRow(mem, fmt.Sprintf("with %s orders", grouped(b.largeFile)), 100))
	for _, s := range sides {
		if err := s.server.stop(); err != nil {
			return sec, err
		}
	}
	return sec, nil
}

// readKinds are the kinds of reads, as readSide.requests has them.
var readKinds = [...]string{"metrics", "status", "first page of ids", "deep page of ids"}

// A readSide is one of the two servers, and its requests.
type readSide struct {
	server *server
	conn   *generator.Conn
	// requests of each kind, sent in turn.
	requests [len(readKinds)][][]byte
}

func newReadSide(ctx context.Context, s *server) (side readSide, err error) {
	side.server = s
	if side.conn, err = generator.Dial(ctx, s.addr); err != nil {
		return side, err
	}
	m, err := s.client.Metrics(ctx)
	if err != nil {
		return side, err
	}
	ids, deep, err := s.walk(ctx, m.TotalOrders*6/10)
	if err != nil {
		return side, err
	}
	var statuses [][]byte
	for i := range statusIDs {
		statuses = append(statuses, generator.Get("/api/orders/"+ids[i*len(ids)/statusIDs]+"/status/"))
	}
	side.requests = [...][][]byte{
		{generator.Get("/api/metrics/")},
		statuses,
		{generator.Get("/api/orders/ids/")},
		{generator.Get(deep)},
	}
	return side, nil
}

// walk reads pages until it has n ids or more. It returns them and the path of
// a page of deepLimit ids that follows.
func (s *server) walk(ctx context.Context, n int) (ids []string, next string, err error) {
	next = service.FirstPage(deepLimit)
	for len(ids) < n && err == nil {
		var page []string
		page, next, err = s.client.Page(ctx, next)
		ids = append(ids, page...)
	}
	return ids, next, err
}

// compareReads measures one kind of read on both sides.
func (b *bench) compareReads(sides *[2]readSide, kind int, name string) (row, error) {
	samples := [2]*generator.Latencies{generator.NewLatencies(), generator.NewLatencies()}
	for i := range b.reads {
		for k := range sides {
			j := (i + k) % len(sides) // neither is always the first
			side := &sides[j]
			requests := side.requests[kind]
			began := time.Now()
			response, err := side.conn.Do(requests[i%len(requests)])
			samples[j].Record(time.Since(began))
			if err == nil {
				err = generator.CheckOK(response)
			}
			if err != nil {
				return row{}, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	before, after := samples[0].Milliseconds(50), samples[1].Milliseconds(50)
	b.record(name+"/small", before, "p50-ms")
	b.record(name+"/large", after, "p50-ms")
	return ratioRow(fmt.Sprintf("%s at %s orders ÷ at %s", name, grouped(b.largeFile), grouped(smallFile)),
		atMost(maxGrowth, ""), after/before, "p50 %.3f ms; %.3f ms", after, before), nil
}
