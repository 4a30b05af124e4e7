package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	smithytime "github.com/aws/smithy-go/time"
	"golang.org/x/sync/errgroup"

	"orders/shared/dynamostore"
)

// tableClient and streamsClient are the parts of the SDK's clients that a streamLag uses.
type (
	tableClient interface {
		DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	}
	streamsClient interface {
		DescribeStream(context.Context, *dynamodbstreams.DescribeStreamInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error)
		GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
		GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
	}
)

// A streamLag finds out whether the tally function lags behind the table's stream: whether the
// stream holds records of orders after the checkpoints that the tally function keeps, shard by
// shard.
//
// A closed shard has an end, and is read up to it. An open shard has none, and GetRecords may
// return no records although more follow. So an open shard counts as read when it has returned no
// records for quietPeriod. That is evidence, not proof.
type streamLag struct {
	table   string
	tables  tableClient
	streams streamsClient
	// checkpoint is the sequence number of the last record of a shard that is in the tally, "" if
	// there is none.
	checkpoint  func(ctx context.Context, shard string) (string, error)
	quietPeriod time.Duration
}

// errLags: the metrics do not have, or may not have, a change of an order yet.
var errLags = errors.New("the tally lags behind the stream")

// maxShards bounds how many shards are read concurrently. A shard serves two readers, which relay
// and tally are already.
const maxShards = 4

// lags reports whether the stream holds a change of an order that the metrics do not have yet, or
// is too busy to tell.
func (l streamLag) lags(ctx context.Context) (bool, error) {
	described, err := l.tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &l.table})
	if err != nil {
		return false, fmt.Errorf("describe the table: %w", err)
	}
	if described.Table.LatestStreamArn == nil {
		return false, fmt.Errorf("table %s has no stream", l.table)
	}
	err = l.readStream(ctx, *described.Table.LatestStreamArn)
	if errors.Is(err, errLags) || retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary {
		return true, nil
	}
	return false, err
}

// readStream reads all shards, and those that replace them meanwhile.
func (l streamLag) readStream(ctx context.Context, arn string) error {
	read := map[string]bool{}
	for {
		shards, err := l.shards(ctx, arn)
		if err != nil {
			return fmt.Errorf("list the stream's shards: %w", err)
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(maxShards)
		before := len(read)
		for _, s := range shards {
			if id := aws.ToString(s.ShardId); !read[id] {
				read[id] = true
				group.Go(func() error { return l.readShard(ctx, arn, s) })
			}
		}
		if err := group.Wait(); err != nil || len(read) == before {
			return err
		}
	}
}

func (l streamLag) shards(ctx context.Context, arn string) (shards []types.Shard, err error) {
	input := &dynamodbstreams.DescribeStreamInput{StreamArn: &arn}
	for {
		described, err := l.streams.DescribeStream(ctx, input)
		if err != nil {
			return nil, err
		}
		shards = append(shards, described.StreamDescription.Shards...)
		input.ExclusiveStartShardId = described.StreamDescription.LastEvaluatedShardId
		if input.ExclusiveStartShardId == nil {
			return shards, nil
		}
	}
}

// readShard reads a shard from its checkpoint to its end, and returns errLags at the first change
// of an order. Records that have left the stream will never be counted, so readShard begins with
// the oldest record if the checkpoint lies before it.
func (l streamLag) readShard(ctx context.Context, arn string, shard types.Shard) error {
	id := aws.ToString(shard.ShardId)
	start := &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &arn, ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	sequence, err := l.checkpoint(ctx, id)
	if err != nil {
		return err
	}
	if sequence != "" {
		start.ShardIteratorType, start.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &sequence
	}
	closed := shard.SequenceNumberRange != nil && shard.SequenceNumberRange.EndingSequenceNumber != nil
	err = l.readFrom(ctx, start, closed)
	if _, trimmed := errors.AsType[*types.TrimmedDataAccessException](err); trimmed {
		start.ShardIteratorType, start.SequenceNumber = types.ShardIteratorTypeTrimHorizon, nil
		err = l.readFrom(ctx, start, closed)
	}
	if err != nil {
		return fmt.Errorf("read shard %s: %w", id, err)
	}
	return nil
}

// A shard is read twice a second at most, and at least quietPolls times in a quiet period.
const (
	pollInterval = 500 * time.Millisecond
	quietPolls   = 8
)

// readFrom reads up to the end of a closed shard, or until an open shard has been quiet for the
// quiet period.
func (l streamLag) readFrom(ctx context.Context, start *dynamodbstreams.GetShardIteratorInput, closed bool) error {
	found, err := l.streams.GetShardIterator(ctx, start)
	if err != nil {
		return err
	}
	interval := pollInterval
	if !closed {
		interval = min(interval, l.quietPeriod/quietPolls)
	}
	quiet := time.Duration(0)
	for iterator := found.ShardIterator; iterator != nil && (closed || quiet <= l.quietPeriod); quiet += interval {
		read, err := l.streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(read.Records, isOrder) {
			return errLags
		}
		if len(read.Records) > 0 {
			quiet = 0
		}
		iterator = read.NextShardIterator
		if err := smithytime.SleepWithContext(ctx, interval); err != nil {
			return err
		}
	}
	return nil
}

func isOrder(r types.Record) bool {
	if r.Dynamodb == nil {
		return false
	}
	pk, ok := r.Dynamodb.Keys["pk"].(*types.AttributeValueMemberS)
	return ok && strings.HasPrefix(pk.Value, dynamostore.OrderPrefix)
}
