package dynamostream

import (
	"context"
	"encoding/json/v2"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// A Relay puts the messages that follow from each change in the stream on the queue. The stream is
// the outbox: no message is sent for a write that did not happen, and none is forgotten for a write
// that did. A message may be sent twice; processing is idempotent.
type Relay struct {
	Queue order.Queue
	// Fulfilment says how orders in Processing are completed.
	Fulfilment order.Fulfilment
	Log        *slog.Logger
}

// deadlineMargin is how long before its deadline the relay stops, to report its progress: Lambda
// repeats the whole batch of a function that runs into its deadline.
const deadlineMargin = time.Second

// Handle sends the messages of one batch. The response has the sequence number of the first record
// whose message is not on the queue. Lambda repeats the batch from this record on; see
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html.
//
// A record that cannot be read would block its shard until it expires. Its number and key go to the
// dead-letter queue, without its images, and the shard goes on.
func (r Relay) Handle(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	ctx, cancel := awsclient.BeforeDeadline(ctx, deadlineMargin)
	defer cancel()
	// An empty list says that no record has failed. Null would not.
	response := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	done, err := r.relay(ctx, e.Records)
	if err != nil {
		sequence := e.Records[done].Change.SequenceNumber
		r.Log.ErrorContext(ctx, "the relay stops; Lambda repeats the rest of the batch", "sequence_number", sequence, "err", err)
		response.BatchItemFailures = append(response.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: sequence})
	}
	return response, nil
}

// relay returns how many records are done, and the error that stopped it.
func (r Relay) relay(ctx context.Context, records []events.DynamoDBEventRecord) (done int, err error) {
	var messages []order.Message
	var from []int                // the record that each message follows from
	unreadable := map[int]error{} // by record
	for i, record := range records {
		if !IsOrder(record) {
			continue
		}
		change, err := DecodeChange(record)
		if err != nil {
			unreadable[i] = err
		}
		for _, m := range change.FollowUps(r.Fulfilment) {
			messages, from = append(messages, m), append(from, i)
		}
	}
	done = len(records)
	if len(messages) > 0 {
		if err = r.Queue.Send(ctx, messages...); err != nil {
			done = from[firstUnsent(err)]
		}
	}
	// Unreadable records after the first unsent message come again, and are dead-lettered then.
	for i := range done {
		if reason, ok := unreadable[i]; ok {
			if err := r.deadLetter(ctx, records[i], reason); err != nil {
				return i, err
			}
		}
	}
	return done, err
}

// firstUnsent is the first message that may not be on the queue. An error that does not name it may
// be about all messages.
func firstUnsent(err error) int {
	if unsent, ok := errors.AsType[*order.UnsentError](err); ok {
		return unsent.First
	}
	return 0
}

// A deadRecord is what the dead-letter queue keeps of a record that cannot be read: enough to find
// its item, and no text of a client.
type deadRecord struct {
	EventID        string            `json:"event_id"`
	SequenceNumber string            `json:"sequence_number"`
	Keys           map[string]string `json:"keys"`
}

func (r Relay) deadLetter(ctx context.Context, record events.DynamoDBEventRecord, reason error) error {
	dead := deadRecord{EventID: record.EventID, SequenceNumber: record.Change.SequenceNumber, Keys: map[string]string{}}
	for _, name := range []string{"pk", "sk"} {
		dead.Keys[name], _ = newImageLookup(record.Change.Keys)(name)
	}
	body, err := json.Marshal(dead, json.Deterministic(true))
	if err != nil {
		return err
	}
	return r.Queue.DeadLetter(ctx, body, reason)
}
