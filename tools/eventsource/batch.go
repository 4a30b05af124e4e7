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

// A Batch is what one event brings from the stream to a function: records of one
// shard, in their order.
type Batch struct {
	StreamARN, Shard string
	Records          []types.Record
	// Window is the function's tumbling window, nil when it has none.
	Window *Window
}

// A Window is a function's tumbling window over one shard. See
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html.
type Window struct {
	Start  time.Time
	Length time.Duration
	// State is what the function answered to the batch before, nil at the beginning.
	State map[string]string
	// Final is set in the window's last event, which has no records.
	Final bool
}

// Event is what Lambda would send for the batch.
func (b Batch) Event() ([]byte, error) {
	records := make([]events.DynamoDBEventRecord, 0, len(b.Records))
	for _, r := range b.Records {
		record, err := b.record(r)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", aws.ToString(r.Dynamodb.SequenceNumber), err)
		}
		records = append(records, record)
	}
	plain := events.DynamoDBEvent{Records: records}
	if b.Window == nil {
		return json.Marshal(plain)
	}
	return json.Marshal(events.DynamoDBTimeWindowEvent{
		DynamoDBEvent: plain,
		TimeWindowProperties: events.TimeWindowProperties{
			Window: events.Window{
				Start: events.RFC3339EpochTime{Time: b.Window.Start},
				End:   events.RFC3339EpochTime{Time: b.Window.Start.Add(b.Window.Length)},
			},
			State: b.Window.State, ShardID: b.Shard, EventSourceARN: b.StreamARN, IsFinalInvokeForWindow: b.Window.Final,
		},
	})
}

// Done reads a function's answer: how many records it is done with, all before the
// first that failed, and the window's new state. An answer without a state fails the
// batch in a window. When there is an error, no record is done.
func (b Batch) Done(answered []byte) (done int, state map[string]string, err error) {
	a, err := parse(answered)
	if err != nil {
		return 0, nil, err
	}
	if b.Window != nil && a.State == nil {
		return 0, nil, errors.New("the answer to a window has no state")
	}
	sequences := make([]string, len(b.Records))
	for i, r := range b.Records {
		sequences[i] = aws.ToString(r.Dynamodb.SequenceNumber)
	}
	failed, err := a.failures(sequences)
	if err != nil {
		return 0, nil, err
	}
	done = len(b.Records)
	if len(failed) > 0 {
		done = slices.Min(failed)
	}
	if done == 0 && len(b.Records) > 0 {
		return 0, nil, errors.New("the batch failed from its first record on")
	}
	return done, a.State, nil
}
