// Command metrics is the Lambda function behind GET /api/metrics/: it reads the
// tally.
//
// Like all functions of the API it serves the whole of it: what reaches one is up
// to the routes of template.yaml, and what it may do to its role.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/shared/api"
	"orders/shared/awsclient"
	"orders/shared/dynamostore"
	"orders/shared/lambdahttp"
)

func main() {
	log := lambdacontext.NewLogger()
	env := awsclient.NewEnv(os.Getenv)
	table, aws := env.Text("ORDERS_TABLE"), env.AWS("AWS_ENDPOINT_URL")
	store, err := dynamostore.New(dynamostore.Config{
		Client: dynamodb.NewFromConfig(aws), Table: table,
	})
	if err := cmp.Or(env.Err(), err); err != nil {
		log.Error("the function cannot start", "err", err)
		os.Exit(1)
	}
	awsclient.Prewarm(context.Background(), aws, "dynamodb", log)
	lambda.Start(lambdahttp.New(api.New(api.Config{
		Orders: store, Metrics: store, RequestID: rand.Text, Now: time.Now, Log: log,
	}), log))
}
