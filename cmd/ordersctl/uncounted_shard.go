package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"orders/shared/dynamostore"
)

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
