package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// A Receiver works off batches that Lambda's poller brings from the queue.
type Receiver struct {
	// Process works off one message. An error means that it is to come again;
	// order.Processor's Process says when that is.
	Process func(ctx context.Context, body []byte, now time.Time) error
	Now     func() time.Time
	Log     *slog.Logger
}

// margin is what is left of the function's time when a batch ends: enough to
// answer, since without an answer all of it would come again.
const margin = time.Second

// errUndone is logged for what was not finished in time.
var errUndone = errors.New("the function's time is nearly over")

// Handle works off the messages of a batch side by side, each under its own
// recover, and answers with those that are to come again; SQS deletes the others.
// What is not finished a second before the deadline comes again, too. The list
// is never null, which would mean that all is done. The error is always nil. See
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.
func (r Receiver) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
	}
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, err := range r.processAll(ctx, e.Records) {
		if err == nil {
			continue
		}
		message := e.Records[i]
		r.Log.ErrorContext(ctx, "a message is left to be delivered again",
			"message_id", message.MessageId, "order_id", orderID([]byte(message.Body)), "err", err)
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
	}
	return response, nil
}

// processAll returns the error of each message, when all have been worked off or
// the time is over. One that is still under way then may yet take effect, which
// its redelivery will find.
func (r Receiver) processAll(ctx context.Context, messages []events.SQSMessage) []error {
	type result struct {
		index int
		err   error
	}
	results := make(chan result, len(messages))
	outcome := make([]error, len(messages))
	for i, m := range messages {
		outcome[i] = errUndone
		go func() { results <- result{i, r.process(ctx, m)} }()
	}
	for range messages {
		select {
		case done := <-results:
			outcome[done.index] = done.err
		case <-ctx.Done():
			return outcome
		}
	}
	return outcome
}

// process works off one message; a panic is its error.
func (r Receiver) process(ctx context.Context, m events.SQSMessage) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return r.Process(ctx, []byte(m.Body), r.Now())
}
