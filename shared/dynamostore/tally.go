package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithytime "github.com/aws/smithy-go/time"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// A Tallier adds the changes in the stream to the tally, each once. One transaction adds a whole
// batch and moves the checkpoint of its shard from before the first record to the last. When a
// batch comes again, whole or in part, the checkpoint shows which records are counted.
type Tallier struct {
	Client TransactionClient
	Table  string
	// Now is the clock by which checkpoints expire.
	Now func() time.Time
	Log *slog.Logger
}

// A TransactionClient is the part of *dynamodb.Client that writes to the tally.
type TransactionClient interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// A WindowResponse is the response to a batch of a tumbling window:
// {"state":{},"batchItemFailures":[]}, with the record to go on from if a part of the batch is
// counted. The window has no state, and a batch of which nothing is counted is an error. Lambda
// takes a response without these fields for a failure; see
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html.
type WindowResponse struct {
	State             struct{}                          `json:"state"`
	BatchItemFailures []events.DynamoDBBatchItemFailure `json:"batchItemFailures"`
}

// Handle counts one batch, up to the first record of an order that cannot be read: the shard waits
// there until code can read it, or an operator has it skipped (see Audit.Skip). Lambda repeats the
// batch from that record on, or the whole batch after an error: when the first record that is left
// cannot be read, when the event names no shard, or when the write fails in a bounded number of
// attempts. Calling it again with the same batch is safe.
func (t Tallier) Handle(ctx context.Context, e events.DynamoDBTimeWindowEvent) (WindowResponse, error) {
	// An empty list says that no record has failed. Null would not.
	response := WindowResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	counts, err := decodeCounts(e.Records)
	if err != nil || len(counts) == 0 {
		return response, err
	}
	if e.ShardID == "" {
		return WindowResponse{}, errors.New("the event names no shard: its mapping has no tumbling window")
	}
	readable, blocked, err := t.untilUnreadable(ctx, e.ShardID, counts)
	if err == nil {
		err = t.count(ctx, e.ShardID, readable)
	}
	if err != nil || blocked == nil {
		return response, err
	}
	t.logBlocked(ctx, e.ShardID, blocked)
	if len(readable) == 0 {
		return response, blocked.unreadable
	}
	response.BatchItemFailures = append(response.BatchItemFailures,
		events.DynamoDBBatchItemFailure{ItemIdentifier: blocked.record.Change.SequenceNumber})
	return response, nil
}

// A count is what one record adds to the tally.
type count struct {
	sequence   string // padded, so that the texts sort like the numbers
	tally      order.Tally
	unreadable error // why the record cannot be counted
	record     events.DynamoDBEventRecord
}

// decodeCounts reads the records of orders, sorted by sequence number, each once.
func decodeCounts(records []events.DynamoDBEventRecord) ([]count, error) {
	counts := make([]count, 0, len(records))
	for _, r := range records {
		if !isOrder(r) {
			continue
		}
		sequence, err := padSequence(r.Change.SequenceNumber)
		if err != nil {
			return nil, err
		}
		change, err := decodeChange(r)
		counts = append(counts, count{sequence, change.Tally(), err, r})
	}
	slices.SortFunc(counts, func(a, b count) int { return strings.Compare(a.sequence, b.sequence) })
	return slices.CompactFunc(counts, func(a, b count) bool { return a.sequence == b.sequence }), nil
}

// sequenceDigits is the length of stored sequence numbers. Those of DynamoDB have at most 40
// digits.
const sequenceDigits = 64

func padSequence(sequence string) (string, error) {
	if sequence == "" || len(sequence) > sequenceDigits || strings.Trim(sequence, "0123456789") != "" {
		return "", fmt.Errorf("parse sequence number %.100q: invalid syntax", sequence)
	}
	return strings.Repeat("0", sequenceDigits-len(sequence)) + sequence, nil
}

// count adds the counts that no earlier call has added. A refusal means that the checkpoint has
// reached the first of them, so each round drops at least one.
func (t Tallier) count(ctx context.Context, shard string, counts []count) error {
	for len(counts) > 0 {
		err := transact(ctx, t.Client, shard, t.transaction(shard, counts))
		reached, ok := checkpointReached(err)
		if !ok {
			return awsclient.WrapError("tally changes of "+shard, err)
		}
		t.Log.InfoContext(ctx, "changes are counted already", "shard", shard, "up_to", reached)
		counts = slices.DeleteFunc(counts, func(c count) bool { return c.sequence <= reached })
	}
	return nil
}

// checkpointTTL is how long a checkpoint is kept: twice as long as the stream keeps its records.
const checkpointTTL = 48 * time.Hour

// transaction adds all counts, on condition that the shard's checkpoint is before the first.
func (t Tallier) transaction(shard string, counts []count) []types.TransactWriteItem {
	var sum order.Tally
	for _, c := range counts {
		sum.Add(c.tally)
	}
	checkpoint := key(checkpoints, shard)
	checkpoint["sequence"] = text(counts[len(counts)-1].sequence)
	checkpoint["expires_at"] = number(t.Now().Add(checkpointTTL).Unix())
	return []types.TransactWriteItem{
		newTallyUpdate(t.Table, tallySort(shard), sum),
		{Put: &types.Put{
			TableName:                           aws.String(t.Table),
			Item:                                checkpoint,
			ConditionExpression:                 aws.String("attribute_not_exists(#sequence) OR #sequence < :first"),
			ExpressionAttributeNames:            names("sequence"),
			ExpressionAttributeValues:           item{":first": text(counts[0].sequence)},
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}},
	}
}

// checkpointReached returns the checkpoint of a transaction that was refused because of it.
func checkpointReached(err error) (sequence string, ok bool) {
	canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return "", false
	}
	for _, reason := range canceled.CancellationReasons {
		if aws.ToString(reason.Code) == "ConditionalCheckFailed" {
			sequence, _ = newItemLookup(reason.Item)("sequence")
		}
	}
	return sequence, sequence != ""
}

// Metrics implements order.MetricsReader: one strongly consistent Query of the tally items, whose
// sum it returns. It lags behind the table as the Tallier does. If one of the items cannot be read,
// the error is ErrDamaged: a sum without it would be wrong.
func (s *Store) Metrics(ctx context.Context) (order.Tally, error) {
	found, err := s.cfg.Client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 aws.String(s.cfg.Table),
		KeyConditionExpression:    aws.String("#pk = :tally"),
		ExpressionAttributeNames:  names("pk"),
		ExpressionAttributeValues: item{":tally": text(tallyKey)},
		ConsistentRead:            aws.Bool(true),
	})
	if err != nil {
		return order.Tally{}, awsclient.WrapError("read the tally", err)
	}
	var sum order.Tally
	for _, it := range found.Items {
		part, err := decodeTally(it)
		if err != nil {
			sort, _ := newItemLookup(it)("sk")
			return order.Tally{}, fmt.Errorf("read the tally: %w %s %s: %w", ErrDamaged, tallyKey, sort, err)
		}
		sum.Add(part)
	}
	return sum, nil
}

// tallies is how many tally items the shards of the stream share, so that their transactions seldom
// conflict. All are on one page of a query.
const tallies = 16

func tallySort(shard string) string { return fmt.Sprintf("%02d", hash(shard)%tallies) }

var statusCounts = [...]string{order.Pending: "pending", order.Processing: "processing", order.Completed: "completed"}

// decodeTally reads one tally item. Missing counters are 0, and unknown ones are ignored, so that a
// later version can count more than this one.
func decodeTally(it item) (t order.Tally, err error) {
	_, t.Inexact = it[inexactSince]
	counters := map[string]*int64{"timed_orders": &t.CompletedCount, "timed_ms": &t.DurationSumMillis}
	for s, name := range statusCounts {
		counters[name] = &t.ByStatus[s]
	}
	for name, n := range counters {
		if _, ok := it[name]; !ok {
			continue
		}
		if *n, err = decodeInteger(it, name); err != nil {
			return order.Tally{}, err
		}
	}
	return t, nil
}

// newTallyUpdate is the part of a transaction that adds t to one tally item, and creates it if
// necessary. The attribute total is for people who look at the table; nothing reads it.
func newTallyUpdate(table, sort string, t order.Tally) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: aws.String(table),
		Key:       key(tallyKey, sort),
		UpdateExpression: aws.String("ADD #total :total, #pending :pending, #processing :processing, " +
			"#completed :completed, #timed_orders :timed_orders, #timed_ms :timed_ms"),
		ExpressionAttributeNames: names("total", "pending", "processing", "completed", "timed_orders", "timed_ms"),
		ExpressionAttributeValues: item{
			":total":        number(t.Total()),
			":pending":      number(t.ByStatus[order.Pending]),
			":processing":   number(t.ByStatus[order.Processing]),
			":completed":    number(t.ByStatus[order.Completed]),
			":timed_orders": number(t.CompletedCount),
			":timed_ms":     number(t.DurationSumMillis),
		},
	}}
}

// maxTransactionAttempts bounds the attempts at a transaction that conflicts with others: they end
// after about five seconds.
const maxTransactionAttempts = 10

// transact makes one transaction, and retries it after a conflict with another one, which the SDK
// does not. name identifies the caller among those it may conflict with.
//
// The SDK gives each call a token, and repeats it in the call's retries, so that DynamoDB does not
// add twice when a response is lost. See
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
func transact(ctx context.Context, client TransactionClient, name string, items []types.TransactWriteItem) (err error) {
	for attempt := range maxTransactionAttempts {
		if attempt > 0 {
			if err := smithytime.SleepWithContext(ctx, backoff(name, attempt-1)); err != nil {
				return err
			}
		}
		_, err = client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		if !isConflict(err) {
			return err
		}
	}
	return err
}

// isConflict reports whether a transaction was canceled only because of another one, or of
// throttling.
func isConflict(err error) bool {
	canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
	return ok && !slices.ContainsFunc(canceled.CancellationReasons, func(reason types.CancellationReason) bool {
		switch aws.ToString(reason.Code) {
		case "", "None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			return false
		default:
			return true
		}
	})
}

// backoff is the wait after an attempt: at most 50 ms after the first, and 800 ms later. Callers
// that conflict have different names, so a hash of the name is enough jitter.
func backoff(name string, attempt int) time.Duration {
	longest := 50 * time.Millisecond << min(attempt, 4)
	return time.Duration(hash(strconv.Itoa(attempt)+name)) % longest
}
