package eventsource

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

const (
	// emptyPause is the pause after a read without records.
	emptyPause = 30 * time.Millisecond
	// shardsPause is the pause between two lookups of new shards.
	shardsPause = time.Second
)

// consumeStream sends the whole stream to one function until ctx ends. Shards are read concurrently,
// but none before its parent is finished, so that the changes of one item stay in order.
func consumeStream(ctx context.Context, cfg Config, r Reader) {
	var arn string
	retry(ctx, cfg.Log, "describe the table", func() (err error) {
		arn, err = streamARN(ctx, cfg)
		return err
	})
	var all sync.WaitGroup
	defer all.Wait()
	var finished sync.Map // shard ids
	started := map[string]bool{}
	for ctx.Err() == nil {
		var shards []types.Shard
		retry(ctx, cfg.Log, "describe the stream", func() (err error) {
			shards, err = listShards(ctx, cfg, arn)
			return err
		})
		for _, id := range readyShards(shards, started, &finished) {
			started[id] = true
			s := &shard{cfg: cfg, reader: r, streamARN: arn, id: id}
			all.Go(func() {
				retry(ctx, cfg.Log, "read shard "+id, func() error { return s.read(ctx) })
				finished.Store(id, true)
			})
		}
		sleep(ctx, shardsPause)
	}
}

// readyShards returns the shards that can be started: their parents are finished, or no longer in
// the stream.
func readyShards(shards []types.Shard, started map[string]bool, finished *sync.Map) (ids []string) {
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

func listShards(ctx context.Context, cfg Config, arn string) (shards []types.Shard, err error) {
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

// A shard is one shard of the stream, as one function reads it.
type shard struct {
	cfg       Config
	reader    Reader
	streamARN string
	id        string
	last      *string // the sequence number of the last record that was handled or filtered out
}

// read continues after the last record, until the shard is at its end. It is called again after an
// error, such as an expired iterator. If the next record is no longer in the stream, that call
// continues with the oldest record.
func (s *shard) read(ctx context.Context) (err error) {
	defer func() {
		if _, trimmed := errors.AsType[*types.TrimmedDataAccessException](err); trimmed {
			s.last = nil
		}
	}()
	input := &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &s.streamARN, ShardId: &s.id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	if s.last != nil {
		input.ShardIteratorType, input.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, s.last
	}
	first, err := s.cfg.Streams.GetShardIterator(ctx, input)
	if err != nil {
		return err
	}
	for iterator := first.ShardIterator; iterator != nil; {
		output, err := s.cfg.Streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{
			ShardIterator: iterator, Limit: aws.Int32(int32(s.reader.BatchSize)),
		})
		if err != nil {
			return err
		}
		if err := s.process(ctx, output.Records); err != nil {
			return err
		}
		iterator = output.NextShardIterator
	}
	return nil
}

// process sends what GetRecords returned, until the function has handled all records. It returns an
// error only if ctx ends.
func (s *shard) process(ctx context.Context, records []types.Record) error {
	if len(records) == 0 {
		sleep(ctx, emptyPause)
		return nil
	}
	last := records[len(records)-1].Dynamodb.SequenceNumber
	records = slices.DeleteFunc(records, func(r types.Record) bool { return !s.matchesFilter(r) })
	for len(records) > 0 {
		done := 0
		if !retry(ctx, s.cfg.Log, s.reader.Function+" with a batch of "+s.id, func() (err error) {
			done, err = s.invoke(ctx, records)
			return err
		}) {
			return ctx.Err()
		}
		records = records[done:]
	}
	s.last = last
	return nil
}

func (s *shard) matchesFilter(r types.Record) bool {
	pk, _ := r.Dynamodb.Keys["pk"].(*types.AttributeValueMemberS)
	return s.cfg.KeyPrefix == "" || pk != nil && strings.HasPrefix(pk.Value, s.cfg.KeyPrefix)
}

// invoke sends one event, and returns the number of handled records: none with an error.
func (s *shard) invoke(ctx context.Context, records []types.Record) (done int, err error) {
	batch := Batch{StreamARN: s.streamARN, Shard: s.id, Records: records, Window: s.reader.Window}
	event, err := batch.Event()
	if err != nil {
		return 0, err
	}
	response, err := s.cfg.Invoke(ctx, s.reader.Function, event)
	if err != nil {
		return 0, err
	}
	return batch.Done(response)
}
