package eventsource_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/test/awstest"
	"orders/tools/eventsource"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

func TestRunEndsWithItsContextAndNotBefore(t *testing.T) {
	nobody := aws.String("http://127.0.0.1:1")
	queue, _ := awstest.Queues(t)
	cfg := config(t, awstest.Table(t), newFunction().invoke)
	cfg.QueueURL, cfg.Worker, cfg.Queues = queue, "worker", awstest.SQS(t, func(o *sqs.Options) { o.BaseEndpoint = nobody; o.RetryMaxAttempts = 1 })
	cfg.Streams = awstest.Streams(t, func(o *dynamodbstreams.Options) { o.BaseEndpoint = nobody; o.RetryMaxAttempts = 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := eventsource.Run(ctx, cfg)
	if took := time.Since(begin); err != nil || ctx.Err() == nil || took > 8*time.Second {
		t.Errorf("ended after %s with %v, context: %v", took, err, ctx.Err())
	}
}

func TestABatchSizeThatLambdaWouldNotTakeIsAnError(t *testing.T) {
	for _, size := range []int{-1, 1001} {
		if err := eventsource.Run(t.Context(), eventsource.Config{Readers: []eventsource.Reader{{BatchSize: size}}}); err == nil {
			t.Errorf("size %d: no error", size)
		}
	}
}

// config reads a table's stream with one function, in batches of three.
func config(t *testing.T, table string, invoke eventsource.Invoke) eventsource.Config {
	t.Helper()
	return eventsource.Config{
		Tables: awstest.DynamoDB(t), Streams: awstest.Streams(t), Queues: awstest.SQS(t),
		Table: table, Readers: []eventsource.Reader{{Function: "reader", BatchSize: 3}},
		Invoke: invoke, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
}

// run runs a bridge until the test ends.
func run(t *testing.T, cfg eventsource.Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := eventsource.Run(ctx, cfg); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// A function is invoked by a bridge and answers, one call after the other, from a list; "error" is
// an error of the function. After the last it answers that all is well.
type function struct {
	answers []string
	events  chan []byte
}

func newFunction(answers ...string) *function {
	return &function{answers: answers, events: make(chan []byte, 100)}
}

func (f *function) invoke(_ context.Context, _ string, event []byte) ([]byte, error) {
	f.events <- event
	if len(f.answers) == 0 {
		return []byte(`{"state":{},"batchItemFailures":[]}`), nil
	}
	answer := f.answers[0]
	f.answers = f.answers[1:]
	if answer == "error" {
		return nil, errors.New("exit status 2")
	}
	return []byte(answer), nil
}

// next is the next event that the function gets.
func (f *function) next(t *testing.T) []byte {
	t.Helper()
	select {
	case event := <-f.events:
		return event
	case <-time.After(20 * time.Second):
		t.Fatal("the function is not invoked")
		return nil
	}
}

// quiet makes sure that nothing comes for ten times as long as a stream's reader rests.
func (f *function) quiet(t *testing.T) { t.Helper(); f.quietFor(t, 300*time.Millisecond) }

func (f *function) quietFor(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case event := <-f.events:
		t.Errorf("the function is invoked with %s", event)
	case <-time.After(d):
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// put writes items, each with its key alone and the attributes given.
func put(t *testing.T, table string, attributes map[string]types.AttributeValue, keys ...string) {
	t.Helper()
	for _, key := range keys {
		item := map[string]types.AttributeValue{"pk": text(key), "sk": text("sk")}
		maps.Copy(item, attributes)
		if _, err := awstest.DynamoDB(t).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
}
