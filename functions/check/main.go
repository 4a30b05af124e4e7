// Command check is the Lambda function that looks, on a schedule, for orders that are past their
// time and not finished.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/functions/internal/function"
	"orders/shared/dynamostore"
)

// limit bounds what a run costs: about 5,400 read units, less than a tenth of a cent.
const limit = 10_000

func main() {
	f := function.New()
	client, table := dynamodb.NewFromConfig(f.AWS), f.Table()
	store, err := dynamostore.New(dynamostore.Config{Client: client, Table: table})
	f.Start("dynamodb", dynamostore.Check{
		Client: client, Metrics: store, Table: table, Fulfilment: f.Fulfilment(), Limit: limit, Now: time.Now, Log: f.Log,
	}.Handle, err)
}
