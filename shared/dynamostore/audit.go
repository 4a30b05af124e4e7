package dynamostore

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// An AuditClient is the part of *dynamodb.Client that an Audit uses.
type AuditClient interface {
	TransactionClient
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// An Audit reads every order and repairs the tally. It is for an operator: it
// costs a read unit for each 4 KB of the table, and no request of a client's needs it.
type Audit struct {
	Client AuditClient
	Table  string
	// Segments is how many parts of the table are read side by side; at least 1.
	Segments int
	// PageSize is how many items a request reads at most; 0 is as many as are in 1 MB.
	PageSize int
	// ReadUnits is how many read units are consumed a second, about; 0 is no limit.
	ReadUnits float64
}

// Orders reads all orders, in no order, each as it is when its page is read. One that
// cannot be read comes as an error, and the rest follows. So does the end of the
// context, or an error of the table's, and nothing follows. It keeps one page of each
// segment in memory.
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
			for range pages { // the scan ends before the loop over it does
			}
		}()
		for page := range pages {
			for _, it := range page {
				if !yield(orderOf(it)) {
					return
				}
			}
		}
		if err := <-scanned; err != nil {
			yield(order.Order{}, awsclient.WrapError("read all orders", err))
		}
	}
}

// scan reads all segments side by side, at their common pace.
func (a Audit) scan(ctx context.Context, pages chan<- []item) error {
	limit, burst := rate.Inf, 1
	if a.ReadUnits > 0 {
		limit, burst = rate.Limit(a.ReadUnits), int(math.Ceil(a.ReadUnits))
	}
	pace := rate.NewLimiter(limit, burst)
	g, ctx := errgroup.WithContext(ctx)
	for segment := range max(1, a.Segments) {
		g.Go(func() error { return a.scanSegment(ctx, segment, pace, pages) })
	}
	return g.Wait()
}

func (a Audit) scanSegment(ctx context.Context, segment int, pace *rate.Limiter, pages chan<- []item) error {
	input := dynamodb.ScanInput{
		TableName:                 aws.String(a.Table),
		Segment:                   aws.Int32(int32(segment)),
		TotalSegments:             aws.Int32(int32(max(1, a.Segments))),
		FilterExpression:          aws.String("#sk = :order"),
		ExpressionAttributeNames:  names("sk"),
		ExpressionAttributeValues: item{":order": text(orderSort)},
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
		if err := pay(ctx, pace, found.ConsumedCapacity); err != nil {
			return err
		}
	}
}

// pay waits as long as what a page has cost takes at that pace.
func pay(ctx context.Context, pace *rate.Limiter, cost *types.ConsumedCapacity) error {
	if cost == nil {
		return nil
	}
	for units := int(math.Ceil(aws.ToFloat64(cost.CapacityUnits))); units > 0; units -= pace.Burst() {
		if err := pace.WaitN(ctx, min(units, pace.Burst())); err != nil {
			return err
		}
	}
	return nil
}

// AddTally adds a difference to the tally, once: to what Tallier counts meanwhile, and
// also if the SDK has to repeat the request. An error leaves open whether it was added;
// so find out the difference again before trying again.
func (a Audit) AddTally(ctx context.Context, difference order.Tally) error {
	items := []types.TransactWriteItem{addition(a.Table, tallySort("audit"), difference)}
	return awsclient.WrapError("correct the tally", transact(ctx, a.Client, "audit", items))
}

// sequenceLength is how long a sequence number is at least, as the stream writes it; see
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetShardIterator.html.
const sequenceLength = 21

// Checkpoint is the sequence number of the last record of a shard that is in the
// tally, as the stream writes it; "" when there is none, or none any more. One that is
// no sequence number is ErrDamaged.
func (a Audit) Checkpoint(ctx context.Context, shard string) (string, error) {
	found, err := a.Client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(a.Table), Key: key(checkpoints, shard), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return "", awsclient.WrapError("read the checkpoint of "+shard, err)
	}
	sequence, ok := textsOf(found.Item)("sequence")
	if !ok {
		return "", nil
	}
	if _, err := padded(sequence); err != nil {
		return "", fmt.Errorf("read the checkpoint of %s: %w: %w", shard, ErrDamaged, err)
	}
	return fmt.Sprintf("%0*s", sequenceLength, strings.TrimLeft(sequence, "0")), nil
}
