// Package sqsqueue keeps messages in SQS: Queue sends them and buries those that
// can never succeed, Receiver works off what Lambda's poller brings, and Redrive
// moves messages out of the dead-letter queue again.
//
// SQS delivers at least once and in any order, and so does this package: that
// a message takes effect once is the processing's promise, not the queue's. A
// wait is the queue's delay, at most 15 minutes; a message that is to wait longer
// comes early and is sent again by whoever processes it.
package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// A Client is the part of *sqs.Client that a Queue needs.
type Client interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
}

// A Config is what a Queue is made of.
type Config struct {
	// Client, URL, that of the queue, and Now, the clock by which messages wait, are
	// needed always.
	Client Client
	URL    string
	Now    func() time.Time
	// DeadLetterURL is that of the dead-letter queue, and Log is told of every message
	// that is buried, in a form that CloudWatch counts. For Bury, which refuses to work
	// without.
	DeadLetterURL string
	Log           *slog.Logger
}

// validate returns all that is wrong with a configuration.
func (c Config) validate() error {
	var problems []error
	check := func(holds bool, problem string) {
		if !holds {
			problems = append(problems, errors.New("sqsqueue: "+problem))
		}
	}
	check(c.Client != nil, "Client is missing")
	check(c.URL != "", "URL is missing")
	check(c.Now != nil, "Now is missing")
	check(c.DeadLetterURL != c.URL || c.URL == "", "URL and DeadLetterURL must be two queues")
	check((c.DeadLetterURL == "") == (c.Log == nil), "DeadLetterURL and Log must be given together")
	return errors.Join(problems...)
}

// A Queue is an order.Queue in SQS. It is safe for concurrent use.
type Queue struct{ cfg Config }

var _ order.Queue = (*Queue)(nil)

// New returns the queue of a configuration, or all that is wrong with it. It makes no call.
func New(cfg Config) (*Queue, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Queue{cfg: cfg}, nil
}

const (
	// maxBatch is how many messages a SendMessageBatch takes. See
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html.
	maxBatch = 10
	// maxDelay is the longest that SQS keeps a message back.
	maxDelay = 15 * time.Minute
	// sideBySide is how many batches are under way at a time.
	sideBySide = 10
)

// Send puts messages on the queue, ten a call and several calls side by side.
// Those that SQS refuses are sent once more. An error is an *order.UnsentError;
// all messages but the ones from its First on are on the queue, and some of
// those may be.
func (q *Queue) Send(ctx context.Context, messages ...order.Message) error {
	batches := slices.Collect(slices.Chunk(messages, maxBatch))
	unsent := make([]*order.UnsentError, len(batches))
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for i, batch := range batches {
		group.Go(func() error {
			unsent[i] = q.sendBatch(ctx, batch)
			return nil
		})
	}
	_ = group.Wait() // the batches' errors are in unsent
	for i, u := range unsent {
		if u != nil {
			u.First += i * maxBatch
			return u
		}
	}
	return nil
}

// sendBatch sends up to ten messages. SQS answers 200 also when it has refused
// some, so a message is sent when the answer says so and not before.
func (q *Queue) sendBatch(ctx context.Context, messages []order.Message) *order.UnsentError {
	entries := q.entries(messages)
	var refusal error
	for range 2 {
		output, err := q.cfg.Client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.cfg.URL, Entries: entries})
		if err != nil {
			return unsent(entries, awsclient.WrapError("send messages", err))
		}
		entries = slices.DeleteFunc(entries, func(e types.SendMessageBatchRequestEntry) bool {
			return slices.ContainsFunc(output.Successful, func(s types.SendMessageBatchResultEntry) bool {
				return aws.ToString(s.Id) == *e.Id
			})
		})
		if len(entries) == 0 {
			return nil
		}
		refusal = refused("send messages", output.Failed)
	}
	return unsent(entries, refusal)
}

func (q *Queue) entries(messages []order.Message) []types.SendMessageBatchRequestEntry {
	now := q.cfg.Now()
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{
			Id:           aws.String(strconv.Itoa(i)),
			MessageBody:  aws.String(string(m.Body())),
			DelaySeconds: delaySeconds(m.NotBefore, now),
		}
	}
	return entries
}

// unsent says that the first of entries, which are in the order of their ids, may
// not be on the queue.
func unsent(entries []types.SendMessageBatchRequestEntry, err error) *order.UnsentError {
	first, _ := strconv.Atoi(*entries[0].Id)
	return &order.UnsentError{First: first, Err: err}
}

// refused is why SQS has not done what was asked with some messages of a batch.
func refused(doing string, entries []types.BatchResultErrorEntry) error {
	if len(entries) == 0 {
		return fmt.Errorf("%s: %w: the answer does not name them all", doing, order.ErrUnavailable)
	}
	e := entries[0]
	err := fmt.Errorf("%s: %s: %s", doing, aws.ToString(e.Code), aws.ToString(e.Message))
	if e.SenderFault {
		return err
	}
	return errors.Join(order.ErrUnavailable, err)
}

// delaySeconds is what is left of the wait, rounded up, so that a message does
// not come early, as far as SQS keeps one back.
func delaySeconds(notBefore, now time.Time) int32 {
	if !notBefore.After(now) { // also when it is zero: Sub would overflow
		return 0
	}
	wait := min(notBefore.Sub(now), maxDelay)
	return int32((wait + time.Second - 1) / time.Second)
}
