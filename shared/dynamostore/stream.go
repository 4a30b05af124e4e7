package dynamostore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
)

// isOrder reports whether a record of the stream is about an order, by its key. The
// mappings' filters let no other through, but nothing here depends on them.
func isOrder(r events.DynamoDBEventRecord) bool {
	key := textsOfImage(r.Change.Keys)
	pk, _ := key("pk")
	sk, _ := key("sk")
	return strings.HasPrefix(pk, OrderPrefix) && sk == orderSort
}

// changeOf reads what a write did to an order: its id, statuses and times, which are
// all that order.Change.FollowUps and order.Change.Tally ask for.
func changeOf(r events.DynamoDBEventRecord) (c order.Change, err error) {
	switch events.DynamoDBOperationType(r.EventName) {
	case events.DynamoDBOperationTypeInsert:
		c.New, err = lifeOfImage(r, r.Change.NewImage)
	case events.DynamoDBOperationTypeModify:
		if c.Old, err = lifeOfImage(r, r.Change.OldImage); err == nil {
			c.New, err = lifeOfImage(r, r.Change.NewImage)
		}
	case events.DynamoDBOperationTypeRemove:
		c.Old, err = lifeOfImage(r, r.Change.OldImage)
	default:
		err = errors.New("the event is neither INSERT nor MODIFY nor REMOVE")
	}
	if err != nil {
		return order.Change{}, fmt.Errorf("read stream record %s: %w", r.Change.SequenceNumber, err)
	}
	return c, nil
}

func lifeOfImage(r events.DynamoDBEventRecord, image map[string]events.DynamoDBAttributeValue) (*order.Order, error) {
	o, err := life(textsOfImage(image))
	if err != nil {
		return nil, err
	}
	if pk, _ := textsOfImage(r.Change.Keys)("pk"); pk != OrderPrefix+string(o.ID) {
		return nil, fmt.Errorf("the image is of order %s, the key is not", o.ID)
	}
	return &o, nil
}

func textsOfImage(image map[string]events.DynamoDBAttributeValue) texts {
	return func(name string) (string, bool) {
		value, there := image[name]
		if !there || value.DataType() != events.DataTypeString {
			return "", there
		}
		return value.String(), true
	}
}
