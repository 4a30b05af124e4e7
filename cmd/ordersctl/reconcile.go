package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/sqsqueue"
)

type reconcileCommand struct {
	account
	Table    string `env:"ORDERS_TABLE" placeholder:"NAME" help:"The orders' table."`
	QueueURL string `name:"queue-url" env:"ORDERS_QUEUE_URL" placeholder:"URL" help:"The queue, for --send."`
	// ProcessingTime is a text, because kong reads the variables of all commands, and a malformed
	// one must not stop the commands that do not use it.
	ProcessingTime string        `env:"PROCESSING_TIME" default:"50s" placeholder:"TIME" help:"How long an order stays in Processing, 1ms to 15m; 50s unless given."`
	Fulfilment     string        `env:"FULFILMENT" default:"timer" placeholder:"WHO" help:"timer or external: who completes orders; timer unless given."`
	AttemptTimeout string        `env:"ATTEMPT_TIMEOUT" default:"5m" placeholder:"TIME" help:"How long a worker has for one attempt (external); 5m unless given."`
	Send           bool          `help:"Send the messages of overdue orders again. One that is still in the queue does no harm twice."`
	Repair         bool          `help:"Add the difference to the metrics, if it is sure: the table must be at rest."`
	Grace          time.Duration `default:"10m" help:"How late a message may be before its order is overdue."`
	Limit          int           `default:"100000" help:"Overdue orders to list or send for at most."`
	Segments       int           `default:"4" help:"Parts of the table to read concurrently."`
	ReadUnits      int           `default:"500" help:"Read units to use a second; one reads 4 KB."`
	QuietPeriod    time.Duration `name:"settle" default:"10s" help:"How long an open part of the stream must have nothing new to count as read to its end."`
	JSON           bool          `name:"json" help:"Write JSON."`

	fulfilment order.Fulfilment // the parsed texts
}

// Help is the part of the help that is longer than a line.
func (*reconcileCommand) Help() string {
	return `Without --send and --repair nothing is changed. An order is overdue when the message that it waits for was due long ago. This happens when messages were lost, for example with a deleted queue.

The metrics can only be compared with a table at rest. When orders change meanwhile, or changes are not counted yet, the verdict says so. A difference counts when a second reading finds the same.

One thing cannot be proved. A stream does not say where an open shard ends, and may return no records before its end. A shard that has returned none for --settle counts as read. A tally that has stopped before such a gap would later count again what --repair has added. So before --repair see that the alarm TallyBehind is off, and that the metric IteratorAge of the tally function was small when it last counted. If in doubt, give a longer --settle.

The stream serves two readers, the relay and the tally, and this is a third. So it reads slowly. When the stream is too busy, the verdict is the same as for changes that are not counted yet.

Exit status 1 means that there are findings that were not mended, or that mending failed.`
}

// minQuietPeriod is the shortest time in which quiet means anything.
const minQuietPeriod = 100 * time.Millisecond

// Validate names every flag whose value is invalid.
func (c *reconcileCommand) Validate() error {
	processing, err := time.ParseDuration(c.ProcessingTime)
	timeout, timeoutErr := time.ParseDuration(c.AttemptTimeout)
	// Only the processor counts attempts: every order that waits for a worker has a message.
	c.fulfilment = order.Fulfilment{
		ProcessingTime: processing, External: c.Fulfilment == "external", AttemptTimeout: timeout, MaxAttempts: order.MaxAttempts,
	}
	problems := []error{
		given("--table", "ORDERS_TABLE", c.Table),
		rule(err == nil && order.Timer(processing).Validate() == nil,
			"--processing-time (PROCESSING_TIME) must be from 1ms to 15m, such as 50s, not %q", c.ProcessingTime),
		rule(c.Fulfilment == "timer" || c.fulfilment.External, "--fulfilment (FULFILMENT) must be timer or external, not %q", c.Fulfilment),
		rule(timeoutErr == nil && (!c.fulfilment.External || c.fulfilment.Validate() == nil),
			"--attempt-timeout (ATTEMPT_TIMEOUT) must be from 1ms to 15m, such as 5m, not %q", c.AttemptTimeout),
		rule(c.Grace >= 0, "--grace must be 0 or more, not %v", c.Grace),
		rule(c.QuietPeriod >= minQuietPeriod, "--settle must be %v or more, not %v", minQuietPeriod, c.QuietPeriod),
		between("--limit", c.Limit, 1, 10_000_000),
		between("--segments", c.Segments, 1, 1000),
		between("--read-units", c.ReadUnits, 1, 1_000_000),
	}
	if c.Send {
		problems = append(problems, given("--queue-url", "ORDERS_QUEUE_URL", c.QueueURL))
	}
	return errors.Join(problems...)
}

// Run reads, reports, and then repairs and sends if the flags say so.
func (c *reconcileCommand) Run(ctx context.Context, out *console) error {
	r, err := c.open(ctx, out)
	if err != nil {
		return err
	}
	found, err := confirm(func() (recount, error) { return r.read(ctx) }, out)
	if err != nil {
		return fmt.Errorf("stopped after %d orders; nothing was changed: %w", found.Orders.Total(), err)
	}
	report := newReconcileReport(found)
	if !c.JSON {
		if err := report.write(out.stdout); err != nil {
			return err
		}
	}
	err = errors.Join(r.repair(ctx, &report), r.send(ctx, &report))
	if c.JSON {
		err = errors.Join(err, out.writeJSON(report))
	}
	return cmp.Or(err, report.findings())
}

// A reconciler is a reconcileCommand with the parts of the deployment that it works with.
type reconciler struct {
	*reconcileCommand
	out   *console
	store *dynamostore.Store
	audit dynamostore.Audit
	lag   streamLag
	queue order.Queue // for --send
}

func (c *reconcileCommand) open(ctx context.Context, out *console) (*reconciler, error) {
	cfg, err := c.config(ctx)
	if err != nil {
		return nil, err
	}
	db := dynamodb.NewFromConfig(cfg)
	store, err := dynamostore.New(dynamostore.Config{Client: db, Table: c.Table})
	if err != nil {
		return nil, err
	}
	audit := dynamostore.Audit{Client: db, Table: c.Table, Segments: c.Segments, ReadUnits: float64(c.ReadUnits)}
	r := &reconciler{reconcileCommand: c, out: out, store: store, audit: audit, lag: streamLag{
		table: c.Table, tables: db, streams: dynamodbstreams.NewFromConfig(cfg),
		checkpoint: audit.Checkpoint, quietPeriod: c.QuietPeriod,
	}}
	if c.Send {
		r.queue, err = sqsqueue.New(sqsqueue.Config{Client: sqs.NewFromConfig(cfg), URL: c.QueueURL, Now: time.Now})
	}
	return r, err
}

// confirm reads all orders, and a second time when the metrics differ from them: a difference
// counts only when it stays the same.
func confirm(read func() (recount, error), out *console) (recount, error) {
	first, err := read()
	if err != nil || first.Verdict != differ {
		return first, err
	}
	out.say("the metrics differ from the orders: reading again, to be sure")
	second, err := read()
	if err == nil && second.Verdict == differ && second.difference() != first.difference() {
		second.Verdict = moving
	}
	return second, err
}

func (r *reconciler) read(ctx context.Context) (recount, error) {
	tally, err := r.store.Metrics(ctx) // its total is a guess of how many orders there are
	if err != nil && !errors.Is(err, dynamostore.ErrDamaged) {
		return recount{}, err
	}
	bar := r.out.progress("orders read", tally.Total())
	defer bar.end()
	return recounter{
		orders: r.audit.Orders, metrics: r.store.Metrics, lags: r.lag.lags,
		fulfilment: r.fulfilment, grace: r.Grace, now: time.Now(), limit: r.Limit,
		progress: func() { bar.add(1) },
	}.recount(ctx)
}

// repair adds the difference to the metrics, and says that they are exact.
func (r *reconciler) repair(ctx context.Context, report *reconcileReport) error {
	switch {
	case !r.Repair || report.Verdict == agree && !report.Inexact:
		return nil
	case report.Verdict == agree:
		return r.markExact(ctx, report)
	case report.Verdict != differ:
		return fmt.Errorf("the metrics were not repaired: %s", report.Verdict.explain())
	}
	difference := report.found.difference()
	r.out.say("adding to the metrics: %s", formatDifference(difference))
	if err := r.audit.AddTally(ctx, difference, time.Now()); err != nil {
		return fmt.Errorf("repair the metrics: %w", err)
	}
	report.Repaired = true
	r.out.say("the metrics are repaired")
	return r.markExact(ctx, report)
}

// markExact removes the mark that a skipped record has left.
func (r *reconciler) markExact(ctx context.Context, report *reconcileReport) error {
	if !report.Inexact {
		return nil
	}
	if err := r.audit.MarkExact(ctx); err != nil {
		return err
	}
	report.Inexact = false
	r.out.say("the metrics are exact again")
	return nil
}

// sendBatch is how many messages are given to the queue in one call.
const sendBatch = 500

// send sends the messages of overdue orders again.
func (r *reconciler) send(ctx context.Context, report *reconcileReport) error {
	waiting := report.found.Overdue
	if !r.Send || len(waiting) == 0 {
		return nil
	}
	r.out.say("sending the messages of %d overdue orders", len(waiting))
	bar := r.out.progress("messages sent", int64(len(waiting)))
	defer func() {
		bar.end()
		r.out.say("%d messages sent", report.Sent)
	}()
	for batch := range slices.Chunk(waiting, sendBatch) {
		messages := make([]order.Message, len(batch))
		for i, o := range batch {
			messages[i] = o.Message
		}
		if err := r.queue.Send(ctx, messages...); err != nil {
			if unsent, ok := errors.AsType[*order.UnsentError](err); ok {
				report.Sent += unsent.First
			}
			return fmt.Errorf("send messages: %w", err)
		}
		report.Sent += len(batch)
		bar.add(int64(len(batch)))
	}
	return nil
}

// errFindings: the command has succeeded, and there are findings.
var errFindings = errors.New("the orders do not fit together, see the findings")

// A reconcileReport is what reconcile found and did.
type reconcileReport struct {
	Orders     counts  `json:"orders"`
	Metrics    counts  `json:"metrics"`
	Verdict    verdict `json:"verdict"`
	Difference counts  `json:"difference"` // orders - metrics
	Repaired   bool    `json:"repaired"`
	Inexact    bool    `json:"inexact"` // the metrics say so, because a record was skipped

	Overdue       int             `json:"overdue"`
	OverdueOrders []overdueReport `json:"overdue_orders"` // up to --limit
	Sent          int             `json:"sent"`

	Unread []string `json:"unread"`

	found recount
}

// counts is a tally as the report has it.
type counts struct {
	Total             int64            `json:"total"`
	ByStatus          map[string]int64 `json:"by_status"`
	CompletedCount    int64            `json:"completed_count"`
	DurationSumMillis int64            `json:"duration_sum_ms"`
}

type overdueReport struct {
	OrderID order.ID  `json:"order_id"`
	Status  string    `json:"status"`
	Due     time.Time `json:"due"`
}

func newReconcileReport(found recount) reconcileReport {
	r := reconcileReport{
		Orders: newCounts(found.Orders), Metrics: newCounts(found.Metrics), Verdict: found.Verdict,
		Difference: newCounts(found.difference()), Inexact: found.Inexact,
		Overdue: found.OverdueOrders, OverdueOrders: make([]overdueReport, len(found.Overdue)),
		Unread: make([]string, len(found.Unread)), found: found,
	}
	for i, err := range found.Unread {
		r.Unread[i] = err.Error()
	}
	for i, o := range found.Overdue {
		r.OverdueOrders[i] = overdueReport{o.Message.OrderID, o.Status.String(), o.Message.NotBefore}
	}
	return r
}

func newCounts(t order.Tally) counts {
	c := counts{Total: t.Total(), ByStatus: map[string]int64{}, CompletedCount: t.CompletedCount, DurationSumMillis: t.DurationSumMillis}
	for _, s := range order.Statuses {
		c.ByStatus[s.String()] = t.ByStatus[s]
	}
	return c
}

// findings returns errFindings while there are findings that were not mended.
func (r reconcileReport) findings() error {
	if r.Verdict == differ && !r.Repaired || r.Inexact || r.Overdue > r.Sent || len(r.Unread) > 0 {
		return errFindings
	}
	return nil
}

// maxListed is how many findings of each kind are listed for a person.
const maxListed = 10

// write writes the report for a person.
func (r reconcileReport) write(w io.Writer) error {
	metrics := r.Metrics.String()
	if r.Verdict == damaged {
		metrics = "unknown"
	}
	fmt.Fprintf(w, "orders   %s\nmetrics  %s\nverdict  %s\n", r.Orders, metrics, r.Verdict.explain())
	if r.Verdict == differ {
		fmt.Fprintf(w, "missing  %s\n", formatDifference(r.found.difference()))
	}
	if r.Inexact {
		fmt.Fprintln(w, "inexact  a record was skipped: the metrics say that they are not exact, until --repair")
	}
	fmt.Fprintf(w, "overdue  %d\n", r.Overdue)
	for _, o := range r.OverdueOrders[:min(maxListed, len(r.OverdueOrders))] {
		fmt.Fprintf(w, "         %s is %s, due %s\n", o.OrderID, o.Status, o.Due.Format(time.RFC3339))
	}
	if r.Overdue > maxListed {
		fmt.Fprintf(w, "         and %d more\n", r.Overdue-maxListed)
	}
	_, err := fmt.Fprintf(w, "unread   %d\n", len(r.Unread))
	for _, reason := range r.Unread[:min(maxListed, len(r.Unread))] {
		fmt.Fprintf(w, "         %s\n", reason)
	}
	return err
}

// String is the counts for a person, with Failed and Cancelled orders if there are some.
func (c counts) String() string {
	var statuses []string
	for _, s := range order.Statuses {
		if n := c.ByStatus[s.String()]; n != 0 || s <= order.Completed {
			statuses = append(statuses, fmt.Sprint(n, " ", s))
		}
	}
	mean := float64(c.DurationSumMillis) / float64(max(c.CompletedCount, 1)) / 1000
	return fmt.Sprintf("%d (%s), %d timed, on average %.3f s", c.Total, strings.Join(statuses, ", "), c.CompletedCount, mean)
}

// formatDifference lists the counts that a difference changes, such as "+1 Pending, -50 ms".
func formatDifference(t order.Tally) string {
	var parts []string
	add := func(n int64, unit string) {
		if n != 0 {
			parts = append(parts, fmt.Sprintf("%+d %s", n, unit))
		}
	}
	for _, s := range order.Statuses {
		add(t.ByStatus[s], s.String())
	}
	add(t.CompletedCount, "timed")
	add(t.DurationSumMillis, "ms")
	return strings.Join(parts, ", ")
}
