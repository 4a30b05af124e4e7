package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A RedriveClient is the part of *sqs.Client that a Redrive needs.
type RedriveClient interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
}

// A Redrive moves messages from the dead-letter queue back to the queue, once
// what made them fail is mended.
type Redrive struct {
	Client             RedriveClient
	URL, DeadLetterURL string
	// Began is the time from which on a message is left where it is: one that
	// fails again must not go round for ever.
	Began time.Time
	// Limit is how many messages to move at most, 0 for all.
	Limit int
	// DryRun looks at the messages and puts them back.
	DryRun bool
	// Step, if any, is told of each message, moved or only looked at.
	Step func(DeadLetter)
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
func (r Redrive) Run(ctx context.Context) (moved int, err error) {
	seen := map[string]bool{}
	var held []types.Message
	defer func() { err = errors.Join(err, r.putBack(ctx, held)) }()
	for r.Limit == 0 || moved < r.Limit {
		messages, err := r.receive(ctx, moved)
		if err != nil || len(messages) == 0 {
			return moved, err
		}
		for i, m := range messages {
			letter := deadLetter(m)
			if seen[letter.MessageID] { // it is visible again: this has been the round
				held = append(held, messages[i:]...)
				return moved, nil
			}
			seen[letter.MessageID] = true
			late := !letter.SentAt.Before(r.Began)
			if late || r.DryRun {
				held = append(held, m)
			} else if err := r.move(ctx, m); err != nil {
				held = append(held, messages[i:]...)
				return moved, err
			}
			if !late {
				moved++
				r.step(letter)
			}
		}
	}
	return moved, nil
}

func (r Redrive) step(l DeadLetter) {
	if r.Step != nil {
		r.Step(l)
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
		return nil, failed("receive from the dead-letter queue", err)
	}
	return output.Messages, nil
}

func (r Redrive) move(ctx context.Context, m types.Message) error {
	if _, err := r.Client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &r.URL, MessageBody: m.Body}); err != nil {
		return failed(fmt.Sprintf("send message %s to the queue", *m.MessageId), err)
	}
	if _, err := r.Client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &r.DeadLetterURL, ReceiptHandle: m.ReceiptHandle}); err != nil {
		return failed(fmt.Sprintf("delete message %s, which is in both queues now", *m.MessageId), err)
	}
	return nil
}

// putBack makes messages visible again, also when the context has ended.
func (r Redrive) putBack(ctx context.Context, messages []types.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var errs []error
	for _, m := range messages {
		_, err := r.Client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
			QueueUrl: &r.DeadLetterURL, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
		})
		if err != nil {
			errs = append(errs, failed("put message "+*m.MessageId+" back", err))
		}
	}
	return errors.Join(errs...)
}

func deadLetter(m types.Message) DeadLetter {
	millis, _ := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	return DeadLetter{
		MessageID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body),
		Reason: aws.ToString(m.MessageAttributes["reason"].StringValue),
		SentAt: time.UnixMilli(millis).UTC(),
	}
}
