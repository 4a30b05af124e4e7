package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/sqsqueue"
)

type redriveCommand struct {
	account
	QueueURL           string `name:"queue-url" env:"ORDERS_QUEUE_URL" placeholder:"URL" help:"The queue."`
	DeadLetterQueueURL string `name:"dead-letter-queue-url" env:"DEAD_LETTER_QUEUE_URL" placeholder:"URL" help:"The dead-letter queue."`
	Limit              int    `help:"Messages to move at most; 0 moves all."`
	DryRun             bool   `help:"Show the messages and leave them where they are."`
	JSON               bool   `name:"json" help:"Write JSON."`
}

// Help is the part of the help that is longer than a line.
func (*redriveCommand) Help() string {
	return `Mend what made the messages fail first. Those that come to the dead-letter queue after the command has begun stay there. Each message is sent before it is deleted, so breaking off loses none, and running the command again is safe: a message twice has one effect.

A dry run hides the messages from others for a moment, and puts them back. SQS hides about 120,000 at a time, so it shows no more than that.`
}

// Validate names every flag whose value is invalid.
func (c *redriveCommand) Validate() error {
	return errors.Join(
		given("--queue-url", "ORDERS_QUEUE_URL", c.QueueURL),
		given("--dead-letter-queue-url", "DEAD_LETTER_QUEUE_URL", c.DeadLetterQueueURL),
		rule(c.QueueURL != c.DeadLetterQueueURL || c.QueueURL == "", "--queue-url and --dead-letter-queue-url must be two queues"),
		rule(c.Limit >= 0, "--limit must be 0 or more, not %d", c.Limit),
	)
}

// A redriveReport is what redrive did, or would do in a dry run.
type redriveReport struct {
	DryRun   bool            `json:"dry_run"`
	Moved    int             `json:"moved"`
	Messages []reportedEntry `json:"messages"` // the first maxReported of them
}

// The report has the first thousand messages, each with the beginning of its body: a dead-letter
// queue can hold more than fits into memory.
const (
	maxReported     = 1000
	maxReportedBody = 200
)

type reportedEntry struct {
	MessageID string    `json:"message_id"`
	SentAt    time.Time `json:"sent_at"`
	Reason    string    `json:"reason"`
	Body      string    `json:"body"`
}

// Run moves the messages, or shows them.
func (c *redriveCommand) Run(ctx context.Context, out *console) error {
	cfg, err := c.config(ctx)
	if err != nil {
		return err
	}
	report := redriveReport{DryRun: c.DryRun, Messages: []reportedEntry{}}
	client := sqs.NewFromConfig(cfg)
	expected, began, err := c.inspect(ctx, client)
	if err != nil {
		return err
	}
	bar := out.progress("messages", expected)
	report.Moved, err = sqsqueue.Redrive{
		Client: client, URL: c.QueueURL, DeadLetterURL: c.DeadLetterQueueURL,
		Began: began, Limit: c.Limit, DryRun: c.DryRun, Now: time.Now,
		Step: func(e sqsqueue.Entry) {
			bar.add(1)
			report.add(e)
		},
	}.Run(ctx)
	bar.end()
	return errors.Join(err, c.write(out, report))
}

func (r *redriveReport) add(e sqsqueue.Entry) {
	if len(r.Messages) < maxReported {
		body := strings.ToValidUTF8(e.Body[:min(len(e.Body), maxReportedBody)], "")
		r.Messages = append(r.Messages, reportedEntry{e.MessageID, e.SentAt, e.Reason, body})
	}
}

// write writes the report, also after an error.
func (c *redriveCommand) write(out *console, report redriveReport) error {
	if c.JSON {
		return out.writeJSON(report)
	}
	for _, m := range report.Messages {
		fmt.Fprintf(out.stdout, "%s  %s  %q  %q\n", m.SentAt.Format(time.RFC3339), m.MessageID, m.Reason, m.Body)
	}
	if more := report.Moved - len(report.Messages); more > 0 {
		fmt.Fprintf(out.stdout, "and %d more\n", more)
	}
	verb := "moved"
	if report.DryRun {
		verb = "would move"
	}
	_, err := fmt.Fprintf(out.stdout, "%s %d messages to the queue\n", verb, report.Moved)
	return err
}

// clockSlack is how far the date of a response may be behind: it has whole seconds, and is the time
// at which the response was written. A message that fails again within this time is moved once
// more.
const clockSlack = 2 * time.Second

// inspect returns about how many messages there are to move, and the present time. The time is that
// of SQS, which dates the messages, not that of this machine.
func (c *redriveCommand) inspect(ctx context.Context, client *sqs.Client) (expected int64, began time.Time, err error) {
	const count = types.QueueAttributeNameApproximateNumberOfMessages
	found, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &c.DeadLetterQueueURL, AttributeNames: []types.QueueAttributeName{count},
	})
	if err != nil {
		return 0, began, fmt.Errorf("look at the dead-letter queue: %w", err)
	}
	began, ok := awsmiddleware.GetServerTime(found.ResultMetadata)
	if !ok {
		return 0, began, errors.New("look at the dead-letter queue: the response has no date")
	}
	expected, _ = strconv.ParseInt(found.Attributes[string(count)], 10, 64)
	if c.Limit > 0 {
		expected = min(expected, int64(c.Limit))
	}
	return expected, began.Add(clockSlack), nil
}
