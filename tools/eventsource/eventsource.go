// Package eventsource emulates Lambda's event source mappings, for laptops and tests. It reads the
// stream of the table and the queue, builds the events that Lambda would send, invokes functions
// with them, and handles their responses:
//
//   - A function gets the records of a stream in order, shard by shard. A batch that fails is sent
//     again, from the first record in batchItemFailures, until it succeeds.
//   - Messages of a queue that the function has handled are deleted. The others are received again
//     after their visibility timeout.
//
// See https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html and
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
//
// It leaves out batching windows, the state and the last event of a tumbling window, limits on retries and on the age of records, on-failure
// destinations, splitting of batches, parallelization, and filters other than a prefix of the
// partition key. It stores no position: after a restart it reads the stream from the beginning,
// which functions must tolerate on AWS, too.
//
// The caller says how to invoke a function; Lambda is one way. Tests that go step by step use Batch
// and Messages directly: they build events and interpret responses.
package eventsource

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Properties of the event source mappings in template.yaml; a test compares them.
const (
	// The maximum number of records or messages in an event.
	RelayBatch     = 100
	TallyBatch     = 1000
	ProcessorBatch = 10

	// TallyWindow is the length of the tally's tumbling window.
	TallyWindow = 900 * time.Second
)

// Readers returns the readers of the stream in template.yaml, for the names of the relay and the
// tally function.
func Readers(relay, tally string) []Reader {
	return []Reader{
		{Function: relay, BatchSize: RelayBatch},
		{Function: tally, BatchSize: TallyBatch, Window: TallyWindow},
	}
}

// Invoke runs a function with an event and returns its response, both as JSON. An error means that
// the function failed: it returned an error, panicked or timed out. Invoke may be called again with
// the same event.
type Invoke func(ctx context.Context, function string, event []byte) ([]byte, error)

// Lambda invokes functions through Lambda or an emulator of it. Its response has status 200 also when
// a function fails; that becomes an error here.
func Lambda(client *lambda.Client) Invoke {
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		output, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: event})
		if err != nil {
			return nil, fmt.Errorf("invoke %s: %w", function, err)
		}
		if output.FunctionError != nil {
			return nil, fmt.Errorf("function error (%s): %.1000q", *output.FunctionError, output.Payload)
		}
		return output.Payload, nil
	}
}

// A StreamsClient is the part of *dynamodbstreams.Client that reads a stream.
type StreamsClient interface {
	DescribeStream(context.Context, *dynamodbstreams.DescribeStreamInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error)
	GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}

// A Config says what to read and which functions to invoke.
type Config struct {
	Tables  *dynamodb.Client
	Streams StreamsClient
	Queues  *sqs.Client

	// Table is the table whose stream is read, "" for none.
	Table string
	// KeyPrefix is the mapping's filter: functions get records whose attribute pk begins with it.
	KeyPrefix string
	// Readers are the functions that get the stream. Each gets all of it.
	Readers []Reader

	// QueueURL is the queue that is polled, "" for none.
	QueueURL string
	// Worker is the function that gets the messages, at most ProcessorBatch at a time.
	Worker string
	// Pollers is the number of batches of messages in flight; 0 means 1.
	Pollers int

	Invoke Invoke
	// Log gets the errors of functions and services.
	Log *slog.Logger
}

// A Reader is a function that gets the records of the stream.
type Reader struct {
	Function  string
	BatchSize int // the maximum number of records in an event, 1 to 1,000
	// Window is the length of the function's tumbling window, 0 for none. With a window, an event
	// has the shard and the window.
	Window time.Duration
}

// Run polls until ctx ends. Errors of functions and services are logged and retried.
func Run(ctx context.Context, cfg Config) {
	var all sync.WaitGroup
	defer all.Wait()
	if cfg.Table != "" {
		for _, r := range cfg.Readers {
			all.Go(func() { consumeStream(ctx, cfg, r) })
		}
	}
	if cfg.QueueURL != "" {
		for range max(1, cfg.Pollers) {
			all.Go(func() { pollQueue(ctx, cfg) })
		}
	}
}

// The pause before a retry doubles from the first to the longest.
const firstPause, longestPause = 50 * time.Millisecond, time.Second

// retry calls try until it succeeds. It returns false if ctx ends before.
func retry(ctx context.Context, log *slog.Logger, operation string, try func() error) bool {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		log.ErrorContext(ctx, operation+" failed, will retry", "err", err, "after", pause)
		sleep(ctx, pause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// parseResponse reads a function's response as Lambda does: without a response, or without a list of
// failures, all items are handled; with an invalid response or an unknown identifier, none is. It
// returns the indices of the failed items, given the identifiers of all, and whether there is a state.
// See https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html.
func parseResponse(text []byte, identifiers []string) (failed []int, hasState bool, err error) {
	var r struct {
		State             map[string]string `json:"state"`
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, false, fmt.Errorf("parse the function's response: %w", err)
		}
	}
	for _, f := range r.BatchItemFailures {
		i := slices.Index(identifiers, f.ItemIdentifier)
		if i < 0 {
			return nil, false, fmt.Errorf("batchItemFailures has %q, which is not in the batch", f.ItemIdentifier)
		}
		failed = append(failed, i)
	}
	return failed, r.State != nil, nil
}

// region returns the region in an ARN, "" if there is none.
func region(text string) string {
	parsed, _ := arn.Parse(text)
	return parsed.Region
}
