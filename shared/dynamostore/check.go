package dynamostore

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithytime "github.com/aws/smithy-go/time"
	"golang.org/x/sync/errgroup"

	"orders/shared/awsclient"
	"orders/shared/dynamostream"
	"orders/shared/order"
)

// CheckInterval is how often template.yaml runs a Check. With the longest processing time, all runs
// together look at each order once. With a shorter one, several runs look at an order.
const CheckInterval = 10 * time.Minute

// checkGrace is how late an order may be completed before it counts as overdue. A message that has
// failed is retried after a minute; after ten it is lost, or cannot be processed.
const checkGrace = 10 * time.Minute

// A Check looks for orders that are past their time and not finished, because a message was lost or
// cannot be processed. It is bounded: a run consumes half a read unit for an order of up to 4 KB, for
// Limit orders at most, half a unit for each 4 KB of a bucket of the index, and for the marker. To take
// a sample, it reads the keys of Limit orders twice.
type Check struct {
	Client     CheckClient
	Metrics    order.MetricsReader
	Table      string
	Fulfilment order.Fulfilment
	// Limit is how many orders a run reads at most. Of more it reads a sample: a part of each bucket of
	// the index in each tenth of the time, so that a loss of many messages is still found.
	Limit int
	Now   func() time.Time
	Log   *slog.Logger
}

// A CheckClient is the part of *dynamodb.Client that a Check uses.
type CheckClient interface {
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
}

// A CheckEvent is what template.yaml has Scheduler send.
type CheckEvent struct {
	// Time is the time for which the run was scheduled. The zero time means now.
	Time time.Time `json:"time"`
}

// A CheckResult is what a run has found.
type CheckResult struct {
	Checked int `json:"checked"`
	Overdue int `json:"overdue"`
	// Unread counts orders that cannot be read.
	Unread int `json:"unread"`
	// Partial says that there were more orders than Limit.
	Partial bool `json:"partial"`
}

// Handle checks the orders that should have left Processing once at the time of the event, and are no
// older than those that a run with the longest wait checks. So no order is missed when the wait is
// shortened between two runs. An order is overdue if the message that it waits for was due long
// before. A repeated event checks the same orders.
//
// Handle logs a line for each of the first overdue orders, and one line with the findings and the
// counts by status as metrics: OverdueOrders, PendingOrders, ProcessingOrders and CompletedOrders;
// FailedOrders and CancelledOrders while there is one, because each metric is paid for.
func (c Check) Handle(ctx context.Context, e CheckEvent) (found CheckResult, err error) {
	ctx, cancel := awsclient.BeforeDeadline(ctx, time.Second)
	defer cancel()
	now := e.Time
	if now.IsZero() {
		now = c.Now()
	}
	until := now.Add(-c.Fulfilment.Wait() - checkGrace)
	from := now.Add(-order.MaxProcessingTime - checkGrace - CheckInterval)
	keys, partial, err := c.created(ctx, from, until)
	if err != nil {
		return found, awsclient.WrapError("list the orders to check", err)
	}
	found.Partial = partial
	for batch := range slices.Chunk(keys, maxBatchGet) {
		orders, err := c.read(ctx, batch)
		if err != nil {
			return found, awsclient.WrapError("read the orders to check", err)
		}
		for _, it := range orders {
			c.add(ctx, &found, it, now.Add(-checkGrace))
		}
	}
	return found, c.report(ctx, found)
}

// created returns the keys of the orders that were created from a time until before another.
func (c Check) created(ctx context.Context, from, until time.Time) (keys []item, partial bool, err error) {
	buckets := fewBuckets
	if found, _, err := c.keysInBucket(ctx, 0, marker, marker, 1); err != nil {
		return nil, false, err
	} else if len(found) > 0 {
		buckets = maxBuckets
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for n := range buckets {
		g.Go(func() error {
			some, more, err := c.sample(ctx, n, from, until, max(1, c.Limit/buckets))
			mu.Lock()
			defer mu.Unlock()
			keys, partial = append(keys, some...), partial || more
			return err
		})
	}
	err = g.Wait()
	return keys, partial, err
}

// sample returns the keys of the orders in a bucket that were created from a time until before
// another: all of them or, if there are more than limit, some of each part of the time. more says
// that there are others.
func (c Check) sample(ctx context.Context, bucket int, from, until time.Time, limit int) (keys []item, more bool, err error) {
	// A created_key begins with the time, and is greater than the time alone.
	between := func(from, until time.Time, limit int) ([]item, bool, error) {
		return c.keysInBucket(ctx, bucket, dynamostream.FormatTime(from), dynamostream.FormatTime(until), limit)
	}
	if keys, more, err = between(from, until, limit); err != nil || !more {
		return keys, more, err
	}
	keys = nil
	parts := min(limit, 10)
	part := until.Sub(from) / time.Duration(parts)
	for n := range parts {
		began := from.Add(time.Duration(n) * part)
		some, _, err := between(began, began.Add(part), limit/parts)
		if err != nil {
			return nil, false, err
		}
		keys = append(keys, some...)
	}
	return keys, true, nil
}

// keysInBucket returns the keys of the items of a bucket whose created_key is from first to last, so
// many at most. more says that there are others.
func (c Check) keysInBucket(ctx context.Context, bucket int, first, last string, limit int) (keys []item, more bool, err error) {
	input := &dynamodb.QueryInput{
		TableName:                aws.String(c.Table),
		IndexName:                aws.String("by_creation"),
		KeyConditionExpression:   aws.String("#bucket = :bucket AND #created_key BETWEEN :first AND :last"),
		ProjectionExpression:     aws.String("#pk, #sk"),
		ExpressionAttributeNames: names("bucket", "created_key", "pk", "sk"),
		ExpressionAttributeValues: item{
			":bucket": text(bucketName(bucket)), ":first": text(first), ":last": text(last),
		},
	}
	for {
		input.Limit = aws.Int32(int32(limit - len(keys)))
		found, err := c.Client.Query(ctx, input)
		if err != nil {
			return nil, false, err
		}
		keys = append(keys, found.Items...)
		input.ExclusiveStartKey = found.LastEvaluatedKey
		if more = len(input.ExclusiveStartKey) > 0; !more || len(keys) >= limit {
			return keys, more, nil
		}
	}
}

const (
	// maxBatchGet is how many items a BatchGetItem takes.
	maxBatchGet = 100
	// A throttled table returns a part of the items. The attempts at the others end after about
	// three seconds.
	maxReadAttempts = 6
	firstReadPause  = 50 * time.Millisecond
)

// read reads orders, as they were a moment ago. An order that an operator has deleted meanwhile is
// left out.
func (c Check) read(ctx context.Context, keys []item) (items []item, err error) {
	for attempt := range maxReadAttempts {
		found, err := c.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{c.Table: {
				Keys:                     keys,
				ProjectionExpression:     aws.String("#pk, #sk, #status, #created_at, #started_at, #completed_at, #exception"),
				ExpressionAttributeNames: names("pk", "sk", "status", "created_at", "started_at", "completed_at", "exception"),
			}},
		})
		if err != nil {
			return nil, err
		}
		items = append(items, found.Responses[c.Table]...)
		if keys = found.UnprocessedKeys[c.Table].Keys; len(keys) == 0 {
			return items, nil
		}
		if err := smithytime.SleepWithContext(ctx, firstReadPause<<attempt); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the table does not return all items", order.ErrUnavailable)
}

// maxListed is how many overdue orders a run logs.
const maxListed = 10

// add counts an order. It is overdue if its message was due before a time.
func (c Check) add(ctx context.Context, found *CheckResult, it item, before time.Time) {
	found.Checked++
	o, err := dynamostream.DecodeLifecycle(newItemLookup(it))
	if err != nil {
		found.Unread++
		if found.Unread <= maxListed {
			c.Log.WarnContext(ctx, "an order cannot be read", "err", err)
		}
		return
	}
	messages := order.Change{New: &o}.FollowUps(c.Fulfilment)
	if len(messages) == 0 || messages[0].NotBefore.After(before) {
		return
	}
	found.Overdue++
	if found.Overdue <= maxListed {
		c.Log.WarnContext(ctx, "an order is overdue", "order_id", o.ID, "status", o.Status.String(), "created_at", dynamostream.FormatTime(o.CreatedAt))
	}
}

// report logs the findings as metrics. An order that cannot be read counts as overdue: nothing
// will finish it.
func (c Check) report(ctx context.Context, found CheckResult) error {
	values := []awsclient.Metric{{Name: "OverdueOrders", Unit: "Count", Values: []int64{int64(found.Overdue + found.Unread)}}}
	tally, err := c.Metrics.Metrics(ctx)
	if err == nil {
		for _, s := range order.Statuses {
			if n := tally.ByStatus[s]; n != 0 || s <= order.Completed {
				values = append(values, awsclient.Metric{Name: s.String() + "Orders", Unit: "Count", Values: []int64{n}})
			}
		}
	}
	attrs := []slog.Attr{slog.Int("checked", found.Checked), slog.Bool("partial", found.Partial)}
	c.Log.LogAttrs(ctx, slog.LevelInfo, "orders are checked",
		append(attrs, awsclient.Metrics(c.Now(), "TableName", c.Table, values...)...)...)
	if err != nil {
		return fmt.Errorf("count the orders: %w", err)
	}
	return nil
}
