// Command tally is the Lambda function that reads the table's stream and counts each
// change of an order once, for the metrics.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

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
	awsclient.Prewarm(context.Background(), aws, "dynamodb", log)
	lambda.Start(dynamostore.Tallier{
		Client: dynamodb.NewFromConfig(aws), Table: table, Now: time.Now, Log: log,
	}.Handle)
}
