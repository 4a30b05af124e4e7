package main

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/tools/eventsource"
)

type bridgeCommand struct {
	account
	Table          string `env:"ORDERS_TABLE" placeholder:"NAME" help:"The orders' table."`
	QueueURL       string `name:"queue-url" env:"ORDERS_QUEUE_URL" placeholder:"URL" help:"The queue."`
	LambdaEndpoint string `default:"http://127.0.0.1:3001" placeholder:"URL" help:"Where functions are invoked: sam local start-lambda."`
	Relay          string `default:"RelayFunction" placeholder:"NAME" help:"The function that gets the stream and sends messages."`
	Tally          string `default:"TallyFunction" placeholder:"NAME" help:"The function that gets the stream and counts."`
	Processor      string `default:"ProcessorFunction" placeholder:"NAME" help:"The function that gets the queue's messages."`
}

// Help is the part of the help that is longer than a line.
func (*bridgeCommand) Help() string {
	return `It is for a laptop, where nothing polls the stream and the queue. On AWS Lambda does, and two would be one too many.`
}

// Validate names every flag that makes no sense.
func (c *bridgeCommand) Validate() error {
	endpoint, err := url.Parse(c.LambdaEndpoint)
	return errors.Join(
		given("--table", "ORDERS_TABLE", c.Table),
		given("--queue-url", "ORDERS_QUEUE_URL", c.QueueURL),
		rule(err == nil && endpoint.Host != "", "--lambda-endpoint must be a URL, such as http://127.0.0.1:3001, not %q", c.LambdaEndpoint),
		rule(c.Relay != "", "--relay must be the name of a function"),
		rule(c.Tally != "", "--tally must be the name of a function"),
		rule(c.Processor != "", "--processor must be the name of a function"),
	)
}

// Run polls and invokes until the context ends, and then says how often.
func (c *bridgeCommand) Run(ctx context.Context, out *console) error {
	cfg, err := c.config(ctx)
	if err != nil {
		return err
	}
	db := dynamodb.NewFromConfig(cfg)
	if _, err := streamARN(ctx, db, c.Table); err != nil {
		return err // better now than as a line in the log, again and again
	}
	invoked := invocations{
		through: eventsource.Lambda(lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.BaseEndpoint = &c.LambdaEndpoint })),
		done:    map[string]int{}, failed: map[string]int{},
	}
	out.say("polling table %s and queue %s, invoking at %s; Ctrl-C ends it", c.Table, c.QueueURL, c.LambdaEndpoint)
	err = eventsource.Run(ctx, eventsource.Config{
		Tables: db, Streams: dynamodbstreams.NewFromConfig(cfg), Queues: sqs.NewFromConfig(cfg),
		Table: c.Table, KeyPrefix: dynamostore.OrderPrefix,
		Readers:  eventsource.Readers(c.Relay, c.Tally),
		QueueURL: c.QueueURL, Worker: c.Processor, Pollers: pollers,
		Invoke: invoked.invoke, Now: time.Now, Log: slog.New(slog.NewTextHandler(out.stderr, nil)),
	})
	for _, function := range []string{c.Relay, c.Tally, c.Processor} {
		out.say("%s: %d batches done, %d failed", function, invoked.done[function], invoked.failed[function])
	}
	return err
}

// pollers is how many batches of messages are under way at a time. SAM CLI has one
// container for a function, which takes one event after the other.
const pollers = 1

// invocations invokes functions and counts.
type invocations struct {
	through eventsource.Invoke

	mu           sync.Mutex
	done, failed map[string]int // by function
}

// invoke hands an event to a function.
func (i *invocations) invoke(ctx context.Context, function string, event []byte) ([]byte, error) {
	answer, err := i.through(ctx, function, event)
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case err == nil:
		i.done[function]++
	case ctx.Err() == nil: // what is broken off at the end has not failed
		i.failed[function]++
	}
	return answer, err
}
