package eventsource

import (
	"encoding/json/v2"
	"slices"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Messages are what one event brings from the queue to its worker.
type Messages struct {
	QueueARN string
	Received []types.Message
}

// Event is what Lambda would send for the messages.
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

// Done reads the worker's answer: the messages that it does not name are done with
// and can be deleted. When there is an error, none is.
func (m Messages) Done(answered []byte) (done []types.Message, err error) {
	a, err := parse(answered)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(m.Received))
	for i, received := range m.Received {
		ids[i] = aws.ToString(received.MessageId)
	}
	failed, err := a.failures(ids)
	if err != nil {
		return nil, err
	}
	for i, received := range m.Received {
		if !slices.Contains(failed, i) {
			done = append(done, received)
		}
	}
	return done, nil
}
