// Command processor is the Lambda function that works off the queue: each message
// asks for one transition of one order.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
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
	queue, deadLetters := env.URL("ORDERS_QUEUE_URL"), env.URL("DEAD_LETTER_QUEUE_URL")
	processing := env.Duration("PROCESSING_TIME", time.Millisecond, 15*time.Minute)
	aws := env.AWS("AWS_ENDPOINT_URL")
	if err := env.Err(); err != nil {
		log.Error("the function cannot start", "err", err)
		os.Exit(1)
	}
	processor := order.Processor{
		Orders: dynamostore.New(dynamostore.Config{
			Client: awsclient.DynamoDB(context.Background(), aws, log), Table: table, ProcessingTime: processing,
		}),
		Queue: sqsqueue.New(sqsqueue.Config{
			Client: sqs.NewFromConfig(aws), // without a connection: few messages come early or are buried
			URL:    queue, DeadLetterURL: deadLetters, Now: time.Now, Log: log,
		}),
	}
	lambda.Start(sqsqueue.Receiver{Process: processor.Process, Now: time.Now, Log: log}.Handle)
}
