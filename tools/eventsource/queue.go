package eventsource

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// pollQueue sends the queue's messages to the worker, one batch after the other, until ctx ends.
func pollQueue(ctx context.Context, cfg Config) {
	const name = types.QueueAttributeNameQueueArn
	var arn string
	retry(ctx, cfg.Log, "get the queue's ARN", func() error {
		output, err := cfg.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &cfg.QueueURL, AttributeNames: []types.QueueAttributeName{name},
		})
		if err == nil {
			arn = output.Attributes[string(name)]
		}
		return err
	})
	for ctx.Err() == nil {
		retry(ctx, cfg.Log, "process messages with "+cfg.Worker, func() error { return processMessages(ctx, cfg, arn) })
	}
}

// processMessages sends one batch, and deletes the messages that the worker has handled. After an
// error, all of the batch is received again after its visibility timeout.
func processMessages(ctx context.Context, cfg Config, arn string) error {
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
	var done []types.Message
	response, err := cfg.Invoke(ctx, cfg.Worker, event)
	if err == nil {
		done, err = messages.Done(response)
	}
	if err != nil || len(done) == 0 {
		return err
	}
	// The worker has handled them, so delete them also if ctx has ended.
	return deleteMessages(context.WithoutCancel(ctx), cfg, done)
}

func deleteMessages(ctx context.Context, cfg Config, messages []types.Message) error {
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

// Messages are the content of one event from a queue.
type Messages struct {
	QueueARN string
	Received []types.Message
}

// Event returns the event that Lambda would send for the messages.
func (m Messages) Event() ([]byte, error) {
	var e events.SQSEvent
	for _, received := range m.Received {
		e.Records = append(e.Records, m.record(received))
	}
	return json.Marshal(e)
}

func (m Messages) record(received types.Message) events.SQSMessage {
	record := events.SQSMessage{
		MessageId: aws.ToString(received.MessageId), ReceiptHandle: aws.ToString(received.ReceiptHandle),
		Body: aws.ToString(received.Body), Md5OfBody: aws.ToString(received.MD5OfBody), Md5OfMessageAttributes: aws.ToString(received.MD5OfMessageAttributes),
		Attributes: received.Attributes, MessageAttributes: map[string]events.SQSMessageAttribute{},
		EventSource: "aws:sqs", EventSourceARN: m.QueueARN, AWSRegion: region(m.QueueARN),
	}
	for name, a := range received.MessageAttributes {
		record.MessageAttributes[name] = events.SQSMessageAttribute{
			DataType: aws.ToString(a.DataType), StringValue: a.StringValue, BinaryValue: a.BinaryValue,
		}
	}
	return record
}

// Done interprets the worker's response. It returns the messages that the worker has handled, which
// can be deleted: those without a failure. With an error, no message is handled.
func (m Messages) Done(text []byte) (done []types.Message, err error) {
	ids := make([]string, len(m.Received))
	for i, received := range m.Received {
		ids[i] = aws.ToString(received.MessageId)
	}
	failed, _, err := parseResponse(text, ids)
	for i, received := range m.Received {
		if err == nil && !slices.Contains(failed, i) {
			done = append(done, received)
		}
	}
	return done, err
}
