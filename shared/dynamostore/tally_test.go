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
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

func (h *home) tallier() dynamostore.Tallier {
	return dynamostore.Tallier{
		Client: h.client, Table: h.table, Now: func() time.Time { return h.now }, Log: slog.New(slog.DiscardHandler),
	}
}

// window is the event that has those records.
func window(shard string, records ...events.DynamoDBEventRecord) (e events.DynamoDBTimeWindowEvent) {
	e.ShardID, e.Records = shard, records
	return e
}

// tally counts one batch and holds the answer to its one form.
func (h *home) tally(t *testing.T, shard string, records ...events.DynamoDBEventRecord) {
	t.Helper()
	answer, err := h.tallier().Handle(t.Context(), window(shard, records...))
	if err != nil {
		t.Fatal(err)
	}
	holdsAnswer(t, answer)
}

// tallyAtLast counts one batch as Lambda has it counted: it repeats one that fails,
// with another token. DynamoDB Local fails on a busy machine, too.
func (h *home) tallyAtLast(t *testing.T, shard string, records ...events.DynamoDBEventRecord) {
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

func holdsAnswer(t *testing.T, answer dynamostore.WindowResponse) {
	t.Helper()
	body, err := json.Marshal(answer)
	if want := `{"state":{},"batchItemFailures":[]}`; err != nil || string(body) != want {
		t.Errorf("answer %s, error %v, want %s", body, err, want)
	}
}

// lives are the records of n orders, each created, started and completed, and
// numbered from 1; the sequence numbers grow from 9 to 10 and from 99 to 100 digits' worth.
func lives(n int) (records []events.DynamoDBEventRecord) {
	for i := range n {
		a, b, c := pending, processed, completed
		a.ID, b.ID, c.ID = id(i), id(i), id(i)
		for _, change := range []order.Change{{New: &a}, {Old: &a, New: &b}, {Old: &b, New: &c}} {
			records = append(records, recordOf(fmt.Sprint(len(records)+1), change))
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
		"created":                 {[]order.Change{{New: &pending}}, counted(1, 0, 0, 0, 0)},
		"started":                 {[]order.Change{{New: &pending}, {Old: &pending, New: &processed}}, counted(0, 1, 0, 0, 0)},
		"completed":               {[]order.Change{{New: &processed}, {Old: &processed, New: &completed}}, counted(0, 0, 1, 1, 60_000)},
		"taken over as begun":     {[]order.Change{{New: &processed}}, counted(0, 1, 0, 0, 0)},
		"taken over as Completed": {[]order.Change{{New: &takenAsEnd}}, counted(0, 0, 1, 0, 0)},
		"deleted":                 {[]order.Change{{New: &completed}, {New: &pending}, {Old: &completed}}, counted(1, 0, 0, 0, 0)},
		"touched by an operator":  {[]order.Change{{New: &pending}, {Old: &pending, New: &pending}}, counted(1, 0, 0, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			var records []events.DynamoDBEventRecord
			for i, c := range tt.changes {
				records = append(records, recordOf(fmt.Sprint(i+1), c))
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
		answer, err := h.tallier().Handle(t.Context(), e)
		if err != nil {
			t.Errorf("%s: error %v", name, err)
		}
		holdsAnswer(t, answer)
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
		"a number that is none":           window("shard", created("12a", 1)),
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

// F18: what the transaction meets on its way leaves its mark once.
func TestATransactionThatFailsOnItsWayIsCountedOnce(t *testing.T) {
	conflict := []awstest.Fault{awstest.Canceled("None", "TransactionConflict")}
	for name, calls := range map[string][][]awstest.Fault{
		"it never arrives":                     {{awstest.NeverArrives}},
		"its answer is lost":                   {{awstest.ResponseLost}},
		"it arrives twice":                     {{awstest.Twice}},
		"it conflicts on the tally":            {{awstest.Canceled("TransactionConflict", "None")}},
		"it conflicts again and again":         {conflict, conflict, conflict},
		"it conflicts, then its answer's lost": {conflict, {awstest.ResponseLost}},
		"it is throttled":                      {{awstest.Canceled("ThrottlingError", "None")}, {awstest.Canceled("ProvisionedThroughputExceeded", "None")}},
		"no answer comes, for a whole call":    {{awstest.ResponseLost, awstest.ResponseLost, awstest.ResponseLost}},
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

func (f transactions) TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	return &dynamodb.TransactWriteItemsOutput{}, f()
}

// I16: no conflict is met for ever, and what is no conflict is not tried again.
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

// F19: two hundred shards at once, all of which share one tally item.
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
