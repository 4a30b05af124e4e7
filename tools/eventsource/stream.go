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

	// last is the sequence number of the last record that was handled or filtered out.
	last *string
	// The open window; windowStart is zero if none is open.
	windowStart time.Time
	windowState map[string]string
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
	return s.closeWindow(ctx)
}

// process sends what GetRecords returned. It returns an error only if ctx ends.
func (s *shard) process(ctx context.Context, records []types.Record) error {
	if len(records) == 0 {
		sleep(ctx, emptyPause)
		if s.cfg.Now().Before(s.windowStart.Add(s.reader.Window)) {
			return nil
		}
		return s.closeWindow(ctx)
	}
	last := records[len(records)-1].Dynamodb.SequenceNumber
	records = slices.DeleteFunc(records, func(r types.Record) bool { return !s.matchesFilter(r) })
	if err := s.deliver(ctx, records); err != nil {
		return err
	}
	s.last = last
	return nil
}

func (s *shard) matchesFilter(r types.Record) bool {
	pk, _ := r.Dynamodb.Keys["pk"].(*types.AttributeValueMemberS)
	return s.cfg.KeyPrefix == "" || pk != nil && strings.HasPrefix(pk.Value, s.cfg.KeyPrefix)
}

// deliver invokes the function until it has handled all records, one window after the other.
func (s *shard) deliver(ctx context.Context, records []types.Record) error {
	for len(records) > 0 {
		n, err := s.openWindow(ctx, records)
		if err != nil {
			return err
		}
		for batch := records[:n]; len(batch) > 0; {
			done := 0
			if !retry(ctx, s.cfg.Log, s.reader.Function+" with a batch of "+s.id, func() (err error) {
				done, err = s.invoke(ctx, batch, false)
				return err
			}) {
				return ctx.Err()
			}
			batch = batch[done:]
		}
		records = records[n:]
	}
	return nil
}

// invoke sends one event, keeps the window's state, and returns the number of handled records: none
// with an error.
func (s *shard) invoke(ctx context.Context, records []types.Record, final bool) (done int, err error) {
	batch := Batch{StreamARN: s.streamARN, Shard: s.id, Records: records}
	if s.reader.Window > 0 {
		batch.Window = &Window{Start: s.windowStart, Length: s.reader.Window, State: s.windowState, Final: final}
	}
	event, err := batch.Event()
	if err != nil {
		return 0, err
	}
	response, err := s.cfg.Invoke(ctx, s.reader.Function, event)
	if err != nil {
		return 0, err
	}
	done, state, err := batch.Done(response)
	if err == nil {
		s.windowState = state
	}
	return done, err
}

// openWindow opens the window of the first record, after it has closed another that is open. It
// returns the number of records, at least one, that belong to the window.
func (s *shard) openWindow(ctx context.Context, records []types.Record) (n int, err error) {
	if s.reader.Window == 0 {
		return len(records), nil
	}
	start := s.windowOf(records[0])
	if !start.Equal(s.windowStart) {
		if err := s.closeWindow(ctx); err != nil {
			return 0, err
		}
		s.windowStart = start
	}
	for n < len(records) && s.windowOf(records[n]).Equal(start) {
		n++
	}
	return n, nil
}

func (s *shard) windowOf(r types.Record) time.Time {
	return aws.ToTime(r.Dynamodb.ApproximateCreationDateTime).UTC().Truncate(s.reader.Window)
}

// closeWindow sends the window's last event, if a window is open.
func (s *shard) closeWindow(ctx context.Context) error {
	if s.windowStart.IsZero() {
		return nil
	}
	if !retry(ctx, s.cfg.Log, s.reader.Function+" at the end of a window of "+s.id, func() error {
		_, err := s.invoke(ctx, nil, true)
		return err
	}) {
		return ctx.Err()
	}
	s.windowStart, s.windowState = time.Time{}, nil
	return nil
}
