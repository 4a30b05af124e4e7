package dynamostream_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/dynamostream"
	"orders/shared/order"
	"orders/test/awstest"
)

// An order that was created has to be started: the relay puts that message on the queue.
func ExampleRelay() {
	var q queue
	relay := dynamostream.Relay{Queue: &q, Fulfilment: order.Timer(50 * time.Second), Log: slog.New(slog.DiscardHandler)}
	record := awstest.NewRecord("1", order.Change{New: &order.Order{ID: "ORD00000000000000000000000001", CreatedAt: noon}})
	response, err := relay.Handle(context.Background(), events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{record}})
	fmt.Printf("%s\n", q.sent[0].Body())
	fmt.Println(len(response.BatchItemFailures), err)
	// Output:
	// {"order_id":"ORD00000000000000000000000001","to":"Processing"}
	// 0 <nil>
}
