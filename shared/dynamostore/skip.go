package dynamostore

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/awsclient"
	"orders/shared/dynamostream"
)

// One item beside the tally has the records that an operator has had skipped, as a set of
// "<shard>/<sequence number>", and from when on the metrics lack them. Metrics reads it with the
// tally, in the same query.
const (
	skippedSort  = "skipped"
	skipped      = "records"
	inexactSince = "inexact_since"
)

func skippedRecord(shard, sequence string) string { return shard + "/" + sequence }

func isUnreadable(c count) bool { return c.unreadable != nil }

// untilUnreadable returns the counts before the first record that cannot be read and is neither
// counted nor skipped, and that record. A skipped record adds nothing, and the checkpoint passes it.
func (t Tallier) untilUnreadable(ctx context.Context, shard string, counts []count) (readable []count, blocked *count, err error) {
	if !slices.ContainsFunc(counts, isUnreadable) {
		return counts, nil, nil
	}
	if counts, err = t.notCounted(ctx, shard, counts); err != nil || !slices.ContainsFunc(counts, isUnreadable) {
		return counts, nil, err
	}
	found, err := t.get(ctx, skippedSort)
	if err != nil {
		return nil, nil, awsclient.WrapError("read which records to skip", err)
	}
	records, _ := found[skipped].(*types.AttributeValueMemberSS)
	for i, c := range counts {
		if c.unreadable == nil {
			continue
		}
		if records == nil || !slices.Contains(records.Value, skippedRecord(shard, c.record.Change.SequenceNumber)) {
			return counts[:i], &counts[i], nil
		}
		t.Log.WarnContext(ctx, "a record is skipped, as an operator has asked", "shard", shard,
			"sequence_number", c.record.Change.SequenceNumber, "err", c.unreadable)
	}
	return counts, nil, nil
}

// notCounted drops the counts that the checkpoint of a shard has passed: code of another version may
// have read what this one cannot. A checkpoint of the first version does not take part; count takes it over.
func (t Tallier) notCounted(ctx context.Context, shard string, counts []count) ([]count, error) {
	it, err := t.get(ctx, tallySort(shard))
	if err != nil {
		return nil, awsclient.WrapError("read a checkpoint", err)
	}
	reached, err := decodeCheckpoint(it, shard)
	return slices.DeleteFunc(counts, func(c count) bool { return c.sequence <= reached }), err
}

// get reads one of the items of the tally.
func (t Tallier) get(ctx context.Context, sort string) (item, error) {
	found, err := t.Client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(t.Table), Key: key(tallyKey, sort), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	return found.Item, nil
}

// logBlocked logs what stops a shard, with all that an operator needs to have it skipped. The line
// is a metric, too: BlockedRecords.
func (t Tallier) logBlocked(ctx context.Context, shard string, c *count) {
	pk := c.record.Change.Keys["pk"].String() // of an order, so it is a string
	attrs := []slog.Attr{
		slog.String("shard", shard), slog.String("sequence_number", c.record.Change.SequenceNumber),
		slog.String("order_id", strings.TrimPrefix(pk, OrderPrefix)), slog.Any("err", c.unreadable),
	}
	t.Log.LogAttrs(ctx, slog.LevelError, "a record cannot be counted, and its shard waits before it",
		append(attrs, awsclient.Metrics(t.Now(), "TableName", t.Table,
			awsclient.Metric{Name: "BlockedRecords", Unit: "Count", Values: []int64{1}})...)...)
}

// Skip has the tally pass a record of the stream that it cannot read. From now on the metrics are
// marked as inexact, until MarkExact. A record that can be read is counted nevertheless. Calling it
// again is safe.
func (a Audit) Skip(ctx context.Context, shard, sequence string, now time.Time) error {
	if _, err := padSequence(sequence); err != nil || shard == "" {
		return errors.Join(err, errors.New("a record is named by its shard and its sequence number"))
	}
	_, err := a.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                aws.String(a.Table),
		Key:                      key(tallyKey, skippedSort),
		UpdateExpression:         aws.String("ADD #records :record SET #inexact_since = if_not_exists(#inexact_since, :now)"),
		ExpressionAttributeNames: names(skipped, inexactSince),
		ExpressionAttributeValues: item{
			":record": &types.AttributeValueMemberSS{Value: []string{skippedRecord(shard, sequence)}},
			":now":    text(dynamostream.FormatTime(now)),
		},
	})
	return awsclient.WrapError("skip a record", err)
}

// MarkExact says that the metrics equal a recount again. Records that were skipped stay skipped:
// Lambda may send them once more.
func (a Audit) MarkExact(ctx context.Context) error {
	_, err := a.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                aws.String(a.Table),
		Key:                      key(tallyKey, skippedSort),
		UpdateExpression:         aws.String("REMOVE #inexact_since"),
		ExpressionAttributeNames: names(inexactSince),
	})
	return awsclient.WrapError("mark the metrics as exact", err)
}
