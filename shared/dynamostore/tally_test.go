package dynamostore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"pgregory.net/rapid"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

func (h *testStore) tallier() dynamostore.Tallier {
	return dynamostore.Tallier{
		Client: h.client, Table: h.table, Now: func() time.Time { return h.now }, Log: slog.New(slog.DiscardHandler),
	}
}

// window is the event that has those records.
func window(shard string, records ...events.DynamoDBEventRecord) (e events.DynamoDBTimeWindowEvent) {
	e.ShardID, e.Records = shard, records
	return e
}

// tally counts one batch and holds the response to its one form.
func (h *testStore) tally(t *testing.T, shard string, records ...events.DynamoDBEventRecord) {
	t.Helper()
	response, err := h.tallier().Handle(t.Context(), window(shard, records...))
	if err != nil {
		t.Fatal(err)
	}
	checkResponse(t, response)
}

// tallyAtLast counts one batch as Lambda has it counted: it repeats one that fails, with another
// token. DynamoDB Local fails on a busy machine, too.
func (h *testStore) tallyAtLast(t *testing.T, shard string, records ...events.DynamoDBEventRecord) {
	t.Helper()
	var err error
	for range 20 {
		if _, err = h.tallier().Handle(t.Context(), window(shard, records...)); !errors.Is(err, order.ErrUnavailable) {
			break
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func checkResponse(t *testing.T, response dynamostore.WindowResponse) {
	t.Helper()
	body, err := json.Marshal(response)
	if want := `{"state":{},"batchItemFailures":[]}`; err != nil || string(body) != want {
		t.Errorf("response %s, error %v, want %s", body, err, want)
	}
}

// lives are the records of n orders, each created, started and completed, and numbered from 1; the
// sequence numbers grow from 9 to 10 and from 99 to 100 digits' worth.
func lives(n int) (records []events.DynamoDBEventRecord) {
	for i := range n {
		a, b, c := pending, processed, completed
		a.ID, b.ID, c.ID = id(i), id(i), id(i)
		for _, change := range []order.Change{{New: &a}, {Old: &a, New: &b}, {Old: &b, New: &c}} {
			records = append(records, newRecord(fmt.Sprint(len(records)+1), change))
		}
	}
	return records
}

func TestTheTallyIsTheSumOfAllChanges(t *testing.T) {
	counted := func(pending, processing, completed, timed, millis int64) order.Tally {
		return order.Tally{ByStatus: [...]int64{pending, processing, completed}, CompletedCount: timed, DurationSumMillis: millis}
	}
	for name, tt := range map[string]struct {
		changes []order.Change
		want    order.Tally
	}{
		"created":                {[]order.Change{{New: &pending}}, counted(1, 0, 0, 0, 0)},
		"started":                {[]order.Change{{New: &pending}, {Old: &pending, New: &processed}}, counted(0, 1, 0, 0, 0)},
		"completed":              {[]order.Change{{New: &processed}, {Old: &processed, New: &completed}}, counted(0, 0, 1, 1, 60_000)},
		"imported as Processing": {[]order.Change{{New: &processed}}, counted(0, 1, 0, 0, 0)},
		"imported as Completed":  {[]order.Change{{New: &importedCompleted}}, counted(0, 0, 1, 0, 0)},
		"deleted":                {[]order.Change{{New: &completed}, {New: &pending}, {Old: &completed}}, counted(1, 0, 0, 0, 0)},
		"touched by an operator": {[]order.Change{{New: &pending}, {Old: &pending, New: &pending}}, counted(1, 0, 0, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			var records []events.DynamoDBEventRecord
			for i, c := range tt.changes {
				records = append(records, newRecord(fmt.Sprint(i+1), c))
			}
			h.tally(t, "shard", records...)
			if got := h.metrics(t); got != tt.want {
				t.Errorf("metrics %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTheTallyAndItsCheckpointAreStoredAsDocumented(t *testing.T) {
	h := open(t)
	h.tally(t, "shardId-1", append(foreign(), lives(2)...)...)
	sort := fnv.New32a()
	sort.Write([]byte("shardId-1"))
	tally := fmt.Sprintf("%02d", sort.Sum32()%16)
	for _, want := range []item{
		{"pk": text("TALLY"), "sk": text(tally), "total": number("2"), "pending": number("0"), "processing": number("0"),
			"completed": number("2"), "timed_orders": number("2"), "timed_ms": number("120000")},
		{"pk": text("CHECKPOINT"), "sk": text("shardId-1"), "sequence": text(strings.Repeat("0", 63) + "6"),
			"expires_at": number(fmt.Sprint(noon.Add(48 * time.Hour).Unix()))},
	} {
		pk, sk := want["pk"].(*types.AttributeValueMemberS).Value, want["sk"].(*types.AttributeValueMemberS).Value
		if got := h.item(t, pk, sk); !reflect.DeepEqual(got, want) {
			t.Errorf("stored %v, want %v", got, want)
		}
	}
}

func TestMetricsAreOneCall(t *testing.T) {
	h := open(t)
	for shard := range 64 {
		h.tally(t, fmt.Sprint("shard ", shard), created("1", shard))
	}
	h.calls.Take()
	if got := h.metrics(t); got.Total() != 64 || got.ByStatus[order.Pending] != 64 {
		t.Errorf("metrics %+v", got)
	}
	h.used(t, "Query", 1, 1)
}

// F17: nothing to count is no write, and needs no shard only when there is no record.
func TestABatchWithoutOrdersWritesNothing(t *testing.T) {
	h := open(t)
	final := window("")
	final.IsFinalInvokeForWindow = true
	for name, e := range map[string]events.DynamoDBTimeWindowEvent{
		"the end of a window":     final,
		"the tally's own records": window("shard", foreign()...),
	} {
		response, err := h.tallier().Handle(t.Context(), e)
		if err != nil {
			t.Errorf("%s: error %v", name, err)
		}
		checkResponse(t, response)
	}
	h.used(t, "TransactWriteItems", 0, 0)
}

// Better to stop, and have the alarm ring, than to count wrongly.
func TestABatchThatCannotBeCountedIsAnErrorAndNotTried(t *testing.T) {
	for name, e := range map[string]events.DynamoDBTimeWindowEvent{
		"no shard":                        window("", created("1", 1)),
		"a record without a number":       window("shard", created("", 1)),
		"an invalid sequence number":      window("shard", created("12a", 1)),
		"a number that is below zero":     window("shard", created("-12", 1)),
		"a number that is longer than it": window("shard", created(strings.Repeat("1", 65), 1)),
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			if _, err := h.tallier().Handle(t.Context(), e); err == nil {
				t.Error("no error")
			}
			h.used(t, "TransactWriteItems", 0, 0)
		})
	}
}

// F18: whatever happens to the request, its batch is counted once.
func TestATransactionThatFailsOnItsWayIsCountedOnce(t *testing.T) {
	conflict := []awstest.Fault{awstest.Canceled("None", "TransactionConflict")}
	for name, calls := range map[string][][]awstest.Fault{
		"it never arrives":                       {{awstest.NeverArrives}},
		"its response is lost":                   {{awstest.ResponseLost}},
		"it arrives twice":                       {{awstest.Twice}},
		"it conflicts on the tally":              {{awstest.Canceled("TransactionConflict", "None")}},
		"it conflicts again and again":           {conflict, conflict, conflict},
		"it conflicts, then its response's lost": {conflict, {awstest.ResponseLost}},
		"it is throttled":                        {{awstest.Canceled("ThrottlingError", "None")}, {awstest.Canceled("ProvisionedThroughputExceeded", "None")}},
		"no response comes, for a whole call":    {{awstest.ResponseLost, awstest.ResponseLost, awstest.ResponseLost}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			for _, attempts := range calls {
				h.faults.Play("TransactWriteItems", attempts...)
			}
			h.tallyAtLast(t, "shard", lives(3)...)
			if got := h.metrics(t); got.ByStatus != [3]int64{0, 0, 3} || got.DurationSumMillis != 180_000 {
				t.Errorf("metrics %+v", got)
			}
		})
	}
}

func cancellation(codes ...string) error {
	e := &types.TransactionCanceledException{Message: aws.String("canceled")}
	for _, code := range codes {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(code)})
	}
	return e
}

// transactions is a client whose transactions all end in that way.
type transactions func() error

func (f transactions) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return nil, f()
}

func (f transactions) TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	return &dynamodb.TransactWriteItemsOutput{}, f()
}

// I16: conflicts are retried a bounded number of times, and other refusals are not retried.
func TestTheAttemptsAtATransactionAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		reasons  []string
		attempts int
	}{
		"conflicts":            {[]string{"TransactionConflict", "TransactionConflict"}, 10},
		"not an item":          {[]string{"ValidationError", "None"}, 1},
		"both":                 {[]string{"ValidationError", "TransactionConflict"}, 1},
		"a nameless refusal":   {[]string{"None", "ConditionalCheckFailed"}, 1},
		"a missing permission": {[]string{"AccessDenied", "None"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts, began, last := 0, time.Now(), time.Time{}
				tallier := dynamostore.Tallier{Now: time.Now, Log: slog.New(slog.DiscardHandler), Client: transactions(func() error {
					attempts++
					last = time.Now()
					return cancellation(tt.reasons...)
				})}
				if _, err := tallier.Handle(t.Context(), window("shard", created("1", 1))); err == nil {
					t.Error("no error")
				}
				if took := time.Since(began); attempts != tt.attempts || took > 10*time.Second {
					t.Errorf("%d attempts in %s, want %d", attempts, took, tt.attempts)
				}
				if idle := time.Since(last); idle > 0 {
					t.Errorf("waits %s after the last attempt, for nothing", idle)
				}
			})
		})
	}
}

func TestTheEndOfTheContextEndsTheAttemptsAtATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		tallier := dynamostore.Tallier{Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Client: transactions(func() error { return cancellation("TransactionConflict") })}
		_, err := tallier.Handle(ctx, window("shard", created("1", 1)))
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 100*time.Millisecond {
			t.Errorf("error %v after %s", err, took)
		}
	})
}

// F19: two hundred shards that share one tally item write concurrently.
func TestManyShardsAtOnceShareATallyItem(t *testing.T) {
	h := open(t)
	var shards []string
	for n := 0; len(shards) < 200; n++ {
		shard := fmt.Sprint("shardId-", n)
		hash := fnv.New32a()
		hash.Write([]byte(shard))
		if hash.Sum32()%16 == 5 {
			shards = append(shards, shard)
		}
	}
	concurrently(len(shards), func(i int) {
		h.tallyAtLast(t, shards[i], created("1", i))
	})
	if got := h.item(t, "TALLY", "05"); !reflect.DeepEqual(got["pending"], number("200")) {
		t.Errorf("the tally item has %v", got)
	}
}

func TestRecordsOutOfOrderOrTwiceInABatchCountOnce(t *testing.T) {
	h := open(t)
	records := lives(5)
	shuffled := slices.Concat(records[7:], records[3:9], records[:7])
	h.tally(t, "shard", shuffled...)
	h.tally(t, "shard", records...)
	if got := h.metrics(t); got.ByStatus != [3]int64{0, 0, 5} || got.CompletedCount != 5 {
		t.Errorf("metrics %+v", got)
	}
}

// F17, I9: Lambda may repeat a shard's batches: whole, in part, cut differently, concurrently.
// After each of them, every record that was delivered is counted once.
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
			for range rapid.IntRange(1, 2).Draw(rt, "concurrently") {
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

// The stream also has the tally's own writes. Without a filter, its orders are counted and relayed,
// and the tally's writes are not counted.
func TestTheRealStreamIsCountedAndRelayed(t *testing.T) {
	h := open(t)
	first, second := h.create(t), h.create(t, importedAs(order.Processing))
	h.create(t, importedAs(order.Completed))
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
	if response := relayed(t, &q, all...); response != allWell || q.deadLettered != nil {
		t.Errorf("response %s, deadLettered %s", response, q.deadLettered)
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

// stream reads all records of the table's stream, which has one shard, as Lambda would give them to
// a function.
func (h *testStore) stream(t *testing.T) (shard string, records []events.DynamoDBEventRecord) {
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

// eventImage has the texts and numbers of a stream's image, which are all that the handlers read.
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
