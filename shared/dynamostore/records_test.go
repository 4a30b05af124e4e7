package dynamostore_test

import (
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
	"orders/test/awstest"
)

// The orders that the records of these tests are about.
var (
	pending           = order.Order{ID: id(1), Status: order.Pending, CreatedAt: noon}
	processed         = order.Order{ID: id(1), Status: order.Processing, CreatedAt: noon, StartedAt: noon.Add(time.Second)}
	completed         = order.Order{ID: id(1), Status: order.Completed, CreatedAt: noon, StartedAt: noon.Add(time.Second), CompletedAt: noon.Add(time.Minute)}
	importedCompleted = order.Order{ID: id(1), Status: order.Completed, CreatedAt: noon}
)

// created is the record of a new order.
func created(sequence string, n int) events.DynamoDBEventRecord {
	o := pending
	o.ID = id(n)
	return awstest.NewRecord(sequence, order.Change{New: &o})
}

func unreadable(sequence string, n int) events.DynamoDBEventRecord {
	r := created(sequence, n)
	r.Change.NewImage["status"] = events.NewStringAttribute("Shipped")
	return r
}
