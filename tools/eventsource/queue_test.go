package eventsource_test

import (
	"encoding/json/v2"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/test/awstest"
	"orders/tools/eventsource"
)

func TestAMessageIsSentAsLambdaSendsItUntilItIsHandled(t *testing.T) {
	f := newFunction("error")
	url, _ := awstest.Queues(t, func(attributes map[string]string) { attributes["VisibilityTimeout"] = "1" })
	cfg := config(t, "", f.invoke)
	cfg.QueueURL, cfg.Worker = url, "worker"
	run(t, cfg)
	if _, err := awstest.SQS(t).SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &url, MessageBody: aws.String("é 🚀"),
		MessageAttributes: map[string]types.MessageAttributeValue{"reason": {DataType: aws.String("String"), StringValue: aws.String("why")}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, count := range []string{"1", "2"} {
		var e events.SQSEvent
		if err := json.Unmarshal(f.next(t), &e); err != nil || len(e.Records) != 1 {
			t.Fatalf("%d records, %v", len(e.Records), err)
		}
		r := e.Records[0]
		if r.MessageId == "" || r.ReceiptHandle == "" || r.Body != "é 🚀" || r.Md5OfBody == "" || r.EventSource != "aws:sqs" ||
			r.AWSRegion != awstest.Region || r.EventSourceARN != awstest.QueueARN(url) {
			t.Errorf("record %+v", r)
		}
		if r.Attributes["ApproximateReceiveCount"] != count || r.Attributes["SentTimestamp"] == "" || aws.ToString(r.MessageAttributes["reason"].StringValue) != "why" {
			t.Errorf("attributes %v, %v", r.Attributes, r.MessageAttributes)
		}
	}
	f.isNotInvokedFor(t, 1500*time.Millisecond) // a message that was not deleted would have come again
}

// There are three messages, a to c.
func TestMessagesThatHaveNotFailedAreDone(t *testing.T) {
	var m eventsource.Messages
	for _, id := range []string{"a", "b", "c"} {
		m.Received = append(m.Received, types.Message{MessageId: &id})
	}
	for response, want := range map[string]string{
		`{"batchItemFailures":[]}`:   "abc",
		`{"batchItemFailures":null}`: "abc",
		``:                           "abc",
		`{"batchItemFailures":[{"itemIdentifier":"b"}]}`: "ac",
		`{"batchItemFailures":[{"itemIdentifier":"x"}]}`: "error",
		`[]`: "error",
	} {
		done, err := m.Done([]byte(response))
		got := ""
		for _, message := range done {
			got += *message.MessageId
		}
		if err != nil {
			got += "error"
		}
		if got != want {
			t.Errorf("%s: %s are done, not %s", response, got, want)
		}
	}
}
