// Command relay is the Lambda function that reads the table's stream and puts on the
// queue what follows from each change of an order.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"orders/shared/awsclient"
	"orders/shared/dynamostore"
	"orders/shared/sqsqueue"
)

func main() {
	log := lambdacontext.NewLogger()
	env := awsclient.NewEnv(os.Getenv)
	queue, deadLetters := env.URL("ORDERS_QUEUE_URL"), env.URL("DEAD_LETTER_QUEUE_URL")
	processing := env.Duration("PROCESSING_TIME", time.Millisecond, 15*time.Minute)
	aws := env.AWS("AWS_ENDPOINT_URL")
	if err := env.Err(); err != nil {
		log.Error("the function cannot start", "err", err)
		os.Exit(1)
	}
	lambda.Start(dynamostore.Relay{
		Queue: sqsqueue.New(sqsqueue.Config{
			Client: awsclient.SQS(context.Background(), aws, log),
			URL:    queue, DeadLetterURL: deadLetters, Now: time.Now, Log: log,
		}),
		ProcessingTime: processing, Log: log,
	}.Handle)
}
