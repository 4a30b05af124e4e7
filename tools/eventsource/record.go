package eventsource

import (
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

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

// attribute turns the value as the SDK reads it into the one that Lambda writes.
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
		return plainAttribute(value)
	}
}

// plainAttribute is attribute for values that hold no others.
func plainAttribute(value types.AttributeValue) (events.DynamoDBAttributeValue, error) {
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
		return events.NewNullAttribute(), fmt.Errorf("of unknown type %T", value)
	}
}
