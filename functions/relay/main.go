// Command relay is the Lambda function that reads the table's stream and puts on the
// queue what follows from each change of an order.
package main

import (
	"cmp"
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
	queueURL, deadLetterURL := env.URL("ORDERS_QUEUE_URL"), env.URL("DEAD_LETTER_QUEUE_URL")
	processing := env.Duration("PROCESSING_TIME", order.MinProcessingTime, order.MaxProcessingTime)
	aws := env.AWS("AWS_ENDPOINT_URL")
	queue, err := sqsqueue.New(sqsqueue.Config{
		Client: sqs.NewFromConfig(aws), URL: queueURL, DeadLetterURL: deadLetterURL, Now: time.Now, Log: log,
	})
	if err := cmp.Or(env.Err(), err); err != nil {
		log.Error("the function cannot start", "err", err)
		os.Exit(1)
	}
	awsclient.Prewarm(context.Background(), aws, "sqs", log)
	lambda.Start(dynamostore.Relay{Queue: queue, ProcessingTime: processing, Log: log}.Handle)
}
