package dynamostore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/shared/dynamostore"
	"orders/shared/order"
)

// A store that only reads needs neither Fulfilment nor Now and Random.
func Example() {
	ctx := context.Background()
	store, err := dynamostore.New(dynamostore.Config{
		Client: dynamodb.NewFromConfig(aws.Config{Region: "eu-west-1"}), Table: "orders",
		Fulfilment: order.Timer(50 * time.Second), Now: time.Now, Random: rand.Reader,
	})
	if err != nil {
		log.Fatal(err)
	}
	draft := order.Draft{Details: order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: 1650_78}}
	draft.SetFingerprint()
	created, _, err := store.Create(ctx, draft)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Advance(ctx, order.Message{OrderID: created.ID, To: order.Processing}, time.Now()); err != nil {
		log.Fatal(err)
	}
	page, err := store.List(ctx, 10, "")
	fmt.Println(page.IDs, err)
}
