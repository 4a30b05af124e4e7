package dynamostore

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// A Lateness collects how late transitions come, and logs them as metrics: StartLateness from the
// creation of an order to its start, CompleteLateness from the end of its processing time to its
// completion. It is safe for concurrent use.
type Lateness struct {
	// Table is the value of the metrics' dimension TableName.
	Table string
	// Fulfilment says how orders in Processing are completed. A worker's completion is no transition of
	// Advance, so with External there is no CompleteLateness.
	Fulfilment order.Fulfilment
	Now        func() time.Time
	Log        *slog.Logger

	mu                sync.Mutex
	starts, completes []int64   // in milliseconds, not yet logged
	logged            time.Time // when there was a line last
}

const (
	// promised is how late a transition may be, see docs/operations.md.
	promised = 5 * time.Second
	// A line gathers the transitions of so long, or so many. It is paid for by the byte.
	lineEvery, lineTransitions = time.Minute, 100
)

// Observe records the transition that an order has just made. Config.Advanced takes it.
func (l *Lateness) Observe(o order.Order) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch o.Status {
	case order.Processing:
		l.starts = append(l.starts, o.StartedAt.Sub(o.CreatedAt).Milliseconds())
	case order.Completed:
		l.completes = append(l.completes, (o.CompletedAt.Sub(o.StartedAt) - l.Fulfilment.ProcessingTime).Milliseconds())
	}
}

// Report logs a line for the transitions since the last line when that is a minute old, when there are
// a hundred of them, or when one is later than promised; otherwise they wait for the next call. A line
// has room for a hundred starts and a hundred completions, and the others wait, too. What waits when
// Lambda gives up the environment is lost: nothing of it was late.
func (l *Lateness) Report(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.Now()
	isLate := func(ms int64) bool { return ms > promised.Milliseconds() }
	switch n := len(l.starts) + len(l.completes); {
	case n == 0:
		return
	case n < lineTransitions && now.Sub(l.logged) < lineEvery && !slices.ContainsFunc(l.starts, isLate) && !slices.ContainsFunc(l.completes, isLate):
		return
	}
	starts := awsclient.Metric{Name: "StartLateness", Unit: "Milliseconds", Values: l.starts}
	completes := awsclient.Metric{Name: "CompleteLateness", Unit: "Milliseconds", Values: l.completes}
	l.Log.LogAttrs(ctx, slog.LevelInfo, "orders have advanced",
		awsclient.Metrics(now, "TableName", l.Table, starts.Cut(), completes.Cut())...)
	l.starts, l.completes, l.logged = starts.Values, completes.Values, now
}
