package main

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/sqsqueue"
)

// A reconciler has the parts of the home on AWS that reconcile works with.
type reconciler struct {
	store *dynamostore.Store
	audit dynamostore.Audit
	tail  tail
	queue order.Queue // for --send
}

func (c *reconcileCommand) open(ctx context.Context) (*reconciler, error) {
	cfg, err := c.config(ctx)
	if err != nil {
		return nil, err
	}
	db := dynamodb.NewFromConfig(cfg)
	store, err := dynamostore.New(dynamostore.Config{Client: db, Table: c.Table})
	if err != nil {
		return nil, err
	}
	audit := dynamostore.Audit{Client: db, Table: c.Table, Segments: c.Segments, ReadUnits: float64(c.ReadUnits)}
	home := &reconciler{
		store: store, audit: audit,
		tail: tail{table: c.Table, checkpoint: audit.Checkpoint, db: db, streams: dynamodbstreams.NewFromConfig(cfg), quiet: c.Settle},
	}
	if c.Send {
		home.queue, err = sqsqueue.New(sqsqueue.Config{Client: sqs.NewFromConfig(cfg), URL: c.QueueURL, Now: time.Now})
	}
	return home, err
}
