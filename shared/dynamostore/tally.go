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

	"orders/shared/awsclient"
	"orders/shared/order"
)

// A Tallier adds what the stream shows to the tally, each change once. All of a
// batch is one transaction, which also moves the checkpoint of the batch's shard from
// below the first record to the last. A batch that is repeated, whole or in part, finds
// the checkpoint where it left it, and leaves out what is counted.
type Tallier struct {
	Client TransactionClient
	Table  string
	// Now is the clock by which checkpoints expire.
	Now func() time.Time
	Log *slog.Logger
}

// A WindowResponse is the answer to a batch of a tumbling window. It has one value,
// {"state":{},"batchItemFailures":[]}: nothing is kept in the window's state, and a
// batch that is not counted is an error. Lambda takes an answer without these for a failure; see
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html.
type WindowResponse struct {
	State             struct{}    `json:"state"`
	BatchItemFailures [0]struct{} `json:"batchItemFailures"`
}

// Handle counts one batch. It returns an error, and Lambda repeats the batch, when
// the event names no shard, when a record of an order cannot be read (better that
// the metrics stop, and an alarm rings, than that they drift), and when
// the transaction does not succeed within a bounded number of attempts. Handling a
// batch again is safe.
func (t Tallier) Handle(ctx context.Context, e events.DynamoDBTimeWindowEvent) (WindowResponse, error) {
	counts, err := countsOf(e.Records)
	if err == nil && len(counts) > 0 {
		if e.ShardID == "" {
			return WindowResponse{}, errors.New("the event names no shard: its mapping has no tumbling window")
		}
		err = t.count(ctx, e.ShardID, counts)
	}
	return WindowResponse{}, err
}

// A count is what one record adds to the tally.
type count struct {
	sequence string // padded: as texts, sequences sort as the numbers that they are
	tally    order.Tally
}

// countsOf reads the records of orders, in the order of their sequence, each once.
func countsOf(records []events.DynamoDBEventRecord) ([]count, error) {
	counts := make([]count, 0, len(records))
	for _, r := range records {
		if !isOrder(r) {
			continue
		}
		sequence, err := padded(r.Change.SequenceNumber)
		if err != nil {
			return nil, err
		}
		change, err := changeOf(r)
		if err != nil {
			return nil, err
		}
		counts = append(counts, count{sequence, change.Tally()})
	}
	slices.SortFunc(counts, func(a, b count) int { return strings.Compare(a.sequence, b.sequence) })
	return slices.CompactFunc(counts, func(a, b count) bool { return a.sequence == b.sequence }), nil
}

// sequenceDigits is how long sequence numbers are stored. DynamoDB's have at most 40.
const sequenceDigits = 64

func padded(sequence string) (string, error) {
	if sequence == "" || len(sequence) > sequenceDigits || strings.Trim(sequence, "0123456789") != "" {
		return "", fmt.Errorf("sequence number %.100q is none", sequence)
	}
	return strings.Repeat("0", sequenceDigits-len(sequence)) + sequence, nil
}

// count adds to the tally what no earlier call has added. A checkpoint that is not
// below the first record has reached it, so each round leaves out one at least.
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

// checkpointLife is how long a checkpoint is kept: twice as long as the stream keeps
// the records that it is about.
const checkpointLife = 48 * time.Hour

// transaction adds all counts, if the shard's checkpoint lies before the first.
func (t Tallier) transaction(shard string, counts []count) []types.TransactWriteItem {
	var sum order.Tally
	for _, c := range counts {
		sum.Add(c.tally)
	}
	checkpoint := key(checkpoints, shard)
	checkpoint["sequence"] = text(counts[len(counts)-1].sequence)
	checkpoint["expires_at"] = number(t.Now().Add(checkpointLife).Unix())
	return []types.TransactWriteItem{
		addition(t.Table, tallySort(shard), sum),
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

// checkpointReached tells where the checkpoint was, if a transaction failed for it.
func checkpointReached(err error) (sequence string, ok bool) {
	canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return "", false
	}
	for _, reason := range canceled.CancellationReasons {
		if aws.ToString(reason.Code) == "ConditionalCheckFailed" {
			sequence, _ = textsOf(reason.Item)("sequence")
		}
	}
	return sequence, sequence != ""
}

// Metrics implements order.MetricsReader: one strongly consistent Query of the tally
// items, summed. It is as current as Tallier is. One that cannot be read is
// ErrDamaged: a sum without it would be wrong.
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
		part, err := tallyOf(it)
		if err != nil {
			sort, _ := textsOf(it)("sk")
			return order.Tally{}, fmt.Errorf("read the tally: %w %s %s: %w", ErrDamaged, tallyKey, sort, err)
		}
		sum.Add(part)
	}
	return sum, nil
}

// tallies is how many tally items the shards of the stream share, so that they
// seldom meet. All are on one page of a query.
const tallies = 16

func tallySort(shard string) string { return fmt.Sprintf("%02d", hash(shard)%tallies) }

var statusCounts = [...]string{order.Pending: "pending", order.Processing: "processing", order.Completed: "completed"}

// tallyOf reads one tally item. Counters that are absent are 0, and those that are not
// known are ignored, so that a later version can count more than this one.
func tallyOf(it item) (t order.Tally, err error) {
	counters := map[string]*int64{"timed_orders": &t.CompletedCount, "timed_ms": &t.DurationSumMillis}
	for s, name := range statusCounts {
		counters[name] = &t.ByStatus[s]
	}
	for name, n := range counters {
		if _, there := it[name]; !there {
			continue
		}
		if *n, err = integer(it, name); err != nil {
			return order.Tally{}, err
		}
	}
	return t, nil
}

// addition is the part of a transaction that adds t to one tally item, which it
// makes if there is none. total is for who looks at the table; nothing reads it.
func addition(table, sort string, t order.Tally) types.TransactWriteItem {
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

// A TransactionClient is the part of *dynamodb.Client that writes to the tally.
type TransactionClient interface {
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// transactionAttempts bounds how often a transaction is tried that others get in
// the way of: for about five seconds.
const transactionAttempts = 10

// transact makes one transaction, and tries again while others are in its way, which
// the SDK does not. name is that of who asks.
//
// The SDK gives each call a token and repeats it with the call when an answer
// is lost, so that DynamoDB does not add twice. See
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
func transact(ctx context.Context, client TransactionClient, name string, items []types.TransactWriteItem) (err error) {
	for attempt := range transactionAttempts {
		if attempt > 0 {
			if ended := pause(ctx, name, attempt-1); ended != nil {
				return ended
			}
		}
		_, err = client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		if !contended(err) {
			return err
		}
	}
	return err
}

// contended reports whether a transaction was canceled because another one, or too
// much traffic, was in its way, and for no other reason.
func contended(err error) bool {
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

// pause waits after an attempt, before the next: at most 50 ms after the first, up to
// 800 ms later. Those who conflict have different names, so a hash of the name is jitter
// enough.
func pause(ctx context.Context, name string, attempt int) error {
	longest := 50 * time.Millisecond << min(attempt, 4)
	timer := time.NewTimer(time.Duration(hash(strconv.Itoa(attempt)+name)) % longest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
