package dynamostore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/awsclient"
	"orders/shared/dynamostream"
	"orders/shared/order"
)

// A Tallier adds the changes in the stream to the tally, each once. One conditional update adds a
// whole batch and moves the checkpoint of its shard, an attribute of the same item, from before the
// first record to the last. When a batch comes again, whole or in part, the checkpoint shows which
// records are counted.
type Tallier struct {
	Client TallyClient
	Table  string
	// Now is the clock by which checkpoints expire.
	Now func() time.Time
	Log *slog.Logger
}

// A TallyClient is the part of *dynamodb.Client that writes to the tally.
type TallyClient interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
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
// cannot be read, when the event names no shard, or when the update fails. Calling it again with the
// same batch is safe.
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
		if !dynamostream.IsOrder(r) {
			continue
		}
		sequence, err := padSequence(r.Change.SequenceNumber)
		if err != nil {
			return nil, err
		}
		change, err := dynamostream.DecodeChange(r)
		counts = append(counts, count{sequence, change.Tally(), err, r})
	}
	slices.SortFunc(counts, func(a, b count) int { return strings.Compare(a.sequence, b.sequence) })
	return slices.CompactFunc(counts, func(a, b count) bool { return a.sequence == b.sequence }), nil
}

// maxSequenceDigits is the most that a sequence number has; see
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html.
const maxSequenceDigits = 40

// padSequence returns a sequence number in 64 digits, as the first version's checkpoints have it.
func padSequence(sequence string) (string, error) {
	digits := strings.TrimLeft(sequence, "0")
	if sequence == "" || len(digits) > maxSequenceDigits || strings.Trim(digits, "0123456789") != "" {
		return "", fmt.Errorf("parse sequence number %.100q: invalid syntax", sequence)
	}
	return fmt.Sprintf("%064s", digits), nil
}

// The conditions under which a batch is counted: it begins behind the checkpoint of its shard.
const (
	isAhead      = "#shard < :first"
	isNewOrAhead = "attribute_not_exists(#shard) OR " + isAhead
)

// count adds the counts that no earlier call has added. A refusal means that the shard's checkpoint
// has reached the first of them, so each round drops at least one; or that the item has no
// checkpoint of the shard, which happens once.
func (t Tallier) count(ctx context.Context, shard string, counts []count) error {
	condition := isAhead
	for len(counts) > 0 {
		err := t.add(ctx, shard, counts, condition)
		refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
		if !ok {
			return awsclient.WrapError("tally changes of "+shard, err)
		}
		reached, err := decodeCheckpoint(refusal.Item, shard)
		if reached == "" && err == nil {
			if condition != isAhead {
				return fmt.Errorf("tally changes of %s: %w: refused without a checkpoint", shard, order.ErrUnavailable)
			}
			condition = isNewOrAhead
			reached, err = t.takeOver(ctx, shard, counts[len(counts)-1].sequence)
		}
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(counts, func(c count) bool { return c.sequence <= reached })
		if len(left) < len(counts) {
			t.Log.InfoContext(ctx, "changes are counted already", "shard", shard, "up_to", reached)
		}
		counts = left
	}
	return nil
}

// add adds all counts on a condition, and then drops the expired checkpoints of their item.
func (t Tallier) add(ctx context.Context, shard string, counts []count, condition string) error {
	var sum order.Tally
	for _, c := range counts {
		sum.Add(c.tally)
	}
	update := newTallyUpdate(t.Table, shard, sum, encodeCheckpoint(counts[len(counts)-1].sequence, t.Now()))
	update.ConditionExpression = &condition
	update.ExpressionAttributeValues[":first"] = encodeCheckpoint(counts[0].sequence, time.Time{})
	updated, err := t.Client.UpdateItem(ctx, update)
	if err == nil {
		t.dropExpired(ctx, update.Key, updated.Attributes)
	}
	return err
}

// takeOver returns how far the first version has counted a shard, whose checkpoint it kept in an item
// of its own. There it moves the checkpoint to the last record of a batch, so that a transaction of
// that version that is still under way is refused, and a rollback continues there. The attribute
// before keeps how far that version has come, also when this call is made again.
//
// Without that item, the shard is new, or the checkpoint has expired with its records.
func (t Tallier) takeOver(ctx context.Context, shard, last string) (reached string, err error) {
	taken, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                aws.String(t.Table),
		Key:                      key(checkpoints, shard),
		UpdateExpression:         aws.String("SET #before = if_not_exists(#sequence, :none), #sequence = :last, #expires_at = :expires_at"),
		ConditionExpression:      aws.String("attribute_not_exists(#before) AND (attribute_not_exists(#sequence) OR #sequence < :last)"),
		ExpressionAttributeNames: names("before", "sequence", "expires_at"),
		ExpressionAttributeValues: item{
			":none": text("0"), ":last": text(last), ":expires_at": number(t.Now().Add(checkpointTTL).Unix()),
		},
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return decodeFirstCheckpoint(refusal.Item)
	}
	if err != nil {
		return "", awsclient.WrapError("take over the checkpoint of "+shard, err)
	}
	return decodeFirstCheckpoint(taken.Attributes)
}

// decodeFirstCheckpoint reads how far the first version has counted a shard; "" if there is no item.
func decodeFirstCheckpoint(it item) (reached string, err error) {
	get := newItemLookup(it)
	sequence, ok := get("before")
	if !ok {
		sequence, ok = get("sequence")
	}
	if !ok {
		return "", nil
	}
	if reached, err = padSequence(sequence); err != nil {
		err = fmt.Errorf("read the checkpoint: %w: %w", ErrDamaged, err)
	}
	return reached, err
}

// checkpointTTL is how long a checkpoint is kept: twice as long as the stream keeps its records.
const checkpointTTL = 48 * time.Hour

// A checkpoint of a shard is the attribute "#" + the shard's id without shardId-, in binary, because
// a shard has a new one every four hours: the sequence number in sequenceBytes and the time in
// seconds in four bytes, both big-endian. So checkpoints sort like sequence numbers.
const sequenceBytes = 17

func checkpointName(shard string) string { return "#" + strings.TrimPrefix(shard, "shardId-") }

// encodeCheckpoint returns a checkpoint. The zero time is the least that has that sequence number.
func encodeCheckpoint(sequence string, at time.Time) types.AttributeValue {
	n, _ := new(big.Int).SetString(sequence, 10) // padSequence has checked it
	value := n.FillBytes(make([]byte, sequenceBytes))
	if !at.IsZero() {
		value = binary.BigEndian.AppendUint32(value, uint32(at.Unix()))
	}
	return &types.AttributeValueMemberB{Value: value}
}

// decodeCheckpoint returns the padded sequence number of a shard's checkpoint; "" if there is none.
func decodeCheckpoint(it item, shard string) (string, error) {
	value, ok := it[checkpointName(shard)]
	if !ok {
		return "", nil
	}
	b, ok := value.(*types.AttributeValueMemberB)
	if !ok || len(b.Value) != sequenceBytes+4 {
		return "", fmt.Errorf("read the checkpoint of %s: %w", shard, ErrDamaged)
	}
	return padSequence(new(big.Int).SetBytes(b.Value[:sequenceBytes]).String())
}

// maxDropped is how many checkpoints are dropped in one update.
const maxDropped = 50

// dropExpired drops the expired checkpoints of a tally item, unless they have changed meanwhile. A
// failure is logged only: the next batch tries again.
func (t Tallier) dropExpired(ctx context.Context, itemKey, it item) {
	expired := uint32(t.Now().Add(-checkpointTTL).Unix())
	placeholders, values := map[string]string{}, item{}
	var remove, unchanged []string
	for name, value := range it {
		b, ok := value.(*types.AttributeValueMemberB)
		if !ok || !strings.HasPrefix(name, "#") || len(b.Value) != sequenceBytes+4 ||
			binary.BigEndian.Uint32(b.Value[sequenceBytes:]) >= expired || len(remove) == maxDropped {
			continue
		}
		n := strconv.Itoa(len(remove))
		placeholders["#n"+n], values[":v"+n] = name, value
		remove, unchanged = append(remove, "#n"+n), append(unchanged, "#n"+n+" = :v"+n)
	}
	if len(remove) == 0 {
		return
	}
	_, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 aws.String(t.Table),
		Key:                       itemKey,
		UpdateExpression:          aws.String("REMOVE " + strings.Join(remove, ", ")),
		ConditionExpression:       aws.String(strings.Join(unchanged, " AND ")),
		ExpressionAttributeNames:  placeholders,
		ExpressionAttributeValues: values,
	})
	if err != nil {
		t.Log.WarnContext(ctx, "expired checkpoints are not dropped yet", "err", err)
	}
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

// tallies is how many tally items the shards of the stream share, because an item takes 1,000 writes
// a second. All are on one page of a query. A changed number would move a shard to another item, which
// does not know what is counted.
const tallies = 16

func tallySort(shard string) string { return fmt.Sprintf("%02d", hash(shard)%tallies) }

var statusCounts = [...]string{
	order.Pending: "pending", order.Processing: "processing", order.Completed: "completed",
	order.Failed: "failed", order.Cancelled: "cancelled",
}

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

// newTallyUpdate is the update that adds t to the tally item of a shard, creates the item if
// necessary, and sets the shard's checkpoint. The attribute total is for people who look at the
// table; nothing reads it. A table without Failed and Cancelled orders has no counters of them.
func newTallyUpdate(table, shard string, t order.Tally, checkpoint types.AttributeValue) *dynamodb.UpdateItemInput {
	counters := map[string]int64{
		"total": t.Total(), "timed_orders": t.CompletedCount, "timed_ms": t.DurationSumMillis,
	}
	for s, name := range statusCounts {
		if n := t.ByStatus[s]; n != 0 || order.Status(s) <= order.Completed {
			counters[name] = n
		}
	}
	placeholders, values := map[string]string{"#shard": checkpointName(shard)}, item{":checkpoint": checkpoint}
	var added []string
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		placeholders["#"+name], values[":"+name] = name, number(counters[name])
		added = append(added, "#"+name+" :"+name)
	}
	return &dynamodb.UpdateItemInput{
		TableName:                           aws.String(table),
		Key:                                 key(tallyKey, tallySort(shard)),
		UpdateExpression:                    aws.String("ADD " + strings.Join(added, ", ") + " SET #shard = :checkpoint"),
		ExpressionAttributeNames:            placeholders,
		ExpressionAttributeValues:           values,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}
