package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"golang.org/x/sync/errgroup"

	"orders/shared/dynamostore"
)

// A tail looks at what the tally function has not counted yet: the records of the
// table's stream behind the checkpoints that it keeps, shard by shard.
type tail struct {
	table   string
	audit   dynamostore.Audit
	db      *dynamodb.Client
	streams *dynamodbstreams.Client
	// quiet is for how long a shard must have nothing new to count as read to its
	// end. A stream gives empty answers also before its end, and a write takes a
	// moment to get there.
	quiet time.Duration
}

// errUncounted: there is a change that the metrics do not have yet.
var errUncounted = errors.New("uncounted")

// uncounted reports whether the stream holds a change of an order that the
// metrics do not have yet.
func (t tail) uncounted(ctx context.Context) (bool, error) {
	arn, err := streamARN(ctx, t.db, t.table)
	if err != nil {
		return false, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(shardsAtOnce)
	input := &dynamodbstreams.DescribeStreamInput{StreamArn: &arn}
	for more := true; more; more = input.ExclusiveStartShardId != nil {
		described, err := t.streams.DescribeStream(ctx, input)
		if err != nil {
			return false, errors.Join(fmt.Errorf("list the stream's shards: %w", err), group.Wait())
		}
		for _, shard := range described.StreamDescription.Shards {
			group.Go(func() error { return t.readShard(ctx, arn, aws.ToString(shard.ShardId)) })
		}
		input.ExclusiveStartShardId = described.StreamDescription.LastEvaluatedShardId
	}
	err = group.Wait()
	if errors.Is(err, errUncounted) {
		return true, nil
	}
	return false, err
}

// shardsAtOnce bounds how many shards are read side by side.
const shardsAtOnce = 16

// streamARN is the ARN of the table's stream.
func streamARN(ctx context.Context, db *dynamodb.Client, table string) (string, error) {
	described, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		return "", fmt.Errorf("describe the table: %w", err)
	}
	if described.Table.LatestStreamArn == nil {
		return "", fmt.Errorf("table %s has no stream", table)
	}
	return *described.Table.LatestStreamArn, nil
}

// readShard reads a shard from its checkpoint to its end, and returns errUncounted
// at the first change of an order.
func (t tail) readShard(ctx context.Context, arn, shard string) error {
	iterator, err := t.iterator(ctx, arn, shard)
	if err != nil {
		return fmt.Errorf("read shard %s: %w", shard, err)
	}
	const polls = 8
	for empty := 0; iterator != nil && empty < polls; empty++ {
		read, err := t.streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			return fmt.Errorf("read shard %s: %w", shard, err)
		}
		for _, record := range read.Records {
			if pk, ok := record.Dynamodb.Keys["pk"].(*types.AttributeValueMemberS); ok && strings.HasPrefix(pk.Value, dynamostore.OrderPrefix) {
				return errUncounted
			}
			empty = 0
		}
		iterator = read.NextShardIterator
		if err := pause(ctx, t.quiet/polls); err != nil {
			return err
		}
	}
	return nil
}

// iterator begins behind the shard's checkpoint, or at the oldest record if there
// is none, or if it is so old that the stream no longer reaches back to it.
func (t tail) iterator(ctx context.Context, arn, shard string) (*string, error) {
	oldest := &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &arn, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	sequence, err := t.audit.Checkpoint(ctx, shard)
	if err != nil {
		return nil, err
	}
	input := oldest
	if sequence != "" {
		input = &dynamodbstreams.GetShardIteratorInput{
			StreamArn: &arn, ShardId: &shard, SequenceNumber: &sequence,
			ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber,
		}
	}
	found, err := t.streams.GetShardIterator(ctx, input)
	if _, trimmed := errors.AsType[*types.TrimmedDataAccessException](err); trimmed {
		found, err = t.streams.GetShardIterator(ctx, oldest)
	}
	if err != nil {
		return nil, err
	}
	return found.ShardIterator, nil
}

// pause waits for that long, or until the context ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
