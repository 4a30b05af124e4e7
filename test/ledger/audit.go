package ledger

import (
	"context"
	"net/http"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"orders/test/service"
)

// An Audit compares a whole store, after all is done, with a ledger.
type Audit struct {
	Ledger *Ledger
	Client *service.Client
	// MaxLife bounds the time from the creation of an order to its completion; 0 is no bound.
	MaxLife time.Duration
	// Shared stores hold orders that are not in the ledger. They count in the metrics only.
	Shared bool
	// Attempts is how often a read is tried, a second apart. Reading this fast may be throttled on
	// AWS; a local service must succeed at once, which is 1.
	Attempts int

	mu         sync.Mutex
	fold       fold
	violations []error
	// LongestLife is the longest time from creation to completion of an order in the ledger.
	LongestLife time.Duration
}

// AuditReaders is how many orders an Audit reads at a time.
const AuditReaders = 32

// Run reads every order. The error holds the violations, or says why there is no result.
func (a *Audit) Run(ctx context.Context) error {
	before, err := retry(ctx, a, a.Client.Metrics)
	if err != nil {
		return err
	}
	ids, err := retry(ctx, a, func(ctx context.Context) ([]string, error) { return a.Client.IDs(ctx, service.MaxPage) })
	if err != nil {
		return err
	}
	a.violations, a.fold = a.Ledger.SeeList(ids), newFold()
	g, readCtx := errgroup.WithContext(ctx)
	g.SetLimit(AuditReaders)
	for _, id := range ids {
		g.Go(func() error { return a.read(readCtx, id) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	after, err := retry(ctx, a, a.Client.Metrics)
	if err != nil {
		return err
	}
	if !a.Shared || reflect.DeepEqual(before, after) { // else others are at work
		if want := a.fold.metrics(); !reflect.DeepEqual(after, want) {
			a.note(Broken(AddsUp, "they are %+v, and a recount gives %+v", after, want))
		}
	}
	return summarize(a.violations)
}

// Orders is how many orders there are in the store.
func (a *Audit) Orders() int { return a.fold.orders }

// note keeps a violation, if there is one.
func (a *Audit) note(err error) {
	if err != nil {
		a.violations = append(a.violations, err)
	}
}

// read compares one order with the ledger.
func (a *Audit) read(ctx context.Context, id string) error {
	var before Sighting
	entry := a.Ledger.Known(id)
	if entry != nil {
		before = a.Ledger.Before(entry)
	}
	o, err := retry(ctx, a, func(ctx context.Context) (service.Order, error) { return a.Client.Order(ctx, id) })
	if err != nil && !IsViolation(err) {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.note(err)
		return nil
	}
	a.fold.add(&o)
	if entry == nil && a.Shared {
		return nil
	}
	a.note(a.Ledger.See(before, &o))
	if !isFinal(rankOf(o.Status)) && o.Status != "Failed" {
		a.note(Broken(Completes, "%s is %s", id, o.Status))
	}
	if !o.CompletedAt.IsZero() {
		life := o.CompletedAt.Sub(o.CreatedAt)
		a.LongestLife = max(a.LongestLife, life)
		if a.MaxLife > 0 && life > a.MaxLife {
			a.note(Broken(InTime, "%s was Completed %s after its creation", id, life))
		}
	}
	return nil
}

// retry reads something, up to a.Attempts times. A missing order is missing at once.
func retry[T any](ctx context.Context, a *Audit, read func(context.Context) (T, error)) (v T, err error) {
	for attempt := 1; ; attempt++ {
		v, err = read(ctx)
		if err == nil || attempt >= a.Attempts || service.StatusOf(err) == http.StatusNotFound {
			return v, OfResponse(err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
}

// A fold is what the metrics must be: the sum over all orders.
type fold struct {
	orders, timed int
	byStatus      map[string]int
	life          time.Duration
}

func newFold() fold {
	return fold{byStatus: map[string]int{"Pending": 0, "Processing": 0, "Completed": 0}}
}

func (f *fold) add(o *service.Order) {
	f.orders++
	f.byStatus[o.Status]++
	if !o.CompletedAt.IsZero() {
		f.timed++
		f.life += o.CompletedAt.Sub(o.CreatedAt)
	}
}

func (f *fold) metrics() service.Metrics {
	m := service.Metrics{TotalOrders: f.orders, StatusCounts: f.byStatus}
	if f.timed > 0 {
		m.AvgProcessTime = float64(f.life.Milliseconds()) / float64(f.timed) / 1000
	}
	return m
}

// Metrics works out the metrics from whole orders.
func Metrics(orders []service.Order) service.Metrics {
	f := newFold()
	for i := range orders {
		f.add(&orders[i])
	}
	return f.metrics()
}

// AwaitCompletion waits until there are so many orders at least, and none of them Pending or
// Processing.
func AwaitCompletion(ctx context.Context, c *service.Client, orders int, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; {
		m, err := c.Metrics(ctx)
		switch {
		case err != nil:
			return OfResponse(err)
		case m.Unfinished() == 0 && m.TotalOrders >= orders:
			return nil
		case time.Now().After(deadline):
			return Broken(Completes, "%s after the last request, of %d orders: %+v", limit, orders, m)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
