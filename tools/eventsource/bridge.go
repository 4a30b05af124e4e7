// Package eventsource stands for Lambda's event source mappings where there are none:
// on a laptop and in tests. It reads the stream of the table and the queue, wraps
// what it finds as the events that Lambda would send, invokes functions with
// them, and heeds what they answer:
//
//   - a stream's records come to a function in order, shard by shard; a batch that
//     fails comes again, from the first record named in batchItemFailures on, until
//     it succeeds;
//   - a queue's messages are deleted when they are done; the others come again when
//     their visibility timeout is over.
//
// See https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html and
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html. It remembers nothing:
// when it starts again it reads the stream from the beginning, which functions
// must bear on AWS, too. It has no batching windows and gives nothing up.
//
// How functions are invoked is left to the caller; Lambda is one way. Whoever is a mapping
// by itself, as tests are that go a step at a time, has Batch and Messages for what
// Lambda would send and how it would read the answer.
package eventsource

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Invoke runs a function with an event and returns its answer, both JSON. An
// error means that the function failed: it returned an error, panicked or ran
// out of time. What is invoked may be invoked again with the same event.
type Invoke func(ctx context.Context, function string, event []byte) ([]byte, error)

// A TableClient is the part of *dynamodb.Client that finds a table's stream.
type TableClient interface {
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
}

// A StreamsClient is the part of *dynamodbstreams.Client that reads a stream.
type StreamsClient interface {
	DescribeStream(context.Context, *dynamodbstreams.DescribeStreamInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error)
	GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}

// A QueueClient is the part of *sqs.Client that polls a queue.
type QueueClient interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

// A Config says what is read and who is invoked.
type Config struct {
	Tables  TableClient
	Streams StreamsClient
	Queues  QueueClient

	// Table is the name of the table whose stream is read, "" for none.
	Table string
	// KeyPrefix lets records through whose attribute pk begins with it, as the
	// template's filter does.
	KeyPrefix string
	// Readers get the stream, each all of it.
	Readers []Reader

	// QueueURL is the queue that is polled, "" for none.
	QueueURL string
	// Worker is the function that gets the queue's messages, up to ProcessorBatch at a time.
	Worker string
	// Pollers is how many batches of messages are under way at a time; 0 is 1.
	Pollers int

	Invoke Invoke
	Now    func() time.Time
	// Log is told of functions and engines that fail.
	Log *slog.Logger
}

// A Reader is a function that gets the records of the stream.
type Reader struct {
	Function string
	// BatchSize is how many records an event has at most, 1 to 1,000; 0 is 100.
	BatchSize int
	// Window is the length of the function's tumbling window, 0 for none. With a
	// window an event names its shard, window and state, and a window ends with
	// an event without records.
	Window time.Duration
}

// Run polls until ctx ends, and then returns nil. Whatever else fails is logged
// and tried again. An error means that cfg makes no sense.
func Run(ctx context.Context, cfg Config) error {
	for _, r := range cfg.Readers {
		if r.BatchSize < 0 || r.BatchSize > 1000 {
			return errors.New("a batch of records has 1 to 1,000")
		}
	}
	var all sync.WaitGroup
	defer all.Wait()
	if cfg.Table != "" {
		for _, r := range cfg.Readers {
			if r.BatchSize == 0 {
				r.BatchSize = 100
			}
			all.Go(func() { follow(ctx, cfg, r) })
		}
	}
	if cfg.QueueURL != "" {
		for range max(1, cfg.Pollers) {
			all.Go(func() { poll(ctx, cfg) })
		}
	}
	return nil
}

const (
	// idle is the pause when a stream has nothing new.
	idle = 30 * time.Millisecond
	// A function or an engine that fails is tried again after a pause that
	// doubles up to the longest.
	firstPause, longestPause = 50 * time.Millisecond, time.Second
)

// until tries again until it succeeds. It returns false when ctx ends before.
func until(ctx context.Context, log *slog.Logger, doing string, try func() error) bool {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		log.ErrorContext(ctx, doing+" failed and will be tried again", "err", err, "after", pause)
		wait(ctx, pause)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// region is that of an ARN.
func region(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) > 3 {
		return parts[3]
	}
	return ""
}
