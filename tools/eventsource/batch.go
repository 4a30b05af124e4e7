package eventsource

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// A Batch is the content of one event from a stream: records of one shard, in their order.
type Batch struct {
	StreamARN, Shard string
	Records          []types.Record
	// Window is the length of the function's tumbling window, 0 for none. See
	// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html.
	Window time.Duration
}

// Event returns the event that Lambda would send for the batch, in the window of its first record.
func (b Batch) Event() ([]byte, error) {
	records := make([]events.DynamoDBEventRecord, len(b.Records))
	for i, r := range b.Records {
		records[i] = b.record(r)
	}
	event := events.DynamoDBEvent{Records: records}
	if b.Window == 0 {
		return json.Marshal(event)
	}
	start := records[0].Change.ApproximateCreationDateTime.UTC().Truncate(b.Window)
	return json.Marshal(events.DynamoDBTimeWindowEvent{
		DynamoDBEvent: event,
		TimeWindowProperties: events.TimeWindowProperties{
			Window:  events.Window{Start: events.RFC3339EpochTime{Time: start}, End: events.RFC3339EpochTime{Time: start.Add(b.Window)}},
			ShardID: b.Shard, EventSourceARN: b.StreamARN,
		},
	})
}

// Done interprets a function's response. It returns the number of records that the function has
// handled, which are those before the first failure. In a window, a response without a state fails
// the batch. With an error, no record is handled.
func (b Batch) Done(text []byte) (done int, err error) {
	sequenceNumbers := make([]string, len(b.Records))
	for i, record := range b.Records {
		sequenceNumbers[i] = aws.ToString(record.Dynamodb.SequenceNumber)
	}
	failed, hasState, err := parseResponse(text, sequenceNumbers)
	switch {
	case err != nil:
		return 0, err
	case b.Window > 0 && !hasState:
		return 0, errors.New("the response in a window has no state")
	case len(failed) == 0:
		return len(b.Records), nil
	case slices.Min(failed) == 0:
		return 0, errors.New("the batch failed from its first record")
	default:
		return slices.Min(failed), nil
	}
}

func (b Batch) record(r types.Record) events.DynamoDBEventRecord {
	d := r.Dynamodb
	record := events.DynamoDBEventRecord{
		EventID: aws.ToString(r.EventID), EventName: string(r.EventName), EventVersion: aws.ToString(r.EventVersion),
		EventSource: "aws:dynamodb", EventSourceArn: b.StreamARN, AWSRegion: region(b.StreamARN),
		Change: events.DynamoDBStreamRecord{
			ApproximateCreationDateTime: events.SecondsEpochTime{Time: aws.ToTime(d.ApproximateCreationDateTime)},
			Keys:                        attributes(d.Keys),
			NewImage:                    attributes(d.NewImage),
			OldImage:                    attributes(d.OldImage),
			SequenceNumber:              aws.ToString(d.SequenceNumber),
			SizeBytes:                   aws.ToInt64(d.SizeBytes),
			StreamViewType:              string(d.StreamViewType),
		},
	}
	if r.UserIdentity != nil {
		record.UserIdentity = &events.DynamoDBUserIdentity{
			Type: aws.ToString(r.UserIdentity.Type), PrincipalID: aws.ToString(r.UserIdentity.PrincipalId),
		}
	}
	return record
}

func attributes(from map[string]types.AttributeValue) map[string]events.DynamoDBAttributeValue {
	to := make(map[string]events.DynamoDBAttributeValue, len(from))
	for name, value := range from {
		to[name] = attribute(value)
	}
	return to
}

func attributeList(from []types.AttributeValue) []events.DynamoDBAttributeValue {
	to := make([]events.DynamoDBAttributeValue, len(from))
	for i, item := range from {
		to[i] = attribute(item)
	}
	return to
}

// attribute converts a value from the SDK's type to the type of Lambda's events.
func attribute(value types.AttributeValue) events.DynamoDBAttributeValue {
	switch v := value.(type) {
	case *types.AttributeValueMemberM:
		return events.NewMapAttribute(attributes(v.Value))
	case *types.AttributeValueMemberL:
		return events.NewListAttribute(attributeList(v.Value))
	case *types.AttributeValueMemberS:
		return events.NewStringAttribute(v.Value)
	case *types.AttributeValueMemberN:
		return events.NewNumberAttribute(v.Value)
	case *types.AttributeValueMemberB:
		return events.NewBinaryAttribute(v.Value)
	case *types.AttributeValueMemberBOOL:
		return events.NewBooleanAttribute(v.Value)
	case *types.AttributeValueMemberNULL:
		return events.NewNullAttribute()
	case *types.AttributeValueMemberSS:
		return events.NewStringSetAttribute(v.Value)
	case *types.AttributeValueMemberNS:
		return events.NewNumberSetAttribute(v.Value)
	case *types.AttributeValueMemberBS:
		return events.NewBinarySetAttribute(v.Value)
	default:
		panic(fmt.Sprintf("unknown attribute type %T", value)) // DynamoDB has ten
	}
}
