// Command processor is the Lambda function that works off the queue: each message
// asks for one transition of one order.
package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/awsclient"
	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/sqsqueue"
)

func main() {
	log := lambdacontext.NewLogger()
	env := awsclient.NewEnv(os.Getenv)
	table := env.Text("ORDERS_TABLE")
	queueURL, deadLetterURL := env.URL("ORDERS_QUEUE_URL"), env.URL("DEAD_LETTER_QUEUE_URL")
	processing := env.Duration("PROCESSING_TIME", order.MinProcessingTime, order.MaxProcessingTime)
	aws := env.AWS("AWS_ENDPOINT_URL")
	orders, storeErr := dynamostore.New(dynamostore.Config{Client: dynamodb.NewFromConfig(aws), Table: table, ProcessingTime: processing})
	queue, queueErr := sqsqueue.New(sqsqueue.Config{
		Client: sqs.NewFromConfig(aws), URL: queueURL, DeadLetterURL: deadLetterURL, Now: time.Now, Log: log,
	})
	if err := cmp.Or(env.Err(), errors.Join(storeErr, queueErr)); err != nil {
		log.Error("the function cannot start", "err", err)
		os.Exit(1)
	}
	awsclient.Prewarm(context.Background(), aws, "dynamodb", log) // the queue is seldom asked
	processor := order.Processor{Orders: orders, Queue: queue}
	lambda.Start(sqsqueue.Receiver{Process: processor.Process, Now: time.Now, Log: log}.Handle)
}
