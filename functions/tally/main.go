// Command tally is the Lambda function that reads the table's stream and counts each
// change of an order once, for the metrics.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"orders/shared/awsclient"
	"orders/shared/dynamostore"
)

func main() {
	log := lambdacontext.NewLogger()
	env := awsclient.NewEnv(os.Getenv)
	table, aws := env.Text("ORDERS_TABLE"), env.AWS("AWS_ENDPOINT_URL")
	if err := env.Err(); err != nil {
		log.Error("the function cannot start", "err", err)
		os.Exit(1)
	}
	lambda.Start(dynamostore.Tallier{
		Client: awsclient.DynamoDB(context.Background(), aws, log), Table: table, Now: time.Now, Log: log,
	}.Handle)
}
