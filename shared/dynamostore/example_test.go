package dynamostore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
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

// An order that was created has to be started: the relay puts that message on the queue.
func ExampleRelay() {
	var q queue
	relay := dynamostore.Relay{Queue: &q, Fulfilment: order.Timer(50 * time.Second), Log: slog.New(slog.DiscardHandler)}
	record := newRecord("1", order.Change{New: &order.Order{ID: "ORD00000000000000000000000001", CreatedAt: noon}})
	response, err := relay.Handle(context.Background(), events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{record}})
	fmt.Printf("%s\n", q.sent[0].Body())
	fmt.Println(len(response.BatchItemFailures), err)
	// Output:
	// {"order_id":"ORD00000000000000000000000001","to":"Processing"}
	// 0 <nil>
}
