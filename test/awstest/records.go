package awstest

import (
	"encoding/json/v2"
	"fmt"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
)

type image = map[string]events.DynamoDBAttributeValue

func newImage(o *order.Order) image {
	if o == nil {
		return nil
	}
	const layout = "2006-01-02T15:04:05.000Z"
	attribute := events.NewStringAttribute
	i := image{
		"pk": attribute("ORDER#" + string(o.ID)), "sk": attribute("ORDER"), "user_id": attribute("secret"),
		"status": attribute(o.Status.String()), "created_at": attribute(o.CreatedAt.Format(layout)),
	}
	if !o.StartedAt.IsZero() {
		i["started_at"] = attribute(o.StartedAt.Format(layout))
	}
	if !o.CompletedAt.IsZero() {
		i["completed_at"] = attribute(o.CompletedAt.Format(layout))
	}
	if o.Exception != nil {
		exception, err := json.Marshal(o.Exception)
		i["version"], i["exception"] = events.NewNumberAttribute(fmt.Sprint(o.Version())), attribute(string(Must(exception, err)))
	}
	return i
}

// NewRecord is the record that the stream has of a change.
func NewRecord(sequence string, c order.Change) events.DynamoDBEventRecord {
	r := events.DynamoDBEventRecord{EventID: "event-" + sequence, Change: events.DynamoDBStreamRecord{
		SequenceNumber: sequence, OldImage: newImage(c.Old), NewImage: newImage(c.New), StreamViewType: "NEW_AND_OLD_IMAGES",
	}}
	images := r.Change.NewImage
	switch {
	case c.Old == nil:
		r.EventName = "INSERT"
	case c.New == nil:
		r.EventName, images = "REMOVE", r.Change.OldImage
	default:
		r.EventName = "MODIFY"
	}
	r.Change.Keys = image{"pk": images["pk"], "sk": images["sk"]}
	return r
}

// ForeignRecords are records that are not about orders, among them those of the tally's own items.
func ForeignRecords() []events.DynamoDBEventRecord {
	keyed := func(sequence, pk, sk string) events.DynamoDBEventRecord {
		keys := image{"pk": events.NewStringAttribute(pk), "sk": events.NewStringAttribute(sk)}
		return events.DynamoDBEventRecord{EventName: "INSERT", Change: events.DynamoDBStreamRecord{
			SequenceNumber: sequence, Keys: keys, NewImage: keys,
		}}
	}
	numbers := keyed("4", "", "")
	numbers.Change.Keys = image{"pk": events.NewNumberAttribute("1"), "sk": {}}
	bare := keyed("5", "", "")
	bare.Change.Keys, bare.Change.NewImage = nil, nil
	return []events.DynamoDBEventRecord{
		keyed("1", "TALLY", "00"), keyed("2", "CHECKPOINT", "shard"), keyed("3", "ORDER#ORD00000000000000000000000001", "NOTE"), numbers, bare,
	}
}
