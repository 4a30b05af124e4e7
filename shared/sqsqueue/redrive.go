package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"orders/shared/awsclient"
)

// A RedriveClient is the part of *sqs.Client that a Redrive uses.
type RedriveClient interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// A Redrive moves messages from the dead-letter queue back to the queue, once the cause of their
// failure is fixed.
type Redrive struct {
	Client             RedriveClient
	URL, DeadLetterURL string
	// Began is a time by the clock of SQS. Entries that were sent since then stay: a message that
	// fails again must not be moved forever.
	Began time.Time
	// Limit is how many messages to move at most, 0 for all.
	Limit int
	// DryRun receives the messages, reports them and puts them back.
	DryRun bool
	// Step, if it is not nil, is called for each message that was moved, or would be in a dry run.
	Step func(Entry)
	// Now measures how long no message to move has come.
	Now func() time.Time
}

// An Entry is a message in the dead-letter queue.
type Entry struct {
	MessageID string
	Body      string
	// Reason is why the message was dead-lettered, "" when SQS did it after too many deliveries.
	Reason string
	SentAt time.Time
}

func newEntry(m types.Message) Entry {
	millis, _ := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	return Entry{
		MessageID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body),
		Reason: aws.ToString(m.MessageAttributes["reason"].StringValue),
		SentAt: time.UnixMilli(millis).UTC(),
	}
}

// visibilityTimeout is how long received messages are hidden from others.
const visibilityTimeout = 10 * time.Minute

// Run moves the messages and returns how many it has moved, or would move. Each is sent before it
// is deleted, so a crash in between leaves a duplicate and loses nothing. Run puts back what it has
// received and not moved. It can be called again at any time.
//
// A message that SQS refuses to take or to delete stays, and is not retried. The others are moved,
// and the error says how many have stayed and the first cause. When a whole call fails, Run ends.
//
// Run ends when the queue returns no message, or no message to move for a visibility timeout: by
// then every message has come once. SQS hides about 120,000 messages at a time. So a dry run sees
// no more than that, and Run keeps no more receipt handles in memory. See
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html.
func (r Redrive) Run(ctx context.Context) (moved int, err error) {
	hidden := receipts{}
	refused := refusals{ids: map[string]bool{}}
	defer func() { err = errors.Join(err, refused.err(), r.putBack(ctx, hidden)) }()
	last := r.Now()
	for (r.Limit == 0 || moved < r.Limit) && r.Now().Sub(last) <= visibilityTimeout {
		messages, err := r.receive(ctx, moved)
		if err != nil || len(messages) == 0 {
			return moved, err
		}
		due := r.due(messages, hidden, refused)
		hidden.add(messages)
		if !r.DryRun {
			due, err = r.move(ctx, due, &refused)
			hidden.remove(due)
		}
		moved += len(due)
		if r.Step != nil {
			for _, m := range due {
				r.Step(newEntry(m))
			}
		}
		if err != nil {
			return moved, err
		}
		if len(due) > 0 {
			last = r.Now()
		}
	}
	return moved, nil
}

// due returns the messages to move. SQS may deliver a message twice: one that a dry run has seen is
// not counted again, one that was refused stays, and one that was moved, and is still there, is
// moved again.
func (r Redrive) due(messages []types.Message, hidden receipts, refused refusals) (due []types.Message) {
	for _, m := range messages {
		id := aws.ToString(m.MessageId)
		_, seen := hidden[id]
		if newEntry(m).SentAt.Before(r.Began) && (!r.DryRun || !seen) && !refused.ids[id] {
			due = append(due, m)
		}
	}
	return due
}

func (r Redrive) receive(ctx context.Context, moved int) ([]types.Message, error) {
	limit := maxBatch
	if r.Limit > 0 {
		limit = min(maxBatch, r.Limit-moved)
	}
	output, err := r.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &r.DeadLetterURL, MaxNumberOfMessages: int32(limit), WaitTimeSeconds: 1, VisibilityTimeout: int32(visibilityTimeout / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
		MessageAttributeNames:       []string{"reason"},
	})
	if err != nil {
		return nil, awsclient.WrapError("receive from the dead-letter queue", err)
	}
	return output.Messages, nil
}

// callTimeout bounds a call that is made also when the context has ended.
const callTimeout = 10 * time.Second

// move sends messages to the queue and then deletes them from the dead-letter queue. It returns
// those for which both has succeeded, and adds those that SQS has refused to refused. An error is
// that of a whole call.
func (r Redrive) move(ctx context.Context, messages []types.Message, refused *refusals) (moved []types.Message, err error) {
	for len(messages) > 0 && err == nil {
		n := batchSize(messages)
		var sent, deleted []types.Message
		if sent, err = r.send(ctx, messages[:n], refused); len(sent) > 0 {
			deleted, err = r.delete(ctx, sent, refused)
		}
		moved = append(moved, deleted...)
		messages = messages[n:]
	}
	return moved, err
}

// refusals are the messages that SQS has refused, while it took others of the same call.
type refusals struct {
	ids   map[string]bool
	first error
}

// add adds the messages of a call that were not done.
func (f *refusals) add(action string, messages, done []types.Message, entries []types.BatchResultErrorEntry) {
	for _, m := range messages {
		id := aws.ToString(m.MessageId)
		if !slices.ContainsFunc(done, func(d types.Message) bool { return aws.ToString(d.MessageId) == id }) {
			f.ids[id] = true
		}
	}
	if len(done) < len(messages) && f.first == nil {
		f.first = newRefusal(action, entries)
	}
}

func (f *refusals) err() error {
	if f.first == nil {
		return nil
	}
	return fmt.Errorf("%d messages are left in the dead-letter queue: %w", len(f.ids), f.first)
}

// maxBatchBytes is what any queue takes in one call.
const maxBatchBytes = 256 << 10

// batchSize returns how many of the messages, at least one, fit into one batch.
func batchSize(messages []types.Message) (n int) {
	for bytes := 0; n < min(len(messages), maxBatch); n++ {
		bytes += len(aws.ToString(messages[n].Body))
		if n > 0 && bytes > maxBatchBytes {
			break
		}
	}
	return n
}

func (r Redrive) send(ctx context.Context, messages []types.Message, refused *refusals) (sent []types.Message, err error) {
	const action = "send messages to the queue"
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: m.Body}
	}
	output, err := r.Client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &r.URL, Entries: entries})
	if err != nil {
		return nil, awsclient.WrapError(action, err)
	}
	for _, s := range output.Successful {
		i, _ := strconv.Atoi(aws.ToString(s.Id))
		sent = append(sent, messages[i])
	}
	refused.add(action, messages, sent, output.Failed)
	return sent, nil
}

// delete deletes messages that were sent, also when the context has ended.
func (r Redrive) delete(ctx context.Context, messages []types.Message, refused *refusals) (deleted []types.Message, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
	}
	output, err := r.Client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &r.DeadLetterURL, Entries: entries})
	if err != nil {
		return nil, awsclient.WrapError(fmt.Sprintf("delete %d messages, which are in both queues now", len(messages)), err)
	}
	for _, s := range output.Successful {
		i, _ := strconv.Atoi(aws.ToString(s.Id))
		deleted = append(deleted, messages[i])
	}
	refused.add("delete messages, which are in both queues now", messages, deleted, output.Failed)
	return deleted, nil
}

// receipts are the receipt handles of hidden messages, by message id.
type receipts map[string]string

func (r receipts) add(messages []types.Message) {
	for _, m := range messages {
		r[aws.ToString(m.MessageId)] = aws.ToString(m.ReceiptHandle)
	}
}

func (r receipts) remove(messages []types.Message) {
	for _, m := range messages {
		delete(r, aws.ToString(m.MessageId))
	}
}

// putBack makes hidden messages visible again, ten a call and several calls concurrently, also when
// the context has ended. Messages whose call fails stay hidden until their visibility timeout.
func (r Redrive) putBack(ctx context.Context, hidden receipts) error {
	group, ctx := errgroup.WithContext(context.WithoutCancel(ctx))
	group.SetLimit(maxConcurrent)
	var failed atomic.Int64
	for batch := range slices.Chunk(slices.Collect(maps.Values(hidden)), maxBatch) {
		group.Go(func() error {
			n, err := r.makeVisible(ctx, batch)
			failed.Add(int64(n))
			return err
		})
	}
	err := group.Wait()
	if n := failed.Load(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d messages could not be put back; they show again within %s", n, visibilityTimeout))
	}
	return err
}

// makeVisible makes up to ten messages visible and returns how many are not.
func (r Redrive) makeVisible(ctx context.Context, handles []string) (failed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(handles))
	for i, handle := range handles {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &handle, VisibilityTimeout: 0,
		}
	}
	output, err := r.Client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{
		QueueUrl: &r.DeadLetterURL, Entries: entries,
	})
	if err != nil {
		return len(handles), awsclient.WrapError("put messages back", err)
	}
	for _, f := range output.Failed {
		if !strings.HasSuffix(aws.ToString(f.Code), "MessageNotInflight") { // it is visible already
			failed++
		}
	}
	return failed, nil
}
