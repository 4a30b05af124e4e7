package eventsource

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// A shard is one shard of the stream on its way to one function.
type shard struct {
	cfg       Config
	reader    Reader
	streamARN string
	id        string

	// last is the sequence number of the last record that is done with.
	last   *string
	window window
}

// run hands the shard's records over from the first to the last.
func (s *shard) run(ctx context.Context) {
	until(ctx, s.cfg.Log, "reading shard "+s.id, func() error { return s.read(ctx) })
}

// read goes on after the last record until the shard is at its end. An error, such
// as an iterator that is too old, makes run call it again. When what came next
// is no longer in the stream, that goes on with the oldest there is.
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
		if err := s.take(ctx, output.Records); err != nil {
			return err
		}
		iterator = output.NextShardIterator
	}
	return s.closeWindow(ctx)
}

// take hands over what GetRecords gave; an error is the end of ctx.
func (s *shard) take(ctx context.Context, records []types.Record) error {
	if len(records) == 0 {
		wait(ctx, idle)
		return s.closeOldWindow(ctx)
	}
	last := records[len(records)-1].Dynamodb.SequenceNumber
	records = slices.DeleteFunc(records, func(r types.Record) bool { return !s.wanted(r) })
	if err := s.hand(ctx, records); err != nil {
		return err
	}
	s.last = last
	return nil
}

// wanted is the mapping's filter.
func (s *shard) wanted(r types.Record) bool {
	pk, _ := r.Dynamodb.Keys["pk"].(*types.AttributeValueMemberS)
	return s.cfg.KeyPrefix == "" || pk != nil && strings.HasPrefix(pk.Value, s.cfg.KeyPrefix)
}

// hand invokes the function with records until it is done with all of them, a
// window at a time.
func (s *shard) hand(ctx context.Context, records []types.Record) error {
	for len(records) > 0 {
		n, err := s.openWindow(ctx, records)
		if err != nil {
			return err
		}
		for batch := records[:n]; len(batch) > 0; {
			done := 0
			if !until(ctx, s.cfg.Log, s.reader.Function+" with a batch of "+s.id, func() (err error) {
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

// invoke runs the function with one event, keeps the window's state, and returns how
// many records the function is done with. When there is an error, that is none.
func (s *shard) invoke(ctx context.Context, records []types.Record, final bool) (done int, err error) {
	batch := Batch{StreamARN: s.streamARN, Shard: s.id, Records: records}
	if s.reader.Window > 0 {
		batch.Window = &Window{Start: s.window.start, Length: s.reader.Window, State: s.window.state, Final: final}
	}
	event, err := batch.Event()
	if err != nil {
		return 0, err
	}
	answered, err := s.cfg.Invoke(ctx, s.reader.Function, event)
	if err != nil {
		return 0, err
	}
	done, state, err := batch.Done(answered)
	if err == nil {
		s.window.state = state
	}
	return done, err
}
