// Command transition is the Lambda function behind POST /api/orders/{order_id}/cancel/, complete/,
// fail/ and retry/: it makes the transition of one order that a person or a worker asks for.
//
// It serves its own paths alone, because its role allows the calls of these and no others.
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
	})
	serve := lambdahttp.New(api.New(api.Config{
		Orders: store, Metrics: store, RequestID: rand.Text, Now: time.Now, Log: f.Log, External: fulfilment.External,
		Paths: []string{
			"/api/orders/{order_id}/cancel", "/api/orders/{order_id}/complete", "/api/orders/{order_id}/fail", "/api/orders/{order_id}/retry",
		},
	}), f.Log)
	f.Start("dynamodb", lambdahttp.WithCORS(f.CORSOrigins(), serve), err)
}
