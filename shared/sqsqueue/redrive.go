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

// A RedriveClient is the part of *sqs.Client that a Redrive needs.
type RedriveClient interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// A Redrive moves messages from the dead-letter queue back to the queue, once
// what made them fail is mended.
type Redrive struct {
	Client             RedriveClient
	URL, DeadLetterURL string
	// Began is the time, by the clock of SQS, from which on a message is left where
	// it is: one that fails again must not go round for ever.
	Began time.Time
	// Limit is how many messages to move at most, 0 for all.
	Limit int
	// DryRun looks at the messages and puts them back.
	DryRun bool
	// Step, if any, is told of each message, moved or only looked at.
	Step func(Entry)
	// Now measures how long nothing has come that is to be moved.
	Now func() time.Time
}

// An Entry is a message in the dead-letter queue.
type Entry struct {
	MessageID string
	Body      string
	// Reason is why it was buried, "" when SQS itself gave up on it.
	Reason string
	SentAt time.Time
}

// hold is for how long messages that are looked at are hidden from others.
const hold = 10 * time.Minute

// Run moves the messages and returns how many, or would move. Each is sent
// before it is deleted: whatever ends it in between leaves a duplicate, never a
// gap. What it has received and not moved it puts back. It may be run again at
// any time.
//
// A message that SQS refuses to take or to delete is left, and tried no second time;
// the others are moved, and the error says how many are left and why the first. When a
// whole call fails, Run ends.
//
// It ends when the queue shows nothing more, or nothing that is to be moved for as
// long as messages are hidden: all have had their turn by then. SQS hides about
// 120,000 at a time, so a dry run sees no more than that, and no more are held
// in memory, each by its receipt handle. See
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html.
func (r Redrive) Run(ctx context.Context) (moved int, err error) {
	held := receipts{} // of all that is hidden
	left := refusals{ids: map[string]bool{}}
	defer func() { err = errors.Join(err, left.err(), r.putBack(ctx, held)) }()
	last := r.Now()
	for (r.Limit == 0 || moved < r.Limit) && r.Now().Sub(last) <= hold {
		messages, err := r.receive(ctx, moved)
		if err != nil || len(messages) == 0 {
			return moved, err
		}
		due := r.due(messages, held, left)
		held.add(messages)
		if !r.DryRun {
			due, err = r.move(ctx, due, &left)
			held.remove(due)
		}
		moved += len(due)
		r.tell(due)
		if err != nil {
			return moved, err
		}
		if len(due) > 0 {
			last = r.Now()
		}
	}
	return moved, nil
}

// due returns the messages that are to be moved. SQS may deliver any twice: one that
// was only looked at is not counted again, one that was refused is left, and one that
// was moved, and is there still, is moved again.
func (r Redrive) due(messages []types.Message, held receipts, left refusals) (due []types.Message) {
	for _, m := range messages {
		id := aws.ToString(m.MessageId)
		_, seen := held[id]
		if newEntry(m).SentAt.Before(r.Began) && (!r.DryRun || !seen) && !left.ids[id] {
			due = append(due, m)
		}
	}
	return due
}

func (r Redrive) tell(messages []types.Message) {
	if r.Step == nil {
		return
	}
	for _, m := range messages {
		r.Step(newEntry(m))
	}
}

func (r Redrive) receive(ctx context.Context, moved int) ([]types.Message, error) {
	most := int32(maxBatch)
	if r.Limit > 0 {
		most = int32(min(maxBatch, r.Limit-moved))
	}
	output, err := r.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &r.DeadLetterURL, MaxNumberOfMessages: most, WaitTimeSeconds: 1, VisibilityTimeout: int32(hold / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
		MessageAttributeNames:       []string{"reason"},
	})
	if err != nil {
		return nil, awsclient.WrapError("receive from the dead-letter queue", err)
	}
	return output.Messages, nil
}

func newEntry(m types.Message) Entry {
	millis, _ := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	return Entry{
		MessageID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body),
		Reason: aws.ToString(m.MessageAttributes["reason"].StringValue),
		SentAt: time.UnixMilli(millis).UTC(),
	}
}

// callTimeout bounds a call that is made also when the context has ended.
const callTimeout = 10 * time.Second

// move sends messages to the queue and deletes from the dead-letter queue those that
// are there. It returns the ones with which both has succeeded, and adds to left those
// that SQS has refused. An error is of a whole call.
func (r Redrive) move(ctx context.Context, messages []types.Message, left *refusals) (moved []types.Message, err error) {
	for len(messages) > 0 && err == nil {
		n := fitting(messages)
		var sent, deleted []types.Message
		if sent, err = r.send(ctx, messages[:n], left); len(sent) > 0 {
			deleted, err = r.delete(ctx, sent, left)
		}
		moved = append(moved, deleted...)
		messages = messages[n:]
	}
	return moved, err
}

// refusals are messages that SQS has refused, while it took others of the same call.
type refusals struct {
	ids   map[string]bool
	first error
}

// add adds those of the messages that were asked for and are not done.
func (f *refusals) add(doing string, asked, done []types.Message, entries []types.BatchResultErrorEntry) {
	for _, m := range asked {
		id := aws.ToString(m.MessageId)
		if !slices.ContainsFunc(done, func(d types.Message) bool { return aws.ToString(d.MessageId) == id }) {
			f.ids[id] = true
		}
	}
	if len(done) < len(asked) && f.first == nil {
		f.first = refused(doing, entries)
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

// fitting returns how many of the messages, at least one, go into one batch.
func fitting(messages []types.Message) (n int) {
	for bytes := 0; n < min(len(messages), maxBatch); n++ {
		bytes += len(aws.ToString(messages[n].Body))
		if n > 0 && bytes > maxBatchBytes {
			break
		}
	}
	return n
}

func (r Redrive) send(ctx context.Context, messages []types.Message, left *refusals) (sent []types.Message, err error) {
	const doing = "send messages to the queue"
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: m.Body}
	}
	output, err := r.Client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &r.URL, Entries: entries})
	if err != nil {
		return nil, awsclient.WrapError(doing, err)
	}
	for _, s := range output.Successful {
		i, _ := strconv.Atoi(aws.ToString(s.Id))
		sent = append(sent, messages[i])
	}
	left.add(doing, messages, sent, output.Failed)
	return sent, nil
}

// delete deletes what is on the queue again, also when the context has ended.
func (r Redrive) delete(ctx context.Context, messages []types.Message, left *refusals) (deleted []types.Message, err error) {
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
	left.add("delete messages, which are in both queues now", messages, deleted, output.Failed)
	return deleted, nil
}

// receipts are the handles of messages that are hidden, by the messages' ids.
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

// putBack makes messages visible again, ten a call and several calls side by side,
// also when the context has ended. When a call fails, the rest stays hidden until
// its time is over.
func (r Redrive) putBack(ctx context.Context, held receipts) error {
	group, ctx := errgroup.WithContext(context.WithoutCancel(ctx))
	group.SetLimit(sideBySide)
	var hidden atomic.Int64
	for batch := range slices.Chunk(slices.Collect(maps.Values(held)), maxBatch) {
		group.Go(func() error {
			n, err := r.show(ctx, batch)
			hidden.Add(int64(n))
			return err
		})
	}
	err := group.Wait()
	if n := hidden.Load(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d messages could not be put back; they show again within %s", n, hold))
	}
	return err
}

// show makes up to ten messages visible and returns how many are not.
func (r Redrive) show(ctx context.Context, handles []string) (hidden int, err error) {
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
		if !strings.HasSuffix(aws.ToString(f.Code), "MessageNotInflight") { // its time was over
			hidden++
		}
	}
	return hidden, nil
}
