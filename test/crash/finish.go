package main

import (
	"context"
	"sync"
	"time"
)

// finishLimit bounds the wait until all orders are Completed, when nobody asks for
// more and nobody kills the service.
const finishLimit = time.Minute

// finish lets the service do what is left, and then reads everything.
func (t *trial) finish(ctx context.Context) error {
	s, err := t.start(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.cmd.Process.Kill() }() // if it is still there
	c := newClient(ctx, s.url, t.connections)
	for _, step := range []func(context.Context, *client) error{t.retryLost, t.awaitCompletion, t.readAll} {
		if err := step(ctx, c); err != nil {
			return err
		}
	}
	c.http.CloseIdleConnections()
	if err := s.terminate(); err != nil {
		return err
	}
	return t.check(ctx)
}

// retryLost asks once more for every order whose answer was lost.
func (t *trial) retryLost(_ context.Context, c *client) error {
	l := &load{client: c, ledger: t.ledger}
	for _, r := range t.ledger.takeLost() {
		if err := l.create(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) awaitCompletion(ctx context.Context, c *client) error {
	for deadline := time.Now().Add(finishLimit); ; {
		m, err := c.metrics()
		switch {
		case err != nil:
			return err
		case m.StatusCounts.Completed == m.TotalOrders:
			return nil
		case time.Now().After(deadline):
			return broken(completes, "%s after the last request: %+v", finishLimit, m)
		}
		select {
		case <-time.After(processingTime / 3):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readAll compares the list, every order in it, and the metrics with each other
// and with the ledger.
func (t *trial) readAll(ctx context.Context, c *client) error {
	ids, err := listAll(c)
	if err != nil {
		return err
	}
	if err := t.ledger.allListed(ids); err != nil {
		return err
	}
	var sum fold
	if err := t.readOrders(ctx, c, ids, &sum); err != nil {
		return err
	}
	m, err := c.metrics()
	if err != nil {
		return err
	}
	return sum.is(m)
}

// listAll joins all pages.
func listAll(c *client) (ids []string, err error) {
	for path := "/api/orders/ids/"; path != ""; {
		var page []string
		if page, path, err = c.page(path); err != nil {
			return nil, err
		}
		ids = append(ids, page...)
	}
	return ids, nil
}

// readOrders reads every order, over all connections.
func (t *trial) readOrders(ctx context.Context, c *client, ids []string, sum *fold) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var readers sync.WaitGroup
	for n := range t.connections {
		readers.Go(func() {
			for i := n; i < len(ids) && ctx.Err() == nil; i += t.connections {
				if err := t.readOrder(c, ids[i], sum); err != nil {
					cancel(err)
				}
			}
		})
	}
	readers.Wait()
	return context.Cause(ctx)
}

func (t *trial) readOrder(c *client, id string, sum *fold) error {
	var before sighting
	if r := t.ledger.known(id); r != nil {
		before = t.ledger.before(r)
	}
	o, err := c.order(id)
	if err != nil {
		return err
	}
	if o.Status != "Completed" {
		return broken(completes, "the metrics say that all are, but %s is %s", id, o.Status)
	}
	sum.add(&o)
	return t.ledger.saw(before, &o)
}

// A fold is what the metrics are to be: the sum over all orders.
type fold struct {
	mu            sync.Mutex
	orders, timed int
	millis        int64
}

func (f *fold) add(o *orderAnswer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders++
	if !o.CompletedAt.IsZero() {
		f.timed++
		f.millis += o.CompletedAt.Sub(o.CreatedAt).Milliseconds()
	}
}

func (f *fold) is(m metricsAnswer) error {
	average := 0.0
	if f.timed > 0 {
		average = float64(f.millis) / float64(f.timed) / 1000
	}
	if m.TotalOrders != f.orders || m.AvgProcessTime != average {
		return broken(addsUp, "%d orders took %v s on average, but: %+v", f.orders, average, m)
	}
	return nil
}
