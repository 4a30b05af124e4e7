// Command metrics is the Lambda function behind GET /api/metrics/: it reads the tally.
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
	store, err := dynamostore.New(dynamostore.Config{
		Client: dynamodb.NewFromConfig(f.AWS), Table: f.Table(),
	})
	serve := lambdahttp.New(api.New(api.Config{
		Orders: store, Metrics: store, RequestID: rand.Text, Now: time.Now, Log: f.Log,
		Paths: []string{"/api/metrics"},
	}), f.Log)
	f.Start("dynamodb", lambdahttp.WithCORS(f.CORSOrigins(), serve), err)
}
