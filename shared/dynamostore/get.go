package dynamostore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// Get implements order.Store: one strongly consistent GetItem, so that no reader
// sees a status go backwards.
func (s *Store) Get(ctx context.Context, id order.ID) (order.Order, error) {
	found, err := s.cfg.Client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      aws.String(s.cfg.Table),
		Key:            orderKey(id),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return order.Order{}, awsclient.WrapError("read order "+string(id), err)
	}
	if len(found.Item) == 0 {
		return order.Order{}, order.ErrNotFound
	}
	return orderOf(found.Item)
}
