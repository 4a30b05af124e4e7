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
	"golang.org/x/sync/errgroup"

	"orders/shared/dynamostore"
	"orders/tools/eventsource"
)

// A tail looks at what the tally function has not counted yet: the records of the
// table's stream behind the checkpoints that it keeps, shard by shard.
//
// A closed shard is read to its end, which the stream tells. Where an open one ends
// it does not tell, and it gives empty answers also before the end. So there quiet
// is the evidence, and no proof.
type tail struct {
	table   string
	db      eventsource.TableClient
	streams eventsource.StreamsClient
	// checkpoint is the sequence number of the last record of a shard that is in the
	// tally, "" if there is none.
	checkpoint func(ctx context.Context, shard string) (string, error)
	// quiet is for how long an open shard must have nothing new to count as read to
	// its end.
	quiet time.Duration
}

// errUncounted: there is a change that the metrics do not have yet, or may be.
var errUncounted = errors.New("uncounted")

// shardsAtOnce bounds how many shards are read side by side. A shard serves two
// readers, which relay and tally are already.
const shardsAtOnce = 4

// uncounted reports whether the stream holds a change of an order that the
// metrics do not have yet, or is too busy to tell.
func (t tail) uncounted(ctx context.Context) (bool, error) {
	arn, err := streamARN(ctx, t.db, t.table)
	if err != nil {
		return false, err
	}
	err = t.readStream(ctx, arn)
	if errors.Is(err, errUncounted) || retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary {
		return true, nil
	}
	return false, err
}

// readStream reads all shards, and those that take their place meanwhile.
func (t tail) readStream(ctx context.Context, arn string) error {
	read := map[string]bool{}
	for {
		shards, err := t.shards(ctx, arn)
		if err != nil {
			return fmt.Errorf("list the stream's shards: %w", err)
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(shardsAtOnce)
		before := len(read)
		for _, s := range shards {
			if id := aws.ToString(s.ShardId); !read[id] {
				read[id] = true
				group.Go(func() error { return t.readShard(ctx, arn, s) })
			}
		}
		if err := group.Wait(); err != nil || len(read) == before {
			return err
		}
	}
}

func (t tail) shards(ctx context.Context, arn string) (shards []types.Shard, err error) {
	input := &dynamodbstreams.DescribeStreamInput{StreamArn: &arn}
	for {
		described, err := t.streams.DescribeStream(ctx, input)
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

// streamARN is the ARN of the table's stream.
func streamARN(ctx context.Context, db eventsource.TableClient, table string) (string, error) {
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
// at the first change of an order. What the stream no longer holds nobody will count,
// so it begins with the oldest record if the checkpoint lies before that.
func (t tail) readShard(ctx context.Context, arn string, shard types.Shard) error {
	id := aws.ToString(shard.ShardId)
	begin := &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &arn, ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	sequence, err := t.checkpoint(ctx, id)
	if err != nil {
		return err
	}
	if sequence != "" {
		begin.ShardIteratorType, begin.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &sequence
	}
	closed := shard.SequenceNumberRange != nil && shard.SequenceNumberRange.EndingSequenceNumber != nil
	err = t.readFrom(ctx, begin, closed)
	if _, trimmed := errors.AsType[*types.TrimmedDataAccessException](err); trimmed {
		begin.ShardIteratorType, begin.SequenceNumber = types.ShardIteratorTypeTrimHorizon, nil
		err = t.readFrom(ctx, begin, closed)
	}
	if err != nil {
		return fmt.Errorf("read shard %s: %w", id, err)
	}
	return nil
}

// A shard is asked twice a second at most, and some times while it must be quiet.
const (
	pollInterval = 500 * time.Millisecond
	quietPolls   = 8
)

// readFrom reads on until the stream says that the shard ends there or, if it is
// open, until it has been quiet for long enough.
func (t tail) readFrom(ctx context.Context, begin *dynamodbstreams.GetShardIteratorInput, closed bool) error {
	found, err := t.streams.GetShardIterator(ctx, begin)
	if err != nil {
		return err
	}
	interval := pollInterval
	if !closed {
		interval = min(interval, t.quiet/quietPolls)
	}
	quiet := time.Duration(0)
	for iterator := found.ShardIterator; iterator != nil && (closed || quiet <= t.quiet); quiet += interval {
		read, err := t.streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(read.Records, ofOrder) {
			return errUncounted
		}
		if len(read.Records) > 0 {
			quiet = 0
		}
		iterator = read.NextShardIterator
		if err := pause(ctx, interval); err != nil {
			return err
		}
	}
	return nil
}

func ofOrder(r types.Record) bool {
	if r.Dynamodb == nil {
		return false
	}
	pk, ok := r.Dynamodb.Keys["pk"].(*types.AttributeValueMemberS)
	return ok && strings.HasPrefix(pk.Value, dynamostore.OrderPrefix)
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
