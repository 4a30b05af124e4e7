package dynamostore_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"pgregory.net/rapid"

	"orders/shared/order"
	"orders/test/awstest"
)

// F17, I9: a shard's batches come again as Lambda likes: whole, in part, cut
// otherwise, side by side. What was delivered is counted once, after each of them.
func TestEachRecordCountsOnceHoweverBatchesAreRepeated(t *testing.T) {
	h := open(t)
	records := lives(8)
	var shards atomic.Int64
	before := h.metrics(t)
	rapid.Check(t, func(rt *rapid.T) {
		shard := fmt.Sprint("shard ", shards.Add(1))
		delivered, until := 0, 0
		for range rapid.IntRange(1, 6).Draw(rt, "deliveries") {
			var batches [][]events.DynamoDBEventRecord
			for range rapid.IntRange(1, 2).Draw(rt, "side by side") {
				// A reader starts again anywhere, but it never skips.
				from := rapid.IntRange(0, delivered).Draw(rt, "from")
				to := rapid.IntRange(from, len(records)).Draw(rt, "to")
				batches, until = append(batches, records[from:to]), max(until, to)
			}
			if rapid.IntRange(0, 3).Draw(rt, "lost") == 0 && slices.ContainsFunc(batches, func(b []events.DynamoDBEventRecord) bool { return len(b) > 0 }) {
				h.faults.Play("TransactWriteItems", awstest.ResponseLost)
			}
			concurrently(len(batches), func(i int) {
				h.tallyAtLast(t, shard, batches[i]...)
			})
			delivered = until
			if got, want := h.metrics(t), sum(before, records[:delivered]); got != want {
				rt.Fatalf("metrics %+v after %d records, want %+v", got, delivered, want)
			}
		}
		before = sum(before, records[:delivered])
	})
}

// sum adds to a tally what records 1 to n of lives count.
func sum(t order.Tally, records []events.DynamoDBEventRecord) order.Tally {
	t.ByStatus[order.Pending] += int64(len(records)+2)/3 - int64(len(records)+1)/3
	t.ByStatus[order.Processing] += int64(len(records)+1)/3 - int64(len(records))/3
	t.ByStatus[order.Completed] += int64(len(records)) / 3
	t.CompletedCount += int64(len(records)) / 3
	t.DurationSumMillis += int64(len(records)) / 3 * 60_000
	return t
}

// The stream itself, which has the tally's own writes in it, too: without a filter, the
// orders in it are counted and relayed, and the tally does not feed on itself.
func TestTheRealStreamIsCountedAndRelayed(t *testing.T) {
	h := open(t)
	first, second := h.create(t), h.create(t, takenOver(order.Processing))
	h.create(t, takenOver(order.Completed))
	for id, to := range map[order.ID]order.Status{first.ID: order.Processing, second.ID: order.Completed} {
		if err := h.Advance(t.Context(), id, to, noon.Add(processing)); err != nil {
			t.Fatal(err)
		}
	}
	shard, records := h.stream(t)
	h.tally(t, shard, records...)
	want := order.Tally{ByStatus: [3]int64{0, 1, 2}, CompletedCount: 1, DurationSumMillis: processing.Milliseconds()}
	if got := h.metrics(t); got != want {
		t.Errorf("metrics %+v, want %+v", got, want)
	}

	_, all := h.stream(t)
	if len(records) != 5 || len(all) != 7 {
		t.Fatalf("%d records, then %d; want 5 of orders, and 2 of the tally", len(records), len(all))
	}
	h.calls.Take()
	h.tally(t, shard, all[5:]...)
	h.used(t, "TransactWriteItems", 0, 0)

	var q queue
	if answer := relayed(t, &q, all...); answer != allWell || q.buried != nil {
		t.Errorf("answer %s, buried %s", answer, q.buried)
	}
	var sent []string
	for _, m := range q.sent {
		sent = append(sent, string(m.OrderID)+" "+m.To.String())
	}
	slices.Sort(sent)
	expected := []string{string(first.ID) + " Completed", string(first.ID) + " Processing", string(second.ID) + " Completed"}
	slices.Sort(expected)
	if !slices.Equal(sent, expected) {
		t.Errorf("sent %v, want %v", sent, expected)
	}
}

// stream reads all records of the table's stream, which has one shard, as Lambda
// would give them to a function.
func (h *home) stream(t *testing.T) (shard string, records []events.DynamoDBEventRecord) {
	t.Helper()
	client, arn := awstest.Streams(t), awstest.StreamARN(t, h.table)
	described, err := client.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
	if err != nil || len(described.StreamDescription.Shards) != 1 {
		t.Fatalf("stream %+v, error %v", described, err)
	}
	shard = *described.StreamDescription.Shards[0].ShardId
	iterator, err := client.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &arn, ShardId: &shard, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: iterator.ShardIterator})
	if err != nil || len(found.Records) == 0 {
		t.Fatalf("records %+v, error %v", found, err)
	}
	for _, r := range found.Records {
		records = append(records, events.DynamoDBEventRecord{
			EventID: aws.ToString(r.EventID), EventName: string(r.EventName),
			Change: events.DynamoDBStreamRecord{
				SequenceNumber: aws.ToString(r.Dynamodb.SequenceNumber), Keys: eventImage(r.Dynamodb.Keys),
				OldImage: eventImage(r.Dynamodb.OldImage), NewImage: eventImage(r.Dynamodb.NewImage),
			},
		})
	}
	return shard, records
}

// eventImage has the texts and numbers of a stream's image, which are all that the
// handlers read.
func eventImage(from map[string]streamtypes.AttributeValue) image {
	to := image{}
	for name, value := range from {
		switch v := value.(type) {
		case *streamtypes.AttributeValueMemberS:
			to[name] = events.NewStringAttribute(v.Value)
		case *streamtypes.AttributeValueMemberN:
			to[name] = events.NewNumberAttribute(v.Value)
		}
	}
	return to
}
