// Command processor is the Lambda function that processes the queue's messages. Each message asks
// for one transition of one order.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/functions/internal/function"
	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/sqsqueue"
)

func main() {
	f := function.New()
	late := &dynamostore.Lateness{Table: f.Table(), Fulfilment: f.Fulfilment(), Now: time.Now, Log: f.Log}
	orders, storeErr := dynamostore.New(dynamostore.Config{
		Client: dynamodb.NewFromConfig(f.AWS), Table: late.Table, Fulfilment: late.Fulfilment, Advanced: late.Observe,
	})
	queue, queueErr := sqsqueue.New(sqsqueue.Config{
		Client: sqs.NewFromConfig(f.AWS), URL: f.QueueURL(), DeadLetterURL: f.DeadLetterQueueURL(), Now: time.Now, Log: f.Log,
	})
	processor := order.Processor{Orders: orders, Queue: queue}
	// The queue is seldom called: only for messages that come early or can never succeed.
	f.Start("dynamodb", sqsqueue.Receiver{
		Process: processor.Process, Done: late.Report, Now: time.Now, Log: f.Log,
	}.Handle, storeErr, queueErr)
}
