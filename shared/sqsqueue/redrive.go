package sqsqueue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

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
	Step func(DeadLetter)
	// Now measures how long nothing has come that is to be moved.
	Now func() time.Time
}

// A DeadLetter is a message in the dead-letter queue.
type DeadLetter struct {
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
		if deadLetter(m).SentAt.Before(r.Began) && (!r.DryRun || !seen) && !left.ids[id] {
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
		r.Step(deadLetter(m))
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

func deadLetter(m types.Message) DeadLetter {
	millis, _ := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	return DeadLetter{
		MessageID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body),
		Reason: aws.ToString(m.MessageAttributes["reason"].StringValue),
		SentAt: time.UnixMilli(millis).UTC(),
	}
}
