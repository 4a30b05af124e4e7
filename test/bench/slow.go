package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"orders/test/bench/generator"
)

// besideSlow puts the load on a server that has slow clients, too. It returns how many connections of
// theirs the server has ended.
func (b *bench) besideSlow(addr string, l generator.Load, clients int) (p99 float64, cutOff int64) {
	crowd := must(startCrowd(b.ctx, addr, clients, slowKinds...))
	defer crowd.stop()
	res := must(l.Run(b.ctx, addr))
	if crowd.connected.Load() < int64(clients*9/10) {
		check(errors.New("the slow clients found no connections"))
	}
	return res.Milliseconds(99), crowd.cutOff.Load()
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

// startCrowd returns when so many slow clients are connected, as many of each kind.
func startCrowd(ctx context.Context, addr string, n int, kinds ...slowClient) (*slowCrowd, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	crowd := &slowCrowd{addr: addr, stop: func() { cancel(); wg.Wait() }}
	for i := range n {
		conn, err := crowd.connect(ctx)
		if err != nil {
			crowd.stop()
			return nil, err
		}
		wg.Go(func() { crowd.stay(ctx, kinds[i%len(kinds)], conn) })
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
