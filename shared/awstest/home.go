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

	"orders/shared/bridge"
	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/ordertest"
	"orders/shared/sqsqueue"
)

// The functions of a Home, by their logical ids in the template.
const (
	RelayFunction     = "RelayFunction"
	TallyFunction     = "TallyFunction"
	ProcessorFunction = "ProcessorFunction"
)

// A Home is the whole home on AWS but for its HTTP interface, in this process:
// the store, and the handlers of relay, tally and processor, which a bridge
// invokes with what happens in the table and the queue.
type Home struct {
	ordertest.Home
	Queue                          *sqsqueue.Queue
	Table, QueueURL, DeadLetterURL string
	// Invoke hands an event to one of the functions, past the bridge.
	Invoke bridge.Invoke
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
	Between func(bridge.Invoke) bridge.Invoke
}

// OpenHome opens a home with a fresh table and fresh queues until the test ends.
func OpenHome(t testing.TB, change ...func(*Setup)) Home {
	t.Helper()
	setup := Setup{
		ProcessingTime: time.Second,
		Queue:          func(map[string]string) {},
		Between:        func(i bridge.Invoke) bridge.Invoke { return i },
	}
	for _, c := range change {
		c(&setup)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	tables, queues := DynamoDB(t, setup.DynamoDB...), SQS(t, setup.SQS...)
	h := Home{Table: Table(t)}
	h.QueueURL, h.DeadLetterURL = Queues(t, setup.Queue)
	store := dynamostore.New(dynamostore.Config{
		Client: tables, Table: h.Table, ProcessingTime: setup.ProcessingTime, Now: time.Now, Random: rand.Reader,
	})
	h.Queue = sqsqueue.New(sqsqueue.Config{
		Client: queues, URL: h.QueueURL, DeadLetterURL: h.DeadLetterURL, Now: time.Now, Log: log,
	})
	h.Invoke = invoke(map[string]function{
		RelayFunction: handler(dynamostore.Relay{
			Queue: h.Queue, ProcessingTime: setup.ProcessingTime, Log: log,
		}.Handle),
		TallyFunction: handler(dynamostore.Tallier{
			Client: tables, Table: h.Table, Now: time.Now, Log: log,
		}.Handle),
		ProcessorFunction: handler(sqsqueue.Receiver{
			Process: order.Processor{Orders: store, Queue: h.Queue}.Process, Now: time.Now, Log: log,
		}.Handle),
	})
	h.Home = ordertest.Home{
		Store: store, Metrics: store, ProcessingTime: setup.ProcessingTime,
		Deliver: h.deliver, DeadLetters: h.deadLetters(SQS(t)),
	}
	h.connect(t, setup.Between(h.Invoke), log)
	return h
}

// connect runs a bridge with engines and functions until the test ends.
func (h Home) connect(t testing.TB, invoke bridge.Invoke, log *slog.Logger) {
	cfg := bridge.Config{
		Tables: DynamoDB(t), Streams: Streams(t), Queues: SQS(t), Invoke: invoke, Now: time.Now, Log: log,
		Table: h.Table, KeyPrefix: dynamostore.OrderPrefix,
		Readers:  bridge.Readers(RelayFunction, TallyFunction),
		QueueURL: h.QueueURL, Worker: ProcessorFunction, Pollers: 4,
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- bridge.Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("bridge: %v", err)
		}
	})
}

// A function takes an event and gives its answer, both in JSON.
type function func(ctx context.Context, event []byte) ([]byte, error)

// handler is the function that Lambda would make of handle. (lambda.NewHandler's gives
// its buffer to the next call before the answer of this one is read.)
func handler[E, A any](handle func(context.Context, E) (A, error)) function {
	return func(ctx context.Context, event []byte) ([]byte, error) {
		var e E
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		answer, err := handle(ctx, e)
		if err != nil {
			return nil, err
		}
		return json.Marshal(answer)
	}
}

// invoke runs functions as Lambda does: with a deadline, to their end whether or
// not somebody waits for it, and with a panic taken for an error.
func invoke(functions map[string]function) bridge.Invoke {
	return func(ctx context.Context, name string, event []byte) (answered []byte, err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return functions[name](ctx, event)
	}
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
			Step: func(l sqsqueue.DeadLetter) { bodies = append(bodies, []byte(l.Body)) },
		}.Run(ctx)
		return bodies, err
	}
}
