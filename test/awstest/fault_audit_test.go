package awstest_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/order"
	"orders/test/awstest"
)

// audit waits until the home is quiet, reads everything in it, and compares that with
// what clients were told: no order but the acknowledged ones is there (I2, I3). Those
// deadLetters, and no others, are in the dead-letter queue.
func (h *faultyHome) audit(deadLetters ...string) {
	h.Helper()
	h.settle()
	if pages, whole := h.list(1+len(h.told)/5), h.list(1000); !slices.Equal(pages, whole) {
		h.Errorf("the pages joined are %v, all at once %v", pages, whole)
	}
	if left := h.faults.Unplayed(); len(left) > 0 {
		h.Errorf("not all faults were met: %s", left)
	}
	h.checkDeadLetters(deadLetters)
	h.checkStream()
}

// patience is how long nothing may change before all is done: longer than any pause
// between two attempts, than a function may run, and than the processing time. limit
// bounds it all.
const (
	patience = 25 * time.Second
	limit    = 90 * time.Second
)

// settle waits until all is done. Unfinished work that nothing is on its way for is lost.
func (h *faultyHome) settle() {
	h.Helper()
	began := time.Now()
	for last, since := "", began; ; time.Sleep(50 * time.Millisecond) {
		missing := h.unsettled()
		switch {
		case missing == nil:
			return
		case time.Since(since) > patience || time.Since(began) > limit:
			h.Fatalf("this does not come to an end: %v", missing)
		case missing.Error() != last:
			last, since = missing.Error(), time.Now()
		}
	}
}

// unsettled says what is missing until all is done: I4, I9, I12, I13, I17. What may never
// be is an error of the test at once: I1, I7, I8, I10.
func (h *faultyHome) unsettled() error {
	h.Helper()
	metrics, left := h.metrics(), h.onQueue(h.QueueURL)
	if metrics.ByStatus[order.Completed] != int64(len(h.told)) || left > 0 {
		return fmt.Errorf("the metrics are %+v, and %d messages are on the queue", metrics, left)
	}
	ids := h.list(1000)
	slices.Sort(ids)
	if want := slices.Sorted(maps.Keys(h.told)); !slices.Equal(ids, want) {
		return fmt.Errorf("listed are %v, acknowledged %v", ids, want)
	}
	var fold order.Tally
	for _, id := range ids {
		o := h.read(id)
		fold.Add(order.Change{New: &o}.Tally())
	}
	if fold.ByStatus[order.Completed] != int64(len(ids)) || metrics != fold {
		return fmt.Errorf("the metrics are %+v, a recount gives %+v", metrics, fold)
	}
	return nil
}

// list joins the pages of all ids. A page may lag, but no id may come twice.
func (h *faultyHome) list(limit int) (ids []order.ID) {
	h.Helper()
	for after := ""; ; {
		page, err := h.Store.List(h.Context(), limit, after)
		if err != nil {
			h.Fatalf("list: %v", err)
		}
		if ids, after = append(ids, page.IDs...), page.Next; after == "" {
			break
		}
	}
	if different := slices.Compact(slices.Sorted(slices.Values(ids))); len(different) != len(ids) {
		h.Errorf("the pages have %d ids, of which %d are different: %v", len(ids), len(different), ids)
	}
	return ids
}

// read returns an order, which must be what its client asked for, with times that fit.
func (h *faultyHome) read(id order.ID) order.Order {
	h.Helper()
	o, err := h.Store.Get(h.Context(), id)
	if err != nil {
		h.Fatalf("get: %v", err)
	}
	if o.ClientReference != h.told[id] || o.UserID != "645" || !slices.Equal(o.ItemIDs, []string{"890", "563"}) || o.TotalAmount != 1650_78 {
		h.Errorf("the order %q is %+v", h.told[id], o)
	}
	if o.Status > order.Pending && o.StartedAt.Before(o.CreatedAt) {
		h.Errorf("order %s was started %s before its creation", id, o.CreatedAt.Sub(o.StartedAt))
	}
	if o.Status == order.Completed && o.CompletedAt.Sub(o.StartedAt) < h.ProcessingTime {
		h.Errorf("order %s was completed %s after its start", id, o.CompletedAt.Sub(o.StartedAt))
	}
	return o
}

func (h *faultyHome) metrics() order.Tally {
	h.Helper()
	tally, err := h.Metrics.Metrics(h.Context())
	if err != nil {
		h.Fatalf("metrics: %v", err)
	}
	if slices.Min(tally.ByStatus[:]) < 0 || tally.CompletedCount < 0 || tally.DurationSumMillis < 0 {
		h.Errorf("the metrics count below zero: %+v", tally)
	}
	return tally
}

// onQueue counts the messages of a queue: those that wait, are in flight, or are
// delayed.
func (h *faultyHome) onQueue(url string) (n int) {
	h.Helper()
	output, err := h.queues.GetQueueAttributes(h.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		h.Fatalf("count messages: %v", err)
	}
	for _, name := range []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	} {
		part, err := strconv.Atoi(output.Attributes[string(name)])
		if err != nil {
			h.Fatalf("%s: %v", name, err)
		}
		n += part
	}
	return n
}

// checkDeadLetters holds the dead-letter queue to have those letters, and no others: I13.
// One may be there more than once, and none may be hidden.
func (h *faultyHome) checkDeadLetters(want []string) {
	h.Helper()
	there := h.onQueue(h.DeadLetterURL)
	if there == 0 && len(want) == 0 {
		return
	}
	letters, err := h.DeadLetters(h.Context())
	if err != nil {
		h.Fatalf("dead letters: %v", err)
	}
	got := make([]string, len(letters))
	for i, letter := range letters {
		got[i] = string(letter)
	}
	slices.Sort(got)
	slices.Sort(want)
	if got = slices.Compact(got); !slices.Equal(got, want) || len(letters) != there {
		h.Errorf("of %d dead letters these show: %.1000q, not %.1000q", there, got, want)
	}
}

// checkStream holds each order to have passed through each status once: I5, I6. The
// stream tells of every write that has changed something.
func (h *faultyHome) checkStream() {
	h.Helper()
	passed := map[string][]string{}
	for _, record := range h.stream() {
		pk, _ := record.Dynamodb.Keys["pk"].(*streamtypes.AttributeValueMemberS)
		status, _ := record.Dynamodb.NewImage["status"].(*streamtypes.AttributeValueMemberS)
		if status != nil {
			passed[pk.Value] = append(passed[pk.Value], status.Value)
		}
	}
	for id := range h.told {
		if got := passed["ORDER#"+string(id)]; !slices.Equal(got, []string{"Pending", "Processing", "Completed"}) {
			h.Errorf("order %s went through %v", id, got)
		}
	}
	if len(passed) != len(h.told) {
		h.Errorf("the stream has %d orders, not %d", len(passed), len(h.told))
	}
}

// stream reads all records of the table, which have one shard, from the first on.
func (h *faultyHome) stream() (records []streamtypes.Record) {
	h.Helper()
	client, arn := awstest.Streams(h), awstest.StreamARN(h, h.Table)
	iterator, err := firstRecord(h, client, arn)
	for err == nil {
		var page *dynamodbstreams.GetRecordsOutput
		page, err = client.GetRecords(h.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: iterator})
		if err != nil || len(page.Records) == 0 {
			break
		}
		records, iterator = append(records, page.Records...), page.NextShardIterator
	}
	if err != nil {
		h.Fatalf("read the stream: %v", err)
	}
	return records
}

func firstRecord(h *faultyHome, client *dynamodbstreams.Client, arn string) (*string, error) {
	described, err := client.DescribeStream(h.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
	if err != nil {
		return nil, err
	}
	shards := described.StreamDescription.Shards
	if len(shards) != 1 {
		return nil, errors.New("the stream has not one shard")
	}
	output, err := client.GetShardIterator(h.Context(), &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &arn, ShardId: shards[0].ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		return nil, err
	}
	return output.ShardIterator, nil
}
