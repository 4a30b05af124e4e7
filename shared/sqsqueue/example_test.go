package sqsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/order"
	"orders/shared/sqsqueue"
)

// A queue without a dead-letter queue can send. After an error the caller sends the messages from
// First on again.
func Example() {
	queue, err := sqsqueue.New(sqsqueue.Config{
		Client: sqs.NewFromConfig(aws.Config{Region: "eu-west-1"}), URL: "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", Now: time.Now,
	})
	if err != nil {
		log.Fatal(err)
	}
	messages := []order.Message{
		{OrderID: "ORD00000000000000000000000001", To: order.Processing},
		{OrderID: "ORD00000000000000000000000002", To: order.Completed, NotBefore: time.Now().Add(50 * time.Second)},
	}
	err = queue.Send(context.Background(), messages...)
	if unsent, ok := errors.AsType[*order.UnsentError](err); ok {
		err = queue.Send(context.Background(), messages[unsent.First:]...)
	}
	fmt.Println(err)
}

// SQS delivers again only the messages whose processing has failed.
func ExampleReceiver() {
	receiver := sqsqueue.Receiver{Now: time.Now, Log: slog.New(slog.DiscardHandler), Process: func(_ context.Context, body []byte, _ time.Time) error {
		if string(body) == "bad" {
			return order.ErrUnavailable
		}
		return nil
	}}
	response, err := receiver.Handle(context.Background(), events.SQSEvent{Records: []events.SQSMessage{
		{MessageId: "1", Body: "good"}, {MessageId: "2", Body: "bad"},
	}})
	fmt.Println(response.BatchItemFailures, err)
	// Output: [{2}] <nil>
}

// The command `ordersctl redrive` takes Began from a response of SQS, because SQS dates the entries.
func ExampleRedrive() {
	moved, err := sqsqueue.Redrive{
		Client: sqs.NewFromConfig(aws.Config{Region: "eu-west-1"}),
		URL:    "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", DeadLetterURL: "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
		Began: time.Now(), Limit: 100, Now: time.Now,
		Step: func(e sqsqueue.Entry) { fmt.Println(e.MessageID, e.Reason) },
	}.Run(context.Background())
	fmt.Println(moved, err)
}
