package awstest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"orders/test/conformance"
	"orders/tools/eventsource"
)

// A Capture records the events that the event source sends to functions. With Between, it
// acknowledges them in place of the functions, so that a test can pass them on when it likes, as
// often as it likes and in other batches. Setup.Between takes Between or Tee.
type Capture struct {
	mu       sync.Mutex
	shard    string
	records  map[string][]events.DynamoDBEventRecord // by function, each record once
	messages []events.SQSMessage
}

// Between records the events and does not invoke the functions.
func (c *Capture) Between(eventsource.Invoke) eventsource.Invoke {
	return func(_ context.Context, function string, event []byte) ([]byte, error) {
		return []byte(`{"state":{},"batchItemFailures":[]}`), c.record(function, event)
	}
}

// Tee records the events and invokes the functions.
func (c *Capture) Tee(invoke eventsource.Invoke) eventsource.Invoke {
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		if err := c.record(function, event); err != nil {
			return nil, err
		}
		return invoke(ctx, function, event)
	}
}

func (c *Capture) record(function string, event []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if function == ProcessorFunction {
		var e events.SQSEvent
		err := json.Unmarshal(event, &e)
		c.messages = append(c.messages, e.Records...)
		return err
	}
	var e events.DynamoDBTimeWindowEvent // the relay's event has the same fields but for the window
	err := json.Unmarshal(event, &e)
	if c.records == nil {
		c.records = map[string][]events.DynamoDBEventRecord{}
	}
	for _, record := range e.Records {
		if !slices.ContainsFunc(c.records[function], func(r events.DynamoDBEventRecord) bool {
			return r.Change.SequenceNumber == record.Change.SequenceNumber
		}) {
			c.records[function] = append(c.records[function], record)
		}
	}
	if e.ShardID != "" {
		c.shard = e.ShardID
	}
	return err
}

// Records waits until a function was sent n records or more, and returns them all.
func (c *Capture) Records(t testing.TB, function string, n int) []events.DynamoDBEventRecord {
	t.Helper()
	return await(t, n, "records", func() []events.DynamoDBEventRecord {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.Clone(c.records[function])
	})
}

// Messages waits until the processor was sent n messages or more, and returns them all.
func (c *Capture) Messages(t testing.TB, n int) []events.SQSMessage {
	t.Helper()
	return await(t, n, "messages", func() []events.SQSMessage {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.Clone(c.messages)
	})
}

func await[E any](t testing.TB, n int, noun string, get func() []E) (got []E) {
	t.Helper()
	conformance.Eventually(t, func() error {
		if got = get(); len(got) < n {
			return fmt.Errorf("%d %s have come, not %d", len(got), noun, n)
		}
		return nil
	})
	return got
}

// Event is the event for a stream function with those records. The engine's streams have one
// shard.
func (c *Capture) Event(t testing.TB, records []events.DynamoDBEventRecord) []byte {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	return marshal(t, events.DynamoDBTimeWindowEvent{
		DynamoDBEvent:        events.DynamoDBEvent{Records: records},
		TimeWindowProperties: events.TimeWindowProperties{ShardID: c.shard, State: map[string]string{}},
	})
}

// MessageEvent is the event for the processor with those messages.
func MessageEvent(t testing.TB, messages []events.SQSMessage) []byte {
	t.Helper()
	return marshal(t, events.SQSEvent{Records: messages})
}

func marshal(t testing.TB, event any) []byte {
	t.Helper()
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
