// Command fallback is the Lambda function behind all paths that no other function has: it serves
// the whole API, with the permissions of all its paths.
//
// API Gateway has no routes that end in a slash, and its documentation does not say whether the
// {proxy+} of a route takes an empty rest. If it does, a path that ends in a slash reaches the
// function of the path without it; if it does not, this one. Clients see no difference.
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
	fulfilment := f.Fulfilment()
	store, err := dynamostore.New(dynamostore.Config{
		Client: dynamodb.NewFromConfig(f.AWS), Table: f.Table(), Fulfilment: fulfilment, Now: time.Now, Random: rand.Reader,
		IndexBuckets: f.IndexBuckets(),
	})
	serve := lambdahttp.New(api.New(api.Config{
		Orders: store, Metrics: store, RequestID: rand.Text, Now: time.Now, Log: f.Log, External: fulfilment.External,
	}), f.Log)
	f.Start("dynamodb", lambdahttp.WithCORS(f.CORSOrigins(), lambdahttp.BelowPath(f.BasePath(), serve)), err)
}
