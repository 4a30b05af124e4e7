package eventsource

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// poll hands the queue's messages to the worker, a batch after the other, until
// ctx ends.
func poll(ctx context.Context, cfg Config) {
	var arn string
	until(ctx, cfg.Log, "reading the queue's ARN", func() (err error) {
		arn, err = queueARN(ctx, cfg)
		return err
	})
	for ctx.Err() == nil {
		until(ctx, cfg.Log, "working off messages", func() error { return work(ctx, cfg, arn) })
	}
}

func queueARN(ctx context.Context, cfg Config) (string, error) {
	const name = types.QueueAttributeNameQueueArn
	output, err := cfg.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &cfg.QueueURL, AttributeNames: []types.QueueAttributeName{name},
	})
	if err != nil {
		return "", err
	}
	return output.Attributes[string(name)], nil
}

// work takes one batch, and deletes what the worker is done with. When that fails
// as a whole, all of it comes again after its visibility timeout.
func work(ctx context.Context, cfg Config, arn string) error {
	received, err := cfg.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &cfg.QueueURL, MaxNumberOfMessages: ProcessorBatch, WaitTimeSeconds: 20,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil || len(received.Messages) == 0 {
		return err
	}
	messages := Messages{QueueARN: arn, Received: received.Messages}
	event, err := messages.Event()
	if err != nil {
		return err
	}
	answered, err := cfg.Invoke(ctx, cfg.Worker, event)
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Worker, err)
	}
	done, err := messages.Done(answered)
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Worker, err)
	}
	// What is done is done, also when ctx has ended meanwhile.
	return remove(context.WithoutCancel(ctx), cfg, done)
}

func remove(ctx context.Context, cfg Config, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
	}
	output, err := cfg.Queues.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &cfg.QueueURL, Entries: entries})
	if err != nil {
		return fmt.Errorf("delete messages: %w", err)
	}
	if len(output.Failed) > 0 {
		return errors.New("delete messages: " + aws.ToString(output.Failed[0].Message))
	}
	return nil
}
