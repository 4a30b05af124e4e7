package awstest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/shared/sqsqueue"
	"orders/test/conformance"
	"orders/tools/eventsource"
)

// A Home is the whole home on AWS but for its HTTP interface, in this process:
// the store, and the handlers of relay, tally and processor, which a bridge
// invokes with what happens in the table and the queue.
type Home struct {
	conformance.Harness
	Queue                          *sqsqueue.Queue
	Table, QueueURL, DeadLetterURL string
	// Invoke hands an event to one of the functions, past the bridge.
	Invoke eventsource.Invoke
}

// A Setup is what a test may want otherwise.
type Setup struct {
	// ProcessingTime is a second: SQS delays by whole ones.
	ProcessingTime time.Duration
	// DynamoDB and SQS are options of the clients of the store and the functions.
	DynamoDB []func(*dynamodb.Options)
	SQS      []func(*sqs.Options)
	// Queue may alter the attributes that the queue is made with.
	Queue func(attributes map[string]string)
	// Between stands between the bridge and the functions.
	Between func(eventsource.Invoke) eventsource.Invoke
	// Now is the clock of the store and the functions.
	Now func() time.Time
	// Timeout is that of the functions: 10 s.
	Timeout time.Duration
	// KeyPrefix is the filter of the stream's mappings, "" for none.
	KeyPrefix string
}

// OpenDeployment opens a home with a fresh table and fresh queues until the test ends.
func OpenDeployment(t testing.TB, change ...func(*Setup)) Home {
	t.Helper()
	setup := Setup{
		ProcessingTime: time.Second,
		Queue:          func(map[string]string) {},
		Between:        func(i eventsource.Invoke) eventsource.Invoke { return i },
		Now:            time.Now,
		Timeout:        10 * time.Second,
		KeyPrefix:      dynamostore.OrderPrefix,
	}
	for _, c := range change {
		c(&setup)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	functions := Deployment{
		DynamoDB: DynamoDB(t, setup.DynamoDB...), SQS: SQS(t, setup.SQS...), Table: Table(t),
		ProcessingTime: setup.ProcessingTime, Timeout: setup.Timeout, Now: setup.Now, Log: log,
	}
	functions.QueueURL, functions.DeadLetterURL = Queues(t, setup.Queue)
	store := Must(dynamostore.New(dynamostore.Config{
		Client: functions.DynamoDB, Table: functions.Table, ProcessingTime: setup.ProcessingTime, Now: setup.Now, Random: rand.Reader,
	}))
	h := Home{
		Table: functions.Table, QueueURL: functions.QueueURL, DeadLetterURL: functions.DeadLetterURL,
		Queue: functions.Queue(), Invoke: functions.Invoke,
	}
	h.Harness = conformance.Harness{
		Store: store, Metrics: store, ProcessingTime: setup.ProcessingTime,
		Deliver: h.deliver, DeadLetters: h.deadLetters(SQS(t)),
	}
	h.connect(t, setup.Between(h.Invoke), setup.KeyPrefix, log)
	return h
}

// connect runs a bridge with engines and functions until the test ends.
func (h Home) connect(t testing.TB, invoke eventsource.Invoke, keyPrefix string, log *slog.Logger) {
	cfg := eventsource.Config{
		Tables: DynamoDB(t), Streams: Streams(t), Queues: SQS(t), Invoke: invoke, Now: time.Now, Log: log,
		Table: h.Table, KeyPrefix: keyPrefix,
		Readers:  eventsource.Readers(RelayFunction, TallyFunction),
		QueueURL: h.QueueURL, Worker: ProcessorFunction, Pollers: 4,
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- eventsource.Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("bridge: %v", err)
		}
	})
}

// deliver hands bodies to the processor as one batch, and those that fail again, as
// the queue would.
func (h Home) deliver(ctx context.Context, bodies ...[]byte) error {
	var batch events.SQSEvent
	for i, body := range bodies {
		batch.Records = append(batch.Records, events.SQSMessage{MessageId: strconv.Itoa(i), Body: string(body)})
	}
	for range 10 {
		event, err := json.Marshal(batch)
		if err != nil {
			return err
		}
		answered, err := h.Invoke(ctx, ProcessorFunction, event)
		if err != nil {
			return err
		}
		var response events.SQSEventResponse
		if err := json.Unmarshal(answered, &response); err != nil {
			return err
		}
		if len(response.BatchItemFailures) == 0 {
			return nil
		}
		batch.Records = slices.DeleteFunc(batch.Records, func(m events.SQSMessage) bool {
			return !slices.Contains(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		})
	}
	return fmt.Errorf("%d messages failed again and again", len(batch.Records))
}

// deadLetters looks into the dead-letter queue and leaves everything there.
func (h Home) deadLetters(client *sqs.Client) func(context.Context) ([][]byte, error) {
	return func(ctx context.Context) (bodies [][]byte, err error) {
		_, err = sqsqueue.Redrive{
			Client: client, DeadLetterURL: h.DeadLetterURL, Began: time.Now().Add(time.Minute), DryRun: true, Now: time.Now,
			Step: func(l sqsqueue.Entry) { bodies = append(bodies, []byte(l.Body)) },
		}.Run(ctx)
		return bodies, err
	}
}
