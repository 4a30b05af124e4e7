package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// Advance implements order.Advancer: one UpdateItem, on condition that the order is
// in the status before and that its time has come. When DynamoDB refuses, it gives
// the order back, and order.Order.Advance tells why.
//
// If the SDK repeats a request whose answer was lost, the result is
// order.ErrAlreadyDone, though this call did it: to a caller it is the same.
func (s *Store) Advance(ctx context.Context, id order.ID, to order.Status, now time.Time) error {
	if s.cfg.ProcessingTime == 0 {
		return errNoProcessingTime
	}
	now = order.Timestamp(now)
	// The second write is for a start by a clock that lies behind the creation:
	// it starts the order at its creation.
	for range 2 {
		_, err := s.cfg.Client.UpdateItem(ctx, s.transition(id, to, now))
		refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
		if !ok {
			return awsclient.WrapError(fmt.Sprintf("advance order %s to %s", id, to), err)
		}
		if len(refusal.Item) == 0 {
			return order.ErrNotFound
		}
		o, err := life(textsOf(refusal.Item))
		if err != nil {
			return fmt.Errorf("read the order to advance: %w", err)
		}
		if o, err = o.Advance(to, now, s.cfg.ProcessingTime); err != nil {
			return err
		}
		if now.Before(o.StartedAt) {
			now = o.StartedAt
		}
	}
	return fmt.Errorf("%w: order %s is refused twice", order.ErrUnavailable, id)
}

// transition is the write of one transition, with both of its conditions. Times are
// compared as text, in which they sort.
func (s *Store) transition(id order.ID, to order.Status, now time.Time) *dynamodb.UpdateItemInput {
	set, since, due := "started_at", "created_at", now
	if to == order.Completed {
		set, since, due = "completed_at", "started_at", now.Add(-s.cfg.ProcessingTime)
	}
	placeholders := names("status", since)
	placeholders["#set"] = set
	return &dynamodb.UpdateItemInput{
		TableName:                aws.String(s.cfg.Table),
		Key:                      orderKey(id),
		UpdateExpression:         aws.String("SET #status = :to, #set = :now"),
		ConditionExpression:      aws.String("#status = :from AND #" + since + " <= :due"),
		ExpressionAttributeNames: placeholders,
		ExpressionAttributeValues: item{
			":to": text(to.String()), ":from": text((to - 1).String()), ":now": text(timeText(now)), ":due": text(timeText(due)),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}
