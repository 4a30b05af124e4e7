package awstest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/tools/eventsource"
)

// A Capture takes what the bridge brings and acknowledges it in the functions'
// place, so that a test hands it on when, in what batches and how often it likes.
// Setup.Between takes its Between.
type Capture struct {
	mu       sync.Mutex
	shard    string
	records  map[string][]events.DynamoDBEventRecord // by function, each record once
	messages []events.SQSMessage
}

// Between keeps what the functions would get, and gives them nothing.
func (c *Capture) Between(eventsource.Invoke) eventsource.Invoke {
	return func(_ context.Context, function string, event []byte) ([]byte, error) {
		return []byte(`{"state":{},"batchItemFailures":[]}`), c.keep(function, event)
	}
}

// Tee keeps what the functions get, and what they answer is what counts.
func (c *Capture) Tee(invoke eventsource.Invoke) eventsource.Invoke {
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		if err := c.keep(function, event); err != nil {
			return nil, err
		}
		return invoke(ctx, function, event)
	}
}

func (c *Capture) keep(function string, event []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if function == ProcessorFunction {
		var e events.SQSEvent
		err := json.Unmarshal(event, &e)
		c.messages = append(c.messages, e.Records...)
		return err
	}
	var e events.DynamoDBTimeWindowEvent // what has no window is one without
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

// Records waits until a function was brought n records or more, and returns them all.
func (c *Capture) Records(t testing.TB, function string, n int) []events.DynamoDBEventRecord {
	t.Helper()
	return await(t, n, "records", func() []events.DynamoDBEventRecord {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.Clone(c.records[function])
	})
}

// Messages waits until the processor was brought n messages or more, and returns them all.
func (c *Capture) Messages(t testing.TB, n int) []events.SQSMessage {
	t.Helper()
	return await(t, n, "messages", func() []events.SQSMessage {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.Clone(c.messages)
	})
}

// Event is the event for a stream function with those records. The shard is that
// of the stream, of which the engine has one.
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

// captureLimit bounds how long what is captured is waited for.
const captureLimit = time.Minute

func await[T any](t testing.TB, n int, what string, get func() []T) []T {
	t.Helper()
	timeout := time.After(captureLimit)
	for {
		got := get()
		if len(got) >= n {
			return got
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-timeout:
			t.Fatalf("%d %s came within %s, not %d", len(got), what, captureLimit, n)
		}
	}
}
