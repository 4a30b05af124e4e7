package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/tools/eventsource"
)

// runEventSource polls a table's stream and a queue and invokes functions until ctx ends, and then
// says how often. It is for functions, table and queue that something else has started: `local up`
// does the same for its own. AWS settings are found as the AWS CLI finds them.
func runEventSource(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("local eventsource", flag.ExitOnError)
	table := flags.String("table", os.Getenv("ORDERS_TABLE"), "the orders' table ($ORDERS_TABLE)")
	queueURL := flags.String("queue-url", os.Getenv("ORDERS_QUEUE_URL"), "the queue ($ORDERS_QUEUE_URL)")
	endpoint := flags.String("lambda-endpoint", "http://127.0.0.1:3001", "where functions are invoked")
	relay := flags.String("relay", "RelayFunction", "the function that gets the stream and sends messages")
	tally := flags.String("tally", "TallyFunction", "the function that gets the stream and counts")
	processor := flags.String("processor", "ProcessorFunction", "the function that gets the queue's messages")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *table == "" || *queueURL == "" {
		return errors.New("eventsource needs --table (ORDERS_TABLE) and --queue-url (ORDERS_QUEUE_URL)")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("read the AWS configuration: %w", err)
	}
	db := dynamodb.NewFromConfig(cfg)
	// Without a table the event source would only log and retry, forever.
	if _, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: table}); err != nil {
		return fmt.Errorf("describe the table: %w", err)
	}
	counter := invocationCounter{
		next: eventsource.Lambda(lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.BaseEndpoint = endpoint })),
		done: map[string]int{}, failed: map[string]int{},
	}
	fmt.Fprintf(stderr, "polling table %s and queue %s, invoking at %s; Ctrl-C ends it\n", *table, *queueURL, *endpoint)
	sources := newEventSources(cfg, *table, *queueURL, stderr)
	sources.Readers, sources.Worker, sources.Invoke = eventsource.Readers(*relay, *tally), *processor, counter.invoke
	eventsource.Run(ctx, sources)
	for _, function := range []string{*relay, *tally, *processor} {
		fmt.Fprintf(stderr, "%s: %d batches done, %d failed\n", function, counter.done[function], counter.failed[function])
	}
	return nil
}

// newEventSources configures the event sources of a table and a queue, for the functions of the
// template, which Invoke is to call. It logs to w.
func newEventSources(cfg aws.Config, table, queueURL string, w io.Writer) eventsource.Config {
	return eventsource.Config{
		Tables:    dynamodb.NewFromConfig(cfg),
		Streams:   dynamodbstreams.NewFromConfig(cfg),
		Queues:    sqs.NewFromConfig(cfg),
		Table:     table,
		KeyPrefix: dynamostore.OrderPrefix,
		Readers:   eventsource.Readers("RelayFunction", "TallyFunction"),
		QueueURL:  queueURL,
		Worker:    "ProcessorFunction",
		Log:       slog.New(slog.NewTextHandler(w, nil)),
	}
}

// An invocationCounter invokes functions and counts how that ended.
type invocationCounter struct {
	next eventsource.Invoke

	mu           sync.Mutex
	done, failed map[string]int // by function
}

func (c *invocationCounter) invoke(ctx context.Context, function string, event []byte) ([]byte, error) {
	response, err := c.next(ctx, function, event)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.done[function]++
	case ctx.Err() == nil: // an invocation that Ctrl-C cancels has not failed
		c.failed[function]++
	}
	return response, err
}
