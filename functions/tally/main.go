// Command tally is the Lambda function that reads the table's stream and counts each change of an
// order once, for the metrics.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/functions/internal/function"
	"orders/shared/dynamostore"
)

func main() {
	f := function.New()
	f.Start("dynamodb", dynamostore.Tallier{
		Client: dynamodb.NewFromConfig(f.AWS), Table: f.Table(), Now: time.Now, Log: f.Log,
	}.Handle)
}
