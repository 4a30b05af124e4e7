package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/awsclient"
)

// A Receiver processes the batches that Lambda's poller delivers from the queue.
type Receiver struct {
	// Process processes one message. After an error, SQS delivers the message again;
	// order.Processor.Process says when it returns one.
	Process func(ctx context.Context, body []byte, now time.Time) error
	// Done is called, if it is set, once a batch is processed, before the response.
	Done func(context.Context)
	Now  func() time.Time
	Log  *slog.Logger
}

// deadlineMargin is how long before its deadline the receiver responds: without a response, SQS
// would deliver the whole batch again.
const deadlineMargin = time.Second

// errUnfinished is logged for a message that was not finished before the deadline.
var errUnfinished = errors.New("the function's time is nearly over")

// Handle processes the messages of a batch concurrently, each under its own recover. The response
// names the messages that SQS is to deliver again: those that failed, and those that are unfinished
// a second before the deadline. SQS deletes the others. The list is never null, which would say
// that all have succeeded. The error is always nil. See
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.
func (r Receiver) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, cancel := awsclient.BeforeDeadline(ctx, deadlineMargin)
	defer cancel()
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, err := range r.processAll(ctx, e.Records) {
		if err == nil {
			continue
		}
		message := e.Records[i]
		r.Log.ErrorContext(traced(ctx, message), "a message failed and will be delivered again",
			"message_id", message.MessageId, "order_id", parseOrderID([]byte(message.Body)), "err", err)
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})
	}
	if r.Done != nil {
		r.Done(ctx)
	}
	return response, nil
}

// processAll returns the error of each message, when all are processed or ctx ends. A message that
// is still being processed then may take effect later; its redelivery will find that done.
func (r Receiver) processAll(ctx context.Context, messages []events.SQSMessage) []error {
	type result struct {
		index int
		err   error
	}
	results := make(chan result, len(messages))
	errs := make([]error, len(messages))
	for i, m := range messages {
		errs[i] = errUnfinished
		go func() { results <- result{i, r.process(ctx, m)} }()
	}
	for range messages {
		select {
		case done := <-results:
			errs[done.index] = done.err
		case <-ctx.Done():
			return errs
		}
	}
	return errs
}

// process processes one message. A panic becomes an error.
func (r Receiver) process(ctx context.Context, m events.SQSMessage) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return r.Process(traced(ctx, m), []byte(m.Body), r.Now())
}

// traced returns the context for a message. SQS keeps the tracing header of the request that has sent it:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html.
func traced(ctx context.Context, m events.SQSMessage) context.Context {
	return awsclient.WithMessageTrace(ctx, m.Attributes["AWSTraceHeader"])
}
