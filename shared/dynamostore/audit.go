package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"orders/shared/awsclient"
	"orders/shared/dynamostream"
	"orders/shared/order"
)

// An AuditClient is the part of *dynamodb.Client that an Audit uses.
type AuditClient interface {
	TallyClient
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// An Audit reads every order and repairs the tally. It is for an operator: reading costs a read
// unit for each 4 KB of the table.
type Audit struct {
	Client AuditClient
	Table  string
	// Segments is how many parts of the table are read concurrently; at least 1.
	Segments int
	// PageSize is how many items a request reads at most; with 0 it reads 1 MB.
	PageSize int
	// ReadUnits is about how many read units are consumed a second; 0 is no limit.
	ReadUnits float64
}

// Orders reads all orders, unsorted, each as it is when its page is read. For an order that cannot
// be read it yields an error, and goes on. When the context ends or DynamoDB fails, it yields an
// error last. It keeps one page of each segment in memory.
func (a Audit) Orders(ctx context.Context) iter.Seq2[order.Order, error] {
	return func(yield func(order.Order, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		pages, scanned := make(chan []item), make(chan error, 1)
		go func() {
			defer close(pages)
			scanned <- a.scan(ctx, pages)
		}()
		defer func() {
			cancel()
			for range pages { // wait for the end of the scan
			}
		}()
		for page := range pages {
			for _, it := range page {
				if !yield(decodeOrder(it)) {
					return
				}
			}
		}
		if err := <-scanned; err != nil {
			yield(order.Order{}, awsclient.WrapError("read all orders", err))
		}
	}
}

// scan reads all segments concurrently, under one rate limit.
func (a Audit) scan(ctx context.Context, pages chan<- []item) error {
	limit, burst := rate.Inf, 1
	if a.ReadUnits > 0 {
		limit, burst = rate.Limit(a.ReadUnits), int(math.Ceil(a.ReadUnits))
	}
	limiter := rate.NewLimiter(limit, burst)
	g, ctx := errgroup.WithContext(ctx)
	for segment := range max(1, a.Segments) {
		g.Go(func() error { return a.scanSegment(ctx, segment, limiter, pages) })
	}
	return g.Wait()
}

func (a Audit) scanSegment(ctx context.Context, segment int, limiter *rate.Limiter, pages chan<- []item) error {
	input := dynamodb.ScanInput{
		TableName:                 aws.String(a.Table),
		Segment:                   aws.Int32(int32(segment)),
		TotalSegments:             aws.Int32(int32(max(1, a.Segments))),
		FilterExpression:          aws.String("#sk = :order"),
		ExpressionAttributeNames:  names("sk"),
		ExpressionAttributeValues: item{":order": text(dynamostream.OrderSort)},
		ConsistentRead:            aws.Bool(true),
		ReturnConsumedCapacity:    types.ReturnConsumedCapacityTotal,
	}
	if a.PageSize > 0 {
		input.Limit = aws.Int32(int32(a.PageSize))
	}
	for {
		found, err := a.Client.Scan(ctx, &input)
		if err != nil {
			return err
		}
		select {
		case pages <- found.Items:
		case <-ctx.Done():
			return ctx.Err()
		}
		if input.ExclusiveStartKey = found.LastEvaluatedKey; len(input.ExclusiveStartKey) == 0 {
			return nil
		}
		if err := waitForUnits(ctx, limiter, found.ConsumedCapacity); err != nil {
			return err
		}
	}
}

// waitForUnits waits until the limiter allows the units that a page has consumed.
func waitForUnits(ctx context.Context, limiter *rate.Limiter, consumed *types.ConsumedCapacity) error {
	if consumed == nil {
		return nil
	}
	for units := int(math.Ceil(aws.ToFloat64(consumed.CapacityUnits))); units > 0; units -= limiter.Burst() {
		if err := limiter.WaitN(ctx, min(units, limiter.Burst())); err != nil {
			return err
		}
	}
	return nil
}

// auditor is the name under which corrections have their checkpoint in the tally.
const auditor = "audit"

// AddTally adds a difference to the tally, once, also when a Tallier counts meanwhile or the SDK
// repeats the request. at is the time of the correction, later than that of the last one. After an
// error it may have been added: compute the difference again before a retry.
func (a Audit) AddTally(ctx context.Context, difference order.Tally, at time.Time) error {
	sequence, err := padSequence(strconv.FormatInt(at.UnixNano(), 10))
	if err != nil {
		return err
	}
	update := newTallyUpdate(a.Table, auditor, difference, encodeCheckpoint(sequence, at))
	update.ConditionExpression = aws.String(isNewOrAhead)
	update.ExpressionAttributeValues[":first"] = encodeCheckpoint(sequence, time.Time{})
	_, err = a.Client.UpdateItem(ctx, update)
	if refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		if reached, _ := decodeCheckpoint(refusal.Item, auditor); reached == sequence {
			return nil
		}
		return errors.New("correct the tally: another correction has been made since")
	}
	return awsclient.WrapError("correct the tally", err)
}

// sequenceLength is the least length of a sequence number in the stream; see
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetShardIterator.html.
const sequenceLength = 21

// Checkpoint is the sequence number of the last record of a shard that is in the tally, as the
// stream writes it; "" when there is no checkpoint, or it has expired. The error of a checkpoint
// that is not a sequence number is ErrDamaged.
func (a Audit) Checkpoint(ctx context.Context, shard string) (string, error) {
	it, err := a.get(ctx, key(tallyKey, tallySort(shard)))
	sequence := ""
	if err == nil {
		sequence, err = decodeCheckpoint(it, shard)
	}
	if sequence == "" && err == nil {
		if it, err = a.get(ctx, key(checkpoints, shard)); err == nil {
			sequence, err = decodeFirstCheckpoint(it)
		}
	}
	if digits := strings.TrimLeft(sequence, "0"); err == nil && digits != "" {
		return fmt.Sprintf("%0*s", sequenceLength, digits), nil
	}
	return "", err
}

// get reads one item.
func (a Audit) get(ctx context.Context, itemKey item) (item, error) {
	found, err := a.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(a.Table), Key: itemKey, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, awsclient.WrapError("read a checkpoint", err)
	}
	return found.Item, nil
}
