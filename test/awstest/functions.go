package awstest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/tools/eventsource"
)

// The functions of a Home, by their logical ids in the template.
const (
	RelayFunction     = "RelayFunction"
	TallyFunction     = "TallyFunction"
	ProcessorFunction = "ProcessorFunction"
)

// A Deployment is what store and functions are made of.
type Deployment struct {
	DynamoDB                       *dynamodb.Client
	SQS                            *sqs.Client
	Table, QueueURL, DeadLetterURL string
	ProcessingTime                 time.Duration
	// Timeout is how long a function may run.
	Timeout time.Duration
	// Now is the clock of whoever is made of this.
	Now func() time.Time
	Log *slog.Logger
}

// Queue is the queue as the functions know it.
func (d Deployment) Queue() *sqsqueue.Queue {
	return Must(sqsqueue.New(sqsqueue.Config{
		Client: d.SQS, URL: d.QueueURL, DeadLetterURL: d.DeadLetterURL, Now: d.Now, Log: d.Log,
	}))
}

// Invoke runs the functions as Lambda does: with a deadline, to their end whether or
// not somebody waits for it, and with a panic taken for an error.
func (d Deployment) Invoke(ctx context.Context, name string, event []byte) (answered []byte, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	answered, err = d.function(name)(ctx, event)
	if deadline, _ := ctx.Deadline(); err == nil && !time.Now().Before(deadline) {
		err = context.DeadlineExceeded // what is answered too late is no answer
	}
	return answered, err
}

var _ eventsource.Invoke = Deployment{}.Invoke

func (d Deployment) function(name string) function {
	switch name {
	case RelayFunction:
		return handler(dynamostore.Relay{Queue: d.Queue(), ProcessingTime: d.ProcessingTime, Log: d.Log}.Handle)
	case TallyFunction:
		return handler(dynamostore.Tallier{Client: d.DynamoDB, Table: d.Table, Now: d.Now, Log: d.Log}.Handle)
	case ProcessorFunction:
		orders := Must(dynamostore.New(dynamostore.Config{Client: d.DynamoDB, Table: d.Table, ProcessingTime: d.ProcessingTime}))
		processor := order.Processor{Orders: orders, Queue: d.Queue()}
		return handler(sqsqueue.Receiver{Process: processor.Process, Now: d.Now, Log: d.Log}.Handle)
	default:
		panic("there is no " + name)
	}
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
