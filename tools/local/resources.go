package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/tools/cfn"
)

// resources are what the functions work on.
type resources struct {
	table                  string // name
	queue, deadLetterQueue string // URLs
}

// create makes template.yaml's table and queues.
func create(ctx context.Context, t *cfn.Template, cfg aws.Config) (r resources, err error) {
	table, err := t.Table()
	if err != nil {
		return r, err
	}
	table.TableName = aws.String("OrdersTable") // what `sam local` takes a !Ref to it for
	if _, err = dynamodb.NewFromConfig(cfg).CreateTable(ctx, table); err != nil {
		return r, fmt.Errorf("create the table: %w", err)
	}
	r.table = *table.TableName
	queues := sqs.NewFromConfig(cfg)
	deadLetters, err := t.DeadLetterQueue()
	if err != nil {
		return r, err
	}
	if r.deadLetterQueue, err = createQueue(ctx, queues, "orders-dead-letters", deadLetters); err != nil {
		return r, err
	}
	attributes, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &r.deadLetterQueue, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return r, fmt.Errorf("ask for the dead-letter queue's ARN: %w", err)
	}
	queue, err := t.OrdersQueue(attributes.Attributes["QueueArn"])
	if err != nil {
		return r, err
	}
	r.queue, err = createQueue(ctx, queues, "orders", queue)
	return r, err
}

func createQueue(ctx context.Context, client *sqs.Client, name string, input *sqs.CreateQueueInput) (url string, err error) {
	input.QueueName = &name
	created, err := client.CreateQueue(ctx, input)
	if err != nil {
		return "", fmt.Errorf("create the queue %s: %w", name, err)
	}
	return *created.QueueUrl, nil
}
