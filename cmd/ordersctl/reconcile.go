package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
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
