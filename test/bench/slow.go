package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"orders/test/bench/generator"
)

const (
	slowClients = 1000
	slowRate    = 2000 // creates a second beside them
	// maxSlowMemory leaves room for the buffers of as many connections again as the load has.
	maxSlowMemory = 200 // MB
)

func (b *bench) measureSlow(ctx context.Context) (section, error) {
	sec := section{
		how: fmt.Sprintf(`Open loop, %s creates/s over %s connections for %s, without slow clients and with them in turn, in %d
rounds on one server, processing time %s. There are %s slow clients: a third sends nothing, a third sends a byte of its
headers a second, a third asks for megabytes and reads nothing. A client that loses the connection to the server's
limits opens another, so that there are as many all the time. The ratio is between the p99s of a round; the median counts.`,
			grouped(slowRate), grouped(connections), b.slowLoad, b.rounds, processingTime, grouped(slowClients)),
	}
	s, err := b.startOrders(ctx, b.newFile(), processingTime)
	if err != nil {
		return sec, err
	}
	defer s.Close()
	l := generator.Load{Requests: generator.NewCreates(false), Rate: slowRate, WarmUp: b.warmUp, Duration: b.slowLoad}
	var without, with, ratios []float64
	var cutOff int64
	for round := range b.rounds {
		alone, err := l.Run(ctx, s.addr)
		if err != nil {
			return sec, err
		}
		beside, ended, err := besideSlow(ctx, s.addr, l)
		if err != nil {
			return sec, fmt.Errorf("beside slow clients: %w", err)
		}
		cutOff += ended
		without = append(without, alone.Latencies.Milliseconds(99))
		with = append(with, beside.Latencies.Milliseconds(99))
		b.record("without", without[round], "p99-ms")
		b.record("beside", with[round], "p99-ms")
		ratios = append(ratios, with[round]/without[round])
		b.say("  round %d of %d: p99 %.1f ms, beside slow clients %.1f ms", round+1, b.rounds, without[round], with[round])
	}
	var mem memory
	if err := mem.watch(s); err != nil {
		return sec, err
	}
	sec.rows = []row{
		ratioRow(fmt.Sprintf("p99 of creates at %s/s beside %s slow clients ÷ without them", grouped(slowRate), grouped(slowClients)),
			atMost(1.5, ""), median(ratios), "%.1f ms; %.1f ms; ratios %.2f; %s connections cut off meanwhile",
			median(with), median(without), ratios, grouped(cutOff)),
		b.memoryRow(mem, "beside slow clients", maxSlowMemory),
	}
	return sec, s.stop()
}

// besideSlow puts the load on a server that has slow clients, too. It returns how
// many connections of theirs the server has ended.
func besideSlow(ctx context.Context, addr string, l generator.Load) (res generator.Result, cutOff int64, err error) {
	crowd, err := startCrowd(ctx, addr, slowClients)
	if err != nil {
		return res, 0, err
	}
	defer crowd.stop()
	res, err = l.Run(ctx, addr)
	if n := crowd.connected.Load(); err == nil && n < slowClients*9/10 {
		err = errors.New("the slow clients found no connections")
	}
	return res, crowd.cutOff.Load(), err
}

// A slowClient does not keep up, and reads nothing.
type slowClient struct {
	// opening is sent at once, and then a byte of drip a second, round and round.
	opening, drip string
}

// slowKinds are the ways not to keep up, as many clients of each.
var slowKinds = []slowClient{
	{}, // sends nothing
	{drip: "GET /api/metrics/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + strings.Repeat("z", 1000)},
	// Asks for more than the buffers between can hold, and goes on asking.
	{opening: strings.Repeat(largeRequest, 16), drip: largeRequest},
}

// largeRequest asks for the largest response that costs the service next to nothing,
// 400 KB.
const largeRequest = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n"

// A slowCrowd is slow clients at work. Each that loses its connection opens another.
type slowCrowd struct {
	addr      string
	connected atomic.Int64
	cutOff    atomic.Int64 // connections that the server has ended
	stop      func()
}

// startCrowd returns when so many slow clients are connected.
func startCrowd(ctx context.Context, addr string, n int) (*slowCrowd, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	crowd := &slowCrowd{addr: addr, stop: func() { cancel(); wg.Wait() }}
	for i := range n {
		conn, err := crowd.connect(ctx)
		if err != nil {
			crowd.stop()
			return nil, err
		}
		wg.Go(func() { crowd.stay(ctx, slowKinds[i%len(slowKinds)], conn) })
	}
	return crowd, nil
}

func (c *slowCrowd) connect(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Control: asOverANetwork}).DialContext(ctx, "tcp", c.addr)
	if err == nil {
		c.connected.Add(1)
	}
	return conn, err
}

// asOverANetwork keeps the segments as small as they are between machines. Within
// one, the kernel would buffer 4 MB for each client that does not read, and their
// thousand would measure its memory, not the service.
func asOverANetwork(_, _ string, c syscall.RawConn) (err error) {
	const segment, buffer = 1400, 4096 // bytes
	control := c.Control(func(fd uintptr) {
		err = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, segment),
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, buffer))
	})
	return errors.Join(control, err)
}

// stay is slow on one connection after another, until the context ends.
func (c *slowCrowd) stay(ctx context.Context, client slowClient, conn net.Conn) {
	for err := error(nil); err == nil; conn, err = c.connect(ctx) {
		client.use(ctx, conn)
		if ctx.Err() != nil {
			return
		}
		c.connected.Add(-1)
		c.cutOff.Add(1)
	}
}

// use returns when the server has ended the connection, or the context has.
func (s slowClient) use(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if s.drip == "" {
		_, _ = conn.Read(make([]byte, 1)) // nothing was asked, so only the end can come
		return
	}
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	_, err := conn.Write([]byte(s.opening))
	for n := 0; err == nil; n++ {
		select {
		case <-ticks.C:
			_, err = conn.Write([]byte{s.drip[n%len(s.drip)]})
		case <-ctx.Done():
			return
		}
	}
}
