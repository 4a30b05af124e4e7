package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"orders/shared/order"
)

// A reconcileReport is what reconcile found and did.
type reconcileReport struct {
	Orders     counts  `json:"orders"`
	Metrics    counts  `json:"metrics"`
	Verdict    verdict `json:"verdict"`
	Difference counts  `json:"difference"` // orders - metrics
	Repaired   bool    `json:"repaired"`

	Overdue       int             `json:"overdue"`
	OverdueOrders []overdueReport `json:"overdue_orders"` // up to --limit
	Sent          int             `json:"sent"`

	Unread []string `json:"unread"`

	found recount
}

// counts is a tally as it is written.
type counts struct {
	Total       int64            `json:"total"`
	ByStatus    map[string]int64 `json:"by_status"`
	TimedOrders int64            `json:"timed_orders"`
	TimedMillis int64            `json:"timed_ms"`
}

type overdueReport struct {
	OrderID order.ID  `json:"order_id"`
	Status  string    `json:"status"`
	Due     time.Time `json:"due"`
}

func newReconcileReport(found recount) reconcileReport {
	r := reconcileReport{
		Orders: countsOf(found.Orders), Metrics: countsOf(found.Metrics), Verdict: found.Verdict,
		Difference: countsOf(found.difference()),
		Overdue:    found.OverdueOrders, OverdueOrders: make([]overdueReport, len(found.Overdue)),
		Unread: []string{}, found: found,
	}
	for _, err := range found.Unread {
		r.Unread = append(r.Unread, err.Error())
	}
	for i, o := range found.Overdue {
		r.OverdueOrders[i] = overdueReport{o.Message.OrderID, o.Status.String(), o.Message.NotBefore}
	}
	return r
}

func countsOf(t order.Tally) counts {
	c := counts{Total: t.Total(), ByStatus: map[string]int64{}, TimedOrders: t.CompletedCount, TimedMillis: t.DurationSumMillis}
	for _, s := range order.Statuses {
		c.ByStatus[s.String()] = t.ByStatus[s]
	}
	return c
}

// findings is an error while something is not as it should be.
func (r reconcileReport) findings() error {
	if r.Verdict == differ && !r.Repaired || r.Overdue > r.Sent || len(r.Unread) > 0 {
		return errFindings
	}
	return nil
}

// explain says why the metrics compare as they do.
func (v verdict) explain() string {
	switch v {
	case agree:
		return "the metrics equal the orders"
	case differ:
		return "the metrics differ from the orders"
	case moving:
		return "orders have changed while they were read; try again when the table is at rest"
	case lagging:
		return "the stream holds changes that are not counted yet, or is too busy to tell; see to the tally function, then try again"
	case damaged:
		return "what the tally keeps in the table is damaged; see what is unread"
	default:
		return "not all orders could be read"
	}
}

// listed is how many of each finding are listed for a person.
const listed = 10

func (r reconcileReport) write(w io.Writer) error {
	metrics := r.Metrics.String()
	if r.Verdict == damaged {
		metrics = "unknown"
	}
	fmt.Fprintf(w, "orders   %s\nmetrics  %s\nverdict  %s\n", r.Orders, metrics, r.Verdict.explain())
	if r.Verdict == differ {
		fmt.Fprintf(w, "missing  %s\n", change(r.found.difference()))
	}
	fmt.Fprintf(w, "overdue  %d\n", r.Overdue)
	for _, o := range r.OverdueOrders[:min(listed, len(r.OverdueOrders))] {
		fmt.Fprintf(w, "         %s is %s, due %s\n", o.OrderID, o.Status, o.Due.Format(time.RFC3339))
	}
	if r.Overdue > listed {
		fmt.Fprintf(w, "         and %d more\n", r.Overdue-listed)
	}
	_, err := fmt.Fprintf(w, "unread   %d\n", len(r.Unread))
	for _, reason := range r.Unread[:min(listed, len(r.Unread))] {
		fmt.Fprintf(w, "         %s\n", reason)
	}
	return err
}

// String is the counts as a person reads them.
func (c counts) String() string {
	mean := 0.0
	if c.TimedOrders > 0 {
		mean = float64(c.TimedMillis) / float64(c.TimedOrders) / 1000
	}
	return fmt.Sprintf("%d (%d Pending, %d Processing, %d Completed), %d timed, on average %.3f s",
		c.Total, c.ByStatus["Pending"], c.ByStatus["Processing"], c.ByStatus["Completed"], c.TimedOrders, mean)
}

// change is what a difference adds to each count that it changes.
func change(t order.Tally) string {
	var parts []string
	add := func(n int64, what string) {
		if n != 0 {
			parts = append(parts, fmt.Sprintf("%+d %s", n, what))
		}
	}
	for _, s := range order.Statuses {
		add(t.ByStatus[s], s.String())
	}
	add(t.CompletedCount, "timed")
	add(t.DurationSumMillis, "ms")
	return strings.Join(parts, ", ")
}
