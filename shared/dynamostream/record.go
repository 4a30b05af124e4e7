// Package dynamostream reads the stream of the orders table: the changes of orders in its records,
// and the Relay, which puts the messages that follow from them on the queue.
//
// It knows the part of an item that the service sets itself: key, status and times. The rest, and
// everything that calls DynamoDB, is in package dynamostore. A function that only reads the stream
// does not link the SDK's client of DynamoDB, which would take a third of its start.
package dynamostream

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
)

// The key of an order is OrderPrefix and its id as pk, and OrderSort as sk. No other item has such a
// pk.
const (
	OrderPrefix = "ORDER#"
	OrderSort   = "ORDER"
)

// TimeLayout is how times are stored: as text that sorts like times, and that an operator can read.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// FormatTime returns a time as it is stored.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeLayout) }

// A Lookup returns the string attribute of a name, and whether there is an attribute. Of an
// attribute of another type the value is "", which no string that is read here may be.
type Lookup func(name string) (value string, ok bool)

// DecodeLifecycle reads the id, the status and the times: the attributes that the service sets
// itself, and on which all that follows from a change depends.
func DecodeLifecycle(get Lookup) (order.Order, error) {
	id, err := decodeID(get)
	if err != nil {
		return order.Order{}, err
	}
	o := order.Order{ID: id}
	status, _ := get("status")
	var ok bool
	if o.Status, ok = order.ParseStatus(status); !ok {
		return order.Order{}, fmt.Errorf("order %s: invalid status", id)
	}
	for name, t := range map[string]*time.Time{
		"created_at": &o.CreatedAt, "started_at": &o.StartedAt, "completed_at": &o.CompletedAt,
	} {
		if *t, err = decodeTime(get, name); err != nil {
			return order.Order{}, fmt.Errorf("order %s: %w", id, err)
		}
	}
	if o.Exception, err = decodeException(get); err != nil {
		return order.Order{}, fmt.Errorf("order %s: %w", id, err)
	}
	if err := o.Validate(); err != nil {
		return order.Order{}, fmt.Errorf("order %s: %w", id, err)
	}
	return o, nil
}

// decodeException returns nil for an order on the main path.
func decodeException(get Lookup) (*order.Exception, error) {
	s, ok := get("exception")
	if !ok {
		return nil, nil
	}
	var e order.Exception
	if err := json.Unmarshal([]byte(s), &e); err != nil {
		return nil, errors.New("exception is not what a transition writes")
	}
	return &e, nil
}

func decodeID(get Lookup) (order.ID, error) {
	pk, _ := get("pk")
	sk, _ := get("sk")
	s, ok := strings.CutPrefix(pk, OrderPrefix)
	id, err := order.ParseID(s)
	if !ok || err != nil || sk != OrderSort {
		return "", errors.New("the key is not an order's")
	}
	return id, nil
}

// decodeTime returns the zero time when there is no such attribute.
func decodeTime(get Lookup, name string) (time.Time, error) {
	s, ok := get(name)
	if !ok {
		return time.Time{}, nil
	}
	t, err := time.Parse(TimeLayout, s)
	if err != nil || FormatTime(t) != s {
		return time.Time{}, fmt.Errorf("%s is not a time", name)
	}
	return t, nil
}

// IsOrder reports whether the key of a record of the stream is an order's. The filters of
// template.yaml let no other record through, but the handlers do not depend on them.
func IsOrder(r events.DynamoDBEventRecord) bool {
	get := newImageLookup(r.Change.Keys)
	pk, _ := get("pk")
	sk, _ := get("sk")
	return strings.HasPrefix(pk, OrderPrefix) && sk == OrderSort
}

// DecodeChange reads the change of an order from a record. Its orders have an id, a status and
// times, which order.Change.FollowUps and order.Change.Tally go by, and no details.
func DecodeChange(r events.DynamoDBEventRecord) (c order.Change, err error) {
	switch events.DynamoDBOperationType(r.EventName) {
	case events.DynamoDBOperationTypeInsert:
		c.New, err = decodeImage(r, r.Change.NewImage)
	case events.DynamoDBOperationTypeModify:
		if c.Old, err = decodeImage(r, r.Change.OldImage); err == nil {
			c.New, err = decodeImage(r, r.Change.NewImage)
		}
	case events.DynamoDBOperationTypeRemove:
		c.Old, err = decodeImage(r, r.Change.OldImage)
	default:
		err = errors.New("the event is not INSERT, MODIFY or REMOVE")
	}
	if err != nil {
		return order.Change{}, fmt.Errorf("read stream record %s: %w", r.Change.SequenceNumber, err)
	}
	return c, nil
}

func decodeImage(r events.DynamoDBEventRecord, image map[string]events.DynamoDBAttributeValue) (*order.Order, error) {
	o, err := DecodeLifecycle(newImageLookup(image))
	if err != nil {
		return nil, err
	}
	if pk, _ := newImageLookup(r.Change.Keys)("pk"); pk != OrderPrefix+string(o.ID) {
		return nil, fmt.Errorf("the image is of order %s, the key is not", o.ID)
	}
	return &o, nil
}

func newImageLookup(image map[string]events.DynamoDBAttributeValue) Lookup {
	return func(name string) (string, bool) {
		value, ok := image[name]
		if !ok || value.DataType() != events.DataTypeString {
			return "", ok
		}
		return value.String(), true
	}
}
