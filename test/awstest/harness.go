package awstest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/shared/dynamostream"
	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/conformance"
	"orders/tools/eventsource"
)

// A Deployment is all of the service on AWS but its HTTP interface, in this process: the
// store, and the handlers of relay, tally and processor. An emulated event source invokes
// them with the changes of the table and the messages of the queue.
type Deployment struct {
	conformance.Harness
	Functions
}

// A Setup is what a test may change about a Deployment.
type Setup struct {
	// DynamoDB and SQS are options of the clients of the store and the functions.
	DynamoDB []func(*dynamodb.Options)
	SQS      []func(*sqs.Options)
	// Fulfilment says how orders in Processing are completed.
	Fulfilment order.Fulfilment
	// Queue may change the attributes that the queue is created with.
	Queue func(attributes map[string]string)
	// Between wraps the functions that the event source invokes.
	Between func(eventsource.Invoke) eventsource.Invoke
}

// OpenDeployment opens a deployment with a fresh table and fresh queues until the test ends. Its
// processing time is a second.
func OpenDeployment(t testing.TB, change ...func(*Setup)) Deployment {
	t.Helper()
	setup := Setup{
		// SQS delays by whole seconds.
		Fulfilment: order.Timer(time.Second),
		Queue:      func(map[string]string) {},
		Between:    func(i eventsource.Invoke) eventsource.Invoke { return i },
	}
	for _, c := range change {
		c(&setup)
	}
	f := Functions{
		DynamoDB: DynamoDB(t, setup.DynamoDB...), SQS: SQS(t, setup.SQS...), Table: Table(t),
		Fulfilment: setup.Fulfilment, Timeout: 10 * time.Second, Now: time.Now,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
	f.QueueURL, f.DeadLetterURL = Queues(t, setup.Queue)
	store := Must(dynamostore.New(dynamostore.Config{
		Client: f.DynamoDB, Table: f.Table, Fulfilment: f.Fulfilment, Now: f.Now,
		Random: bufio.NewReader(rand.Reader), // not safe for concurrent use
	}))
	d := Deployment{Functions: f, Harness: conformance.Harness{
		Store: store, Metrics: store, ProcessingTime: f.Fulfilment.ProcessingTime,
		Deliver: f.deliver, DeadLetters: f.deadLetters(SQS(t)),
	}}
	d.connect(t, setup.Between(f.Invoke))
	return d
}

// connect runs an event source between the emulators and the functions until the test ends.
func (f Functions) connect(t testing.TB, invoke eventsource.Invoke) {
	cfg := eventsource.Config{
		Tables: DynamoDB(t), Streams: Streams(t), Queues: SQS(t), Invoke: invoke, Log: f.Logger,
		Table: f.Table, KeyPrefix: dynamostore.OrderPrefix,
		Readers:  eventsource.Readers(RelayFunction, TallyFunction),
		QueueURL: f.QueueURL, Worker: ProcessorFunction, Pollers: 4,
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { eventsource.Run(ctx, cfg) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// deliver hands bodies to the processor as one batch, and those that fail again, as the
// queue would. It gives up when a minute has passed and none of them succeeded.
func (f Functions) deliver(ctx context.Context, bodies ...[]byte) error {
	var batch events.SQSEvent
	for i, body := range bodies {
		batch.Records = append(batch.Records, events.SQSMessage{MessageId: strconv.Itoa(i), Body: string(body)})
	}
	for progress := time.Now(); time.Since(progress) < time.Minute; {
		event, err := json.Marshal(batch)
		if err != nil {
			return err
		}
		output, err := f.Invoke(ctx, ProcessorFunction, event)
		if err != nil {
			return err
		}
		var response events.SQSEventResponse
		if err := json.Unmarshal(output, &response); err != nil {
			return err
		}
		if len(response.BatchItemFailures) == 0 {
			return nil
		}
		if len(response.BatchItemFailures) < len(batch.Records) {
			progress = time.Now()
		}
		batch.Records = slices.DeleteFunc(batch.Records, func(m events.SQSMessage) bool {
			return !slices.Contains(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		})
	}
	return fmt.Errorf("%d messages keep failing", len(batch.Records))
}

// deadLetters reads the dead-letter queue and leaves everything there.
func (f Functions) deadLetters(client *sqs.Client) func(context.Context) ([][]byte, error) {
	return func(ctx context.Context) (bodies [][]byte, err error) {
		_, err = sqsqueue.Redrive{
			Client: client, DeadLetterURL: f.DeadLetterURL, Began: time.Now().Add(time.Minute), DryRun: true, Now: time.Now,
			Step: func(l sqsqueue.Entry) { bodies = append(bodies, []byte(l.Body)) },
		}.Run(ctx)
		return bodies, err
	}
}

// The functions of a Deployment, by their logical ids in the template.
const (
	RelayFunction     = "RelayFunction"
	TallyFunction     = "TallyFunction"
	ProcessorFunction = "ProcessorFunction"
)

// Functions are the functions that work in the background, and what they are configured with.
type Functions struct {
	DynamoDB                       *dynamodb.Client
	SQS                            *sqs.Client
	Table, QueueURL, DeadLetterURL string
	Fulfilment                     order.Fulfilment
	// Timeout is how long a function may run.
	Timeout time.Duration
	// Now is the clock of the functions.
	Now    func() time.Time
	Logger *slog.Logger
}

func (f Functions) queue() *sqsqueue.Queue {
	return Must(sqsqueue.New(sqsqueue.Config{
		Client: f.SQS, URL: f.QueueURL, DeadLetterURL: f.DeadLetterURL, Now: f.Now, Log: f.Logger,
	}))
}

// Invoke runs a function as Lambda does: with a deadline, to its end even when the caller
// has gone, and with a panic as an error.
func (f Functions) Invoke(ctx context.Context, name string, event []byte) (response []byte, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	response, err = f.handler(name)(ctx, event)
	if deadline, _ := ctx.Deadline(); err == nil && !time.Now().Before(deadline) {
		err = context.DeadlineExceeded // Lambda drops a response that is too late
	}
	return response, err
}

var _ eventsource.Invoke = Functions{}.Invoke

func (f Functions) handler(name string) handler {
	switch name {
	case RelayFunction:
		return newHandler(dynamostream.Relay{Queue: f.queue(), Fulfilment: f.Fulfilment, Log: f.Logger}.Handle)
	case TallyFunction:
		return newHandler(dynamostore.Tallier{Client: f.DynamoDB, Table: f.Table, Now: f.Now, Log: f.Logger}.Handle)
	case ProcessorFunction:
		orders := Must(dynamostore.New(dynamostore.Config{Client: f.DynamoDB, Table: f.Table, Fulfilment: f.Fulfilment}))
		processor := order.Processor{Orders: orders, Queue: f.queue()}
		return newHandler(sqsqueue.Receiver{Process: processor.Process, Now: f.Now, Log: f.Logger}.Handle)
	default:
		panic("there is no " + name)
	}
}

// A handler turns an event into a response, both in JSON.
type handler func(ctx context.Context, event []byte) ([]byte, error)

// newHandler does what lambda.NewHandler does. The one of the SDK reuses its buffer before the
// response of the last call is read.
func newHandler[E, R any](handle func(context.Context, E) (R, error)) handler {
	return func(ctx context.Context, event []byte) ([]byte, error) {
		var e E
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		response, err := handle(ctx, e)
		if err != nil {
			return nil, err
		}
		return json.Marshal(response)
	}
}
