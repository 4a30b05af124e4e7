package eventsource

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// newShards is how often a stream is looked at for shards that have come.
const newShards = time.Second

// follow hands the whole stream to one function until ctx ends: every shard at
// its own pace, and none before its parent is at its end, so that the changes of
// one item come in order.
func follow(ctx context.Context, cfg Config, r Reader) {
	var arn string
	until(ctx, cfg.Log, "finding the table's stream", func() (err error) {
		arn, err = streamARN(ctx, cfg)
		return err
	})
	var all sync.WaitGroup
	defer all.Wait()
	var finished sync.Map // ids of shards that are at their end
	started := map[string]bool{}
	for ctx.Err() == nil {
		var shards []types.Shard
		until(ctx, cfg.Log, "reading the stream's shards", func() (err error) {
			shards, err = describe(ctx, cfg, arn)
			return err
		})
		for _, id := range ready(shards, started, &finished) {
			started[id] = true
			s := &shard{cfg: cfg, reader: r, streamARN: arn, id: id}
			all.Go(func() {
				s.run(ctx)
				finished.Store(id, true)
			})
		}
		wait(ctx, newShards)
	}
}

// ready returns the shards that can be started: their parents are finished, or
// too old to be in the stream.
func ready(shards []types.Shard, started map[string]bool, finished *sync.Map) (ids []string) {
	present := map[string]bool{}
	for _, s := range shards {
		present[aws.ToString(s.ShardId)] = true
	}
	for _, s := range shards {
		id, parent := aws.ToString(s.ShardId), aws.ToString(s.ParentShardId)
		if _, done := finished.Load(parent); !started[id] && (done || !present[parent]) {
			ids = append(ids, id)
		}
	}
	return ids
}

func streamARN(ctx context.Context, cfg Config) (string, error) {
	output, err := cfg.Tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &cfg.Table})
	if err != nil {
		return "", err
	}
	if output.Table.LatestStreamArn == nil {
		return "", errors.New("the table has no stream")
	}
	return *output.Table.LatestStreamArn, nil
}

func describe(ctx context.Context, cfg Config, arn string) (shards []types.Shard, err error) {
	input := &dynamodbstreams.DescribeStreamInput{StreamArn: &arn}
	for {
		output, err := cfg.Streams.DescribeStream(ctx, input)
		if err != nil {
			return nil, err
		}
		shards = append(shards, output.StreamDescription.Shards...)
		if input.ExclusiveStartShardId = output.StreamDescription.LastEvaluatedShardId; input.ExclusiveStartShardId == nil {
			return shards, nil
		}
	}
}
