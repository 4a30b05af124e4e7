// Command relay is the Lambda function that reads the table's stream and puts the messages that
// follow from each change of an order on the queue.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/functions/internal/function"
	"orders/shared/dynamostream"
	"orders/shared/sqsqueue"
)

func main() {
	f := function.New()
	queue, err := sqsqueue.New(sqsqueue.Config{
		Client: sqs.NewFromConfig(f.AWS), URL: f.QueueURL(), DeadLetterURL: f.DeadLetterQueueURL(), Now: time.Now, Log: f.Log,
	})
	f.Start("sqs", dynamostream.Relay{Queue: queue, Fulfilment: f.Fulfilment(), Log: f.Log}.Handle, err)
}
