package dynamostore

import (
	"context"
	"log/slog"
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
	starts, completes []int64 // in milliseconds, not yet logged
}

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

// Report logs one line for the transitions since the last call, none if there were none. A line has
// room for ten full batches of the queue; what is left over waits for the next call.
func (l *Lateness) Report(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	starts := awsclient.Metric{Name: "StartLateness", Unit: "Milliseconds", Values: l.starts}
	completes := awsclient.Metric{Name: "CompleteLateness", Unit: "Milliseconds", Values: l.completes}
	if len(l.starts)+len(l.completes) > 0 {
		l.Log.LogAttrs(ctx, slog.LevelInfo, "orders have advanced",
			awsclient.Metrics(l.Now(), "TableName", l.Table, starts.Cut(), completes.Cut())...)
	}
	l.starts, l.completes = starts.Values, completes.Values
}
