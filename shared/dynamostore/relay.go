package dynamostore

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
)

// A Relay puts on the queue what follows from each change in the stream. The stream
// is the outbox: nothing is sent for a write that did not happen, and nothing is
// forgotten for one that did. A message may be sent twice; processing is idempotent.
type Relay struct {
	Queue order.Queue
	// ProcessingTime is how long an order stays in Processing.
	ProcessingTime time.Duration
	Log            *slog.Logger
}

// answerReserve is how long before its deadline the relay stops, to answer how far it
// got: a batch that runs into the deadline is repeated whole.
const answerReserve = time.Second

// Handle sends the messages of one batch. It answers the sequence number of the
// first record whose message is not on the queue, from which on Lambda repeats the
// batch; see https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html.
//
// A record that cannot be read would hold up its shard until it expires. It goes to
// the dead-letter queue, by its number and key and without its images, and the shard goes on.
func (r Relay) Handle(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerReserve))
		defer cancel()
	}
	// An empty list, unlike null, says that all went well.
	answer := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	done, err := r.relay(ctx, e.Records)
	if err != nil {
		sequence := e.Records[done].Change.SequenceNumber
		r.Log.ErrorContext(ctx, "the relay stops; the rest of the batch comes again", "sequence_number", sequence, "err", err)
		answer.BatchItemFailures = append(answer.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: sequence})
	}
	return answer, nil
}

// relay works off records and returns how many of them are done with, and why no more.
func (r Relay) relay(ctx context.Context, records []events.DynamoDBEventRecord) (done int, err error) {
	var messages []order.Message
	var from []int                // the record that each message follows from
	unreadable := map[int]error{} // by record
	for i, record := range records {
		if !isOrder(record) {
			continue
		}
		change, err := changeOf(record)
		if err != nil {
			unreadable[i] = err
		}
		for _, m := range change.FollowUps(r.ProcessingTime) {
			messages, from = append(messages, m), append(from, i)
		}
	}
	done = len(records)
	if len(messages) > 0 {
		if err = r.Queue.Send(ctx, messages...); err != nil {
			done = from[firstUnsent(err)]
		}
	}
	// Those behind the first unsent message come again, and are buried then.
	for i := range done {
		if reason, ok := unreadable[i]; ok {
			if err := r.bury(ctx, records[i], reason); err != nil {
				return i, err
			}
		}
	}
	return done, err
}

// firstUnsent is the first message that may not be on the queue. A queue that does
// not say leaves open all of them.
func firstUnsent(err error) int {
	if unsent, ok := errors.AsType[*order.UnsentError](err); ok {
		return unsent.First
	}
	return 0
}

// A deadRecord is what the dead-letter queue keeps of a record that cannot be read:
// enough to find its item, and nothing that a client wrote.
type deadRecord struct {
	EventID        string            `json:"event_id"`
	SequenceNumber string            `json:"sequence_number"`
	Keys           map[string]string `json:"keys"`
}

func (r Relay) bury(ctx context.Context, record events.DynamoDBEventRecord, reason error) error {
	dead := deadRecord{EventID: record.EventID, SequenceNumber: record.Change.SequenceNumber, Keys: map[string]string{}}
	for _, name := range []string{"pk", "sk"} {
		dead.Keys[name], _ = textsOfImage(record.Change.Keys)(name)
	}
	body, err := json.Marshal(dead, json.Deterministic(true))
	if err != nil {
		return err
	}
	return r.Queue.DeadLetter(ctx, body, reason)
}

// isOrder reports whether a record of the stream is about an order, by its key. The
// mappings' filters let no other through, but nothing here depends on them.
func isOrder(r events.DynamoDBEventRecord) bool {
	key := textsOfImage(r.Change.Keys)
	pk, _ := key("pk")
	sk, _ := key("sk")
	return strings.HasPrefix(pk, OrderPrefix) && sk == orderSort
}

// changeOf reads what a write did to an order: its id, statuses and times, which are
// all that order.Change.FollowUps and order.Change.Tally ask for.
func changeOf(r events.DynamoDBEventRecord) (c order.Change, err error) {
	switch events.DynamoDBOperationType(r.EventName) {
	case events.DynamoDBOperationTypeInsert:
		c.New, err = lifeOfImage(r, r.Change.NewImage)
	case events.DynamoDBOperationTypeModify:
		if c.Old, err = lifeOfImage(r, r.Change.OldImage); err == nil {
			c.New, err = lifeOfImage(r, r.Change.NewImage)
		}
	case events.DynamoDBOperationTypeRemove:
		c.Old, err = lifeOfImage(r, r.Change.OldImage)
	default:
		err = errors.New("the event is neither INSERT nor MODIFY nor REMOVE")
	}
	if err != nil {
		return order.Change{}, fmt.Errorf("read stream record %s: %w", r.Change.SequenceNumber, err)
	}
	return c, nil
}

func lifeOfImage(r events.DynamoDBEventRecord, image map[string]events.DynamoDBAttributeValue) (*order.Order, error) {
	o, err := life(textsOfImage(image))
	if err != nil {
		return nil, err
	}
	if pk, _ := textsOfImage(r.Change.Keys)("pk"); pk != OrderPrefix+string(o.ID) {
		return nil, fmt.Errorf("the image is of order %s, the key is not", o.ID)
	}
	return &o, nil
}

func textsOfImage(image map[string]events.DynamoDBAttributeValue) texts {
	return func(name string) (string, bool) {
		value, there := image[name]
		if !there || value.DataType() != events.DataTypeString {
			return "", there
		}
		return value.String(), true
	}
}
