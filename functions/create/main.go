// Command create is the Lambda function behind POST /api/orders/create/: it creates an order with
// one write to the table.
//
// Like each function of the API it serves the whole API. The routes of template.yaml say which
// requests reach it, and its role says which calls it may make.
package main

import (
	"crypto/rand"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/functions/internal/function"
	"orders/shared/api"
	"orders/shared/dynamostore"
	"orders/shared/lambdahttp"
)

func main() {
	f := function.New()
	store, err := dynamostore.New(dynamostore.Config{
		Client: dynamodb.NewFromConfig(f.AWS), Table: f.Table(), Now: time.Now, Random: rand.Reader, IndexBuckets: f.IndexBuckets(),
	})
	f.Start("dynamodb", lambdahttp.New(api.New(api.Config{
		Orders: store, Metrics: store, RequestID: rand.Text, Now: time.Now, Log: f.Log,
	}), f.Log), err)
}
