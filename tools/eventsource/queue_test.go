package eventsource_test

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/test/awstest"
)

func TestAMessageIsSentAsLambdaSendsItAndIsDeleted(t *testing.T) {
	f := newFunction()
	url := pollNewQueue(t, f)
	if _, err := awstest.SQS(t).SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &url, MessageBody: aws.String("é 🚀"),
		MessageAttributes: map[string]types.MessageAttributeValue{"reason": {DataType: aws.String("String"), StringValue: aws.String("why")}},
	}); err != nil {
		t.Fatal(err)
	}
	records := messages(t, f)
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	r := records[0]
	if r.MessageId == "" || r.ReceiptHandle == "" || r.Body != "é 🚀" || r.Md5OfBody == "" || r.EventSource != "aws:sqs" || r.AWSRegion != awstest.Region {
		t.Errorf("record %+v", r)
	}
	if r.Attributes["ApproximateReceiveCount"] != "1" || r.Attributes["SentTimestamp"] == "" || aws.ToString(r.MessageAttributes["reason"].StringValue) != "why" {
		t.Errorf("attributes %v, %v", r.Attributes, r.MessageAttributes)
	}
	if want := "arn:aws:sqs:" + awstest.Region + ":" + awstest.Account + ":"; len(r.EventSourceARN) <= len(want) || r.EventSourceARN[:len(want)] != want {
		t.Errorf("event source %s", r.EventSourceARN)
	}
	f.isNotInvokedFor(t, redelivery)
}

// redelivery is when a message that was not deleted would have been received again.
const redelivery = 1500 * time.Millisecond

// Each case has three messages, of which the failed ones are received again.
func TestFailedMessagesAreReceivedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		response string // ID stands for the id of the second message
		again    int
	}{
		"success":              {`{"batchItemFailures":[]}`, 0},
		"a null list":          {`{"batchItemFailures":null}`, 0},
		"no response":          {``, 0},
		"the function fails":   {`error`, 3},
		"one fails":            {`{"batchItemFailures":[{"itemIdentifier":"ID"}]}`, 1},
		"an unknown one fails": {`{"batchItemFailures":[{"itemIdentifier":"x"}]}`, 3},
		"an invalid response":  {`[]`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFunction(tt.response)
			url := sendThree(t)
			poll(t, f, url)
			first := messages(t, f)
			if len(first) != 3 {
				t.Fatalf("%d messages at first", len(first))
			}
			if tt.again == 0 {
				f.isNotInvokedFor(t, redelivery)
				return
			}
			again := messages(t, f)
			if len(again) != tt.again || again[0].Attributes["ApproximateReceiveCount"] != "2" {
				t.Errorf("%d were received again: %+v", len(again), again)
			}
			if tt.again == 1 && again[0].MessageId != first[1].MessageId {
				t.Errorf("message %s was received again, want %s", again[0].MessageId, first[1].MessageId)
			}
		})
	}
}

// sendThree sends three messages to a queue with a visibility timeout of one second.
func sendThree(t *testing.T) (url string) {
	t.Helper()
	url, _ = awstest.Queues(t, func(attributes map[string]string) { attributes["VisibilityTimeout"] = "1" })
	var entries []types.SendMessageBatchRequestEntry
	for _, id := range []string{"a", "b", "c"} {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(id), MessageBody: aws.String(id)})
	}
	if _, err := awstest.SQS(t).SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries}); err != nil {
		t.Fatal(err)
	}
	return url
}

// pollNewQueue lets the function poll a new queue.
func pollNewQueue(t *testing.T, f *function) (url string) {
	t.Helper()
	url, _ = awstest.Queues(t, func(attributes map[string]string) { attributes["VisibilityTimeout"] = "1" })
	poll(t, f, url)
	return url
}

func poll(t *testing.T, f *function, url string) {
	t.Helper()
	cfg := config(t, "", f.invokeWithID)
	cfg.QueueURL, cfg.Worker = url, "worker"
	run(t, cfg)
}

func messages(t *testing.T, f *function) []events.SQSMessage {
	t.Helper()
	var e events.SQSEvent
	if err := json.Unmarshal(f.next(t), &e); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(e.Records, func(a, b events.SQSMessage) int { return strings.Compare(a.Body, b.Body) })
	return e.Records
}

// invokeWithID puts the id of the message "b" into the response.
func (f *function) invokeWithID(ctx context.Context, name string, event []byte) ([]byte, error) {
	response, err := f.invoke(ctx, name, event)
	var e events.SQSEvent
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	for _, m := range e.Records {
		if m.Body == "b" {
			response = bytes.Replace(response, []byte("ID"), []byte(m.MessageId), 1)
		}
	}
	return response, err
}
