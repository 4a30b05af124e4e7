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

func TestADeletedOrderIsSubtractedAndOneThatWasTouchedIsNot(t *testing.T) {
	h := open(t)
	h.tally(t, "shard", newRecord("1", order.Change{New: &completed}), newRecord("2", order.Change{New: &importedCompleted}),
		newRecord("3", order.Change{New: &pending}), newRecord("4", order.Change{Old: &pending, New: &pending}), newRecord("5", order.Change{Old: &completed}))
	if got, want := h.metrics(t), (order.Tally{ByStatus: order.Counts{1, 0, 1}}); got != want {
		t.Errorf("metrics %+v, want %+v", got, want)
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
	imageless := created("2", 2)
	imageless.Change.NewImage = nil
	for name, e := range map[string]events.DynamoDBTimeWindowEvent{
		"no shard":                        window("", created("1", 1)),
		"an order that cannot be read":    window("shard", created("1", 1), unreadable("2", 2), created("3", 3)),
		"an order without images":         window("shard", created("1", 1), imageless),
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

func cancellation(codes ...string) error {
	e := &types.TransactionCanceledException{Message: aws.String("canceled")}
	for _, code := range codes {
		e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: aws.String(code)})
	}
	return e
}

// transactions is a client whose transactions all end in that way.
type transactions func() error

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
	if got := h.metrics(t); got.ByStatus != (order.Counts{0, 0, 5}) || got.CompletedCount != 5 {
		t.Errorf("metrics %+v", got)
	}
}

// F17, F18, I9, I17: Lambda may repeat a shard's batches: whole, in part, cut differently,
// concurrently, and requests may fail on their way. After each of them, every record that was
// delivered is counted once.
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
				lost, conflict := awstest.Fault(awstest.ResponseLost), awstest.Canceled("None", "TransactionConflict")
				for _, attempts := range rapid.SampledFrom([][][]awstest.Fault{
					{{lost}}, {{awstest.NeverArrives}}, {{awstest.Twice}}, {{awstest.Canceled("TransactionConflict", "None")}}, {{conflict}, {conflict}, {lost}},
					{{awstest.Canceled("ThrottlingError", "None")}, {awstest.Canceled("ProvisionedThroughputExceeded", "None")}}, {{lost, lost, lost}},
				}).Draw(rt, "faults") {
					h.faults.Play("TransactWriteItems", attempts...)
				}
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
