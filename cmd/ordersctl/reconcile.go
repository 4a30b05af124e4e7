package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	processing
	Send      bool          `help:"Send the messages of overdue orders again. One that is still in the queue does no harm twice."`
	Repair    bool          `help:"Add the difference to the metrics, if it is sure: the table must be at rest."`
	Grace     time.Duration `default:"10m" help:"How late a message may be before its order is overdue."`
	Limit     int           `default:"100000" help:"Overdue orders to list or send for at most."`
	Segments  int           `default:"4" help:"Parts of the table to read side by side."`
	ReadUnits int           `default:"500" help:"Read units to use a second; one reads 4 KB."`
	Settle    time.Duration `default:"10s" help:"How long an open part of the stream must have nothing new to count as read to its end."`
	JSON      bool          `name:"json" help:"Write JSON."`
}

// Help is the part of the help that is longer than a line.
func (*reconcileCommand) Help() string {
	return `Without --send and --repair nothing is changed. Orders are overdue when the message that they wait for should have come long ago; this happens when messages were lost, for example with a deleted queue.

The metrics can only be compared with a table at rest: when orders change meanwhile, or changes have not been counted yet, that is what the answer says. A difference is read twice before it counts.

One thing cannot be proved: a stream does not say where an open shard ends, and may give empty answers before its end. What has had nothing new for --settle counts as read. A tally that stands still behind such a gap would count later what --repair has added. So before --repair see that the alarm TallyBehind is off, and that the metric IteratorAge of the tally function was small when it last counted; if in doubt, give a longer --settle.

It is a third reader of a stream that serves two, the relay and the tally, so it asks slowly. When the stream is too busy, the verdict is the same as for changes that are not counted yet.

Exit status 1 means that there are findings which were not mended, or that mending was not possible.`
}

// minSettle is the shortest time in which quiet means anything.
const minSettle = 100 * time.Millisecond

// Validate names every flag that makes no sense.
func (c *reconcileCommand) Validate() error {
	problems := []error{
		given("--table", "ORDERS_TABLE", c.Table),
		c.valid(),
		rule(c.Grace >= 0, "--grace must be 0 or more, not %v", c.Grace),
		rule(c.Settle >= minSettle, "--settle must be %v or more, not %v", minSettle, c.Settle),
		between("--limit", c.Limit, 1, 10_000_000),
		between("--segments", c.Segments, 1, 1000),
		between("--read-units", c.ReadUnits, 1, 1_000_000),
	}
	if c.Send {
		problems = append(problems, given("--queue-url", "ORDERS_QUEUE_URL", c.QueueURL))
	}
	return errors.Join(problems...)
}

// Run reads, reports, and then mends what it was asked to.
func (c *reconcileCommand) Run(ctx context.Context, out *console) error {
	home, err := c.open(ctx)
	if err != nil {
		return err
	}
	found, err := twice(func() (recount, error) { return c.read(ctx, home, out) }, out)
	if err != nil {
		return fmt.Errorf("stopped after %d orders; nothing was changed: %w", found.Orders.Total(), err)
	}
	report := newReconcileReport(found)
	if !c.JSON {
		if err := report.write(out.stdout); err != nil {
			return err
		}
	}
	err = errors.Join(c.repair(ctx, home, out, &report), c.send(ctx, home, out, &report))
	if c.JSON {
		err = errors.Join(err, out.writeJSON(report))
	}
	return cmp.Or(err, report.findings())
}

// twice reads all orders, and a second time when the metrics seem to be wrong: a
// difference counts when it stays the same.
func twice(read func() (recount, error), out *console) (recount, error) {
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

func (c *reconcileCommand) read(ctx context.Context, home *reconciler, out *console) (recount, error) {
	tally, err := home.store.Metrics(ctx) // a guess of how many orders there are
	if err != nil && !errors.Is(err, dynamostore.ErrDamaged) {
		return recount{}, err
	}
	bar := out.progress("orders read", tally.Total())
	defer bar.end()
	return recounter{
		orders: home.audit.Orders, metrics: home.store.Metrics, uncounted: home.tail.uncounted,
		processing: c.duration(), grace: c.Grace, now: time.Now(), limit: c.Limit,
		read: func() { bar.add(1) },
	}.recount(ctx)
}

// repair adds the difference to the metrics.
func (c *reconcileCommand) repair(ctx context.Context, home *reconciler, out *console, report *reconcileReport) error {
	switch {
	case !c.Repair || report.Verdict == agree:
		return nil
	case report.Verdict != differ:
		return fmt.Errorf("the metrics were not repaired: %s", report.Verdict.explain())
	}
	out.say("adding to the metrics: %s", change(report.found.difference()))
	if err := home.audit.AddTally(ctx, report.found.difference()); err != nil {
		return fmt.Errorf("repair the metrics: %w", err)
	}
	report.Repaired = true
	out.say("the metrics are repaired")
	return nil
}

// sendAtOnce is how many messages are handed to the queue together.
const sendAtOnce = 500

// send sends the messages of overdue orders again.
func (c *reconcileCommand) send(ctx context.Context, home *reconciler, out *console, report *reconcileReport) error {
	waiting := report.found.Overdue
	if !c.Send || len(waiting) == 0 {
		return nil
	}
	out.say("sending the messages of %d overdue orders", len(waiting))
	bar := out.progress("messages sent", int64(len(waiting)))
	defer func() {
		bar.end()
		out.say("%d messages sent", report.Sent)
	}()
	for len(waiting) > 0 {
		batch := waiting[:min(sendAtOnce, len(waiting))]
		messages := make([]order.Message, len(batch))
		for i, o := range batch {
			messages[i] = o.Message
		}
		if err := home.queue.Send(ctx, messages...); err != nil {
			if unsent, ok := errors.AsType[*order.UnsentError](err); ok {
				report.Sent += unsent.First
			}
			return fmt.Errorf("send messages: %w", err)
		}
		report.Sent += len(batch)
		bar.add(int64(len(batch)))
		waiting = waiting[len(batch):]
	}
	return nil
}

// A reconciler has the parts of the home on AWS that reconcile works with.
type reconciler struct {
	store *dynamostore.Store
	audit dynamostore.Audit
	tail  tail
	queue order.Queue // for --send
}

func (c *reconcileCommand) open(ctx context.Context) (*reconciler, error) {
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
	home := &reconciler{
		store: store, audit: audit,
		tail: tail{table: c.Table, checkpoint: audit.Checkpoint, db: db, streams: dynamodbstreams.NewFromConfig(cfg), quiet: c.Settle},
	}
	if c.Send {
		home.queue, err = sqsqueue.New(sqsqueue.Config{Client: sqs.NewFromConfig(cfg), URL: c.QueueURL, Now: time.Now})
	}
	return home, err
}

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
