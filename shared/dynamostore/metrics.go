package dynamostore

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// Metrics implements order.MetricsReader: one strongly consistent Query of the tally
// items, summed. It is as current as Tallier is. One that cannot be read is
// ErrDamaged: a sum without it would be wrong.
func (s *Store) Metrics(ctx context.Context) (order.Tally, error) {
	found, err := s.cfg.Client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 aws.String(s.cfg.Table),
		KeyConditionExpression:    aws.String("#pk = :tally"),
		ExpressionAttributeNames:  names("pk"),
		ExpressionAttributeValues: item{":tally": text(tallyKey)},
		ConsistentRead:            aws.Bool(true),
	})
	if err != nil {
		return order.Tally{}, awsclient.WrapError("read the tally", err)
	}
	var sum order.Tally
	for _, it := range found.Items {
		part, err := tallyOf(it)
		if err != nil {
			sort, _ := textsOf(it)("sk")
			return order.Tally{}, fmt.Errorf("read the tally: %w %s %s: %w", ErrDamaged, tallyKey, sort, err)
		}
		sum.Add(part)
	}
	return sum, nil
}

// tallies is how many tally items the shards of the stream share, so that they
// seldom meet. All are on one page of a query.
const tallies = 16

func tallySort(shard string) string { return fmt.Sprintf("%02d", hash(shard)%tallies) }

var statusCounts = [...]string{order.Pending: "pending", order.Processing: "processing", order.Completed: "completed"}

// tallyOf reads one tally item. Counters that are absent are 0, and those that are not
// known are ignored, so that a later version can count more than this one.
func tallyOf(it item) (t order.Tally, err error) {
	counters := map[string]*int64{"timed_orders": &t.CompletedCount, "timed_ms": &t.DurationSumMillis}
	for s, name := range statusCounts {
		counters[name] = &t.ByStatus[s]
	}
	for name, n := range counters {
		if _, there := it[name]; !there {
			continue
		}
		if *n, err = integer(it, name); err != nil {
			return order.Tally{}, err
		}
	}
	return t, nil
}

// addition is the part of a transaction that adds t to one tally item, which it
// makes if there is none. total is for who looks at the table; nothing reads it.
func addition(table, sort string, t order.Tally) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: aws.String(table),
		Key:       key(tallyKey, sort),
		UpdateExpression: aws.String("ADD #total :total, #pending :pending, #processing :processing, " +
			"#completed :completed, #timed_orders :timed_orders, #timed_ms :timed_ms"),
		ExpressionAttributeNames: names("total", "pending", "processing", "completed", "timed_orders", "timed_ms"),
		ExpressionAttributeValues: item{
			":total":        number(t.Total()),
			":pending":      number(t.ByStatus[order.Pending]),
			":processing":   number(t.ByStatus[order.Processing]),
			":completed":    number(t.ByStatus[order.Completed]),
			":timed_orders": number(t.CompletedCount),
			":timed_ms":     number(t.DurationSumMillis),
		},
	}}
}
