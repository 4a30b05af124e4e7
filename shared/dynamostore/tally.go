package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
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
