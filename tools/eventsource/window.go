package eventsource

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// A window is that of a shard, from batch to batch.
type window struct {
	start time.Time // zero while none is open
	state map[string]string
}

// openWindow returns how many of the records, at least one, belong to the window of
// the first. Any other window is closed before.
func (s *shard) openWindow(ctx context.Context, records []types.Record) (n int, err error) {
	if s.reader.Window == 0 {
		return len(records), nil
	}
	start := s.windowOf(records[0])
	if !start.Equal(s.window.start) {
		if err := s.closeWindow(ctx); err != nil {
			return 0, err
		}
		s.window.start = start
	}
	for n < len(records) && s.windowOf(records[n]).Equal(start) {
		n++
	}
	return n, nil
}

func (s *shard) windowOf(r types.Record) time.Time {
	return aws.ToTime(r.Dynamodb.ApproximateCreationDateTime).UTC().Truncate(s.reader.Window)
}

// closeOldWindow ends a window that no record will join.
func (s *shard) closeOldWindow(ctx context.Context) error {
	if s.cfg.Now().Before(s.window.start.Add(s.reader.Window)) {
		return nil
	}
	return s.closeWindow(ctx)
}

// closeWindow tells the function that the window, if one is open, is over.
func (s *shard) closeWindow(ctx context.Context) error {
	if s.window.start.IsZero() {
		return nil
	}
	if !until(ctx, s.cfg.Log, s.reader.Function+" at the end of a window of "+s.id, func() error {
		_, err := s.invoke(ctx, nil, true)
		return err
	}) {
		return ctx.Err()
	}
	s.window = window{}
	return nil
}
