package dynamostore

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// Create implements order.Store: one PutItem that never overwrites. When the item is
// there already, DynamoDB gives it back with the refusal, so that a retry is
// answered without another request.
func (s *Store) Create(ctx context.Context, d order.Draft) (order.Order, bool, error) {
	o, err := s.accept(d)
	if err != nil {
		return order.Order{}, false, err
	}
	_, err = s.cfg.Client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           aws.String(s.cfg.Table),
		Item:                                itemOf(o),
		ConditionExpression:                 aws.String("attribute_not_exists(#pk)"),
		ExpressionAttributeNames:            names("pk"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return existing(d, refusal.Item)
	}
	if err != nil {
		return order.Order{}, false, awsclient.WrapError("store order "+string(o.ID), err)
	}
	return o, false, nil
}

// accept makes the order of a draft. Its time of creation is the one in its ULID.
func (s *Store) accept(d order.Draft) (order.Order, error) {
	if s.cfg.Random == nil {
		return order.Order{}, errNoRandom
	}
	now := s.cfg.Now()
	if d.Key != "" {
		return order.New(d, d.Key, now), nil
	}
	s.random.Lock()
	u, err := ulid.New(ulid.Timestamp(now), s.cfg.Random)
	s.random.Unlock()
	if err != nil {
		return order.Order{}, fmt.Errorf("make an id: %w", err)
	}
	return order.New(d, order.NewID(u), now), nil
}

// existing answers a creation with the order that has its id already. Under a
// key it is an earlier request's. Without one, the SDK has repeated its own request,
// whose answer was lost: the order is this one.
func existing(d order.Draft, it item) (order.Order, bool, error) {
	o, err := orderOf(it)
	switch {
	case err != nil:
		return order.Order{}, false, fmt.Errorf("read the order that is there: %w", err)
	case o.Fingerprint == d.Fingerprint:
		return o, d.Key != "", nil
	case d.Key != "":
		return order.Order{}, false, order.ErrKeyReused
	default:
		return order.Order{}, false, fmt.Errorf("%w: the new id %s is taken", order.ErrUnavailable, o.ID)
	}
}
