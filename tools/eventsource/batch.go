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
	// Window is the function's tumbling window, nil if it has none.
	Window *Window
}

// A Window is a function's tumbling window over one shard. See
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html.
type Window struct {
	Start  time.Time
	Length time.Duration
	// State is from the response to the previous batch, nil for the first batch.
	State map[string]string
	// Final is set in the window's last event, which has no records.
	Final bool
}

// Event returns the event that Lambda would send for the batch.
func (b Batch) Event() ([]byte, error) {
	records := make([]events.DynamoDBEventRecord, 0, len(b.Records))
	for _, r := range b.Records {
		record, err := b.record(r)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", aws.ToString(r.Dynamodb.SequenceNumber), err)
		}
		records = append(records, record)
	}
	event := events.DynamoDBEvent{Records: records}
	if b.Window == nil {
		return json.Marshal(event)
	}
	return json.Marshal(events.DynamoDBTimeWindowEvent{
		DynamoDBEvent: event,
		TimeWindowProperties: events.TimeWindowProperties{
			Window: events.Window{
				Start: events.RFC3339EpochTime{Time: b.Window.Start},
				End:   events.RFC3339EpochTime{Time: b.Window.Start.Add(b.Window.Length)},
			},
			State: b.Window.State, ShardID: b.Shard, EventSourceARN: b.StreamARN, IsFinalInvokeForWindow: b.Window.Final,
		},
	})
}

// Done interprets a function's response. It returns the number of records that the function has
// handled, which are those before the first failure, and the window's new state. In a window, a
// response without a state fails the batch. With an error, no record is handled.
func (b Batch) Done(text []byte) (done int, state map[string]string, err error) {
	r, err := parseResponse(text)
	if err != nil {
		return 0, nil, err
	}
	if b.Window != nil && r.State == nil {
		return 0, nil, errors.New("the response in a window has no state")
	}
	sequenceNumbers := make([]string, len(b.Records))
	for i, record := range b.Records {
		sequenceNumbers[i] = aws.ToString(record.Dynamodb.SequenceNumber)
	}
	failed, err := r.failures(sequenceNumbers)
	if err != nil {
		return 0, nil, err
	}
	done = len(b.Records)
	if len(failed) > 0 {
		done = slices.Min(failed)
	}
	if done == 0 && len(b.Records) > 0 {
		return 0, nil, errors.New("the batch failed from its first record")
	}
	return done, r.State, nil
}

func (b Batch) record(r types.Record) (record events.DynamoDBEventRecord, err error) {
	d := r.Dynamodb
	record = events.DynamoDBEventRecord{
		EventID: aws.ToString(r.EventID), EventName: string(r.EventName), EventVersion: aws.ToString(r.EventVersion),
		EventSource: "aws:dynamodb", EventSourceArn: b.StreamARN, AWSRegion: region(b.StreamARN),
		Change: events.DynamoDBStreamRecord{
			ApproximateCreationDateTime: events.SecondsEpochTime{Time: aws.ToTime(d.ApproximateCreationDateTime)},
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
	change := &record.Change
	for _, image := range []struct {
		to   *map[string]events.DynamoDBAttributeValue
		from map[string]types.AttributeValue
	}{{&change.Keys, d.Keys}, {&change.NewImage, d.NewImage}, {&change.OldImage, d.OldImage}} {
		if *image.to, err = attributes(image.from); err != nil {
			return record, err
		}
	}
	return record, nil
}

func attributes(from map[string]types.AttributeValue) (map[string]events.DynamoDBAttributeValue, error) {
	to := make(map[string]events.DynamoDBAttributeValue, len(from))
	for name, value := range from {
		v, err := attribute(value)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		to[name] = v
	}
	return to, nil
}

// attribute converts a value from the SDK's type to the type of Lambda's events.
func attribute(value types.AttributeValue) (events.DynamoDBAttributeValue, error) {
	switch v := value.(type) {
	case *types.AttributeValueMemberM:
		m, err := attributes(v.Value)
		return events.NewMapAttribute(m), err
	case *types.AttributeValueMemberL:
		list := make([]events.DynamoDBAttributeValue, len(v.Value))
		for i, item := range v.Value {
			converted, err := attribute(item)
			if err != nil {
				return converted, err
			}
			list[i] = converted
		}
		return events.NewListAttribute(list), nil
	default:
		return scalarAttribute(value)
	}
}

// scalarAttribute converts a value that contains no other attributes.
func scalarAttribute(value types.AttributeValue) (events.DynamoDBAttributeValue, error) {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return events.NewStringAttribute(v.Value), nil
	case *types.AttributeValueMemberN:
		return events.NewNumberAttribute(v.Value), nil
	case *types.AttributeValueMemberB:
		return events.NewBinaryAttribute(v.Value), nil
	case *types.AttributeValueMemberBOOL:
		return events.NewBooleanAttribute(v.Value), nil
	case *types.AttributeValueMemberNULL:
		return events.NewNullAttribute(), nil
	case *types.AttributeValueMemberSS:
		return events.NewStringSetAttribute(v.Value), nil
	case *types.AttributeValueMemberNS:
		return events.NewNumberSetAttribute(v.Value), nil
	case *types.AttributeValueMemberBS:
		return events.NewBinarySetAttribute(v.Value), nil
	default:
		return events.NewNullAttribute(), fmt.Errorf("unknown type %T", value)
	}
}
