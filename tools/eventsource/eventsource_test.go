package eventsource_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/test/awstest"
	"orders/tools/eventsource"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

func TestRunEndsWithItsContextAndNotBefore(t *testing.T) {
	unreachable := aws.String("http://127.0.0.1:1")
	queue, _ := awstest.Queues(t)
	cfg := config(t, awstest.Table(t), newFunction().invoke)
	cfg.QueueURL, cfg.Worker, cfg.Queues = queue, "worker", awstest.SQS(t, func(o *sqs.Options) { o.BaseEndpoint = unreachable; o.RetryMaxAttempts = 1 })
	cfg.Streams = awstest.Streams(t, func(o *dynamodbstreams.Options) { o.BaseEndpoint = unreachable; o.RetryMaxAttempts = 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if eventsource.Run(ctx, cfg); ctx.Err() == nil {
		t.Error("it ended before its context")
	}
}

func TestAFunctionThatFailsIsAnError(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/Failing/") {
			w.Header().Set("X-Amz-Function-Error", "Unhandled") // with status 200, as Lambda responds
		}
		_, _ = io.WriteString(w, "out of luck")
	}))
	defer s.Close()
	invoke := eventsource.Lambda(lambda.New(lambda.Options{BaseEndpoint: &s.URL, Region: awstest.Region, Credentials: aws.AnonymousCredentials{}}))
	if response, err := invoke(t.Context(), "Good", []byte("{}")); err != nil || string(response) != "out of luck" {
		t.Errorf("the response is %q, %v", response, err)
	}
	const want = `function error (Unhandled): "out of luck"`
	if _, err := invoke(t.Context(), "Failing", []byte("{}")); err == nil || err.Error() != want {
		t.Errorf("error %v, not %s", err, want)
	}
}

// config reads a table's stream with one function, in batches of three.
func config(t *testing.T, table string, invoke eventsource.Invoke) eventsource.Config {
	t.Helper()
	return eventsource.Config{
		Tables: awstest.DynamoDB(t), Streams: awstest.Streams(t), Queues: awstest.SQS(t),
		Table: table, Readers: []eventsource.Reader{{Function: "reader", BatchSize: 3}},
		Invoke: invoke, Log: slog.New(slog.DiscardHandler),
	}
}

// run runs the event sources until the test ends.
func run(t *testing.T, cfg eventsource.Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { eventsource.Run(ctx, cfg) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// A function returns responses from a list, one per invocation; "error" stands for an error of the
// function. After the last, it reports success.
type function struct {
	responses []string
	events    chan []byte
}

func newFunction(responses ...string) *function {
	return &function{responses: responses, events: make(chan []byte, 100)}
}

func (f *function) invoke(_ context.Context, _ string, event []byte) ([]byte, error) {
	f.events <- event
	if len(f.responses) == 0 {
		return []byte(`{"state":{},"batchItemFailures":[]}`), nil
	}
	response := f.responses[0]
	f.responses = f.responses[1:]
	if response == "error" {
		return nil, errors.New("exit status 2")
	}
	return []byte(response), nil
}

// next returns the next event that the function gets.
func (f *function) next(t *testing.T) []byte {
	t.Helper()
	select {
	case event := <-f.events:
		return event
	case <-time.After(20 * time.Second):
		t.Fatal("the function was not invoked")
		return nil
	}
}

// isNotInvoked waits ten times as long as a reader pauses after an empty read.
func (f *function) isNotInvoked(t *testing.T) { t.Helper(); f.isNotInvokedFor(t, 300*time.Millisecond) }

func (f *function) isNotInvokedFor(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case event := <-f.events:
		t.Errorf("the function was invoked with %s", event)
	case <-time.After(d):
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// put writes an item with the attributes for each key.
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
