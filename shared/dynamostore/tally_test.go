package dynamostore_test

import (
	"context"
	"encoding/binary"
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
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
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

// tallyAtLast counts one batch as Lambda has it counted: it repeats one that fails. DynamoDB Local
// fails on a busy machine, too.
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
			records = append(records, awstest.NewRecord(fmt.Sprint(len(records)+1), change))
		}
	}
	return records
}

func TestADeletedOrderIsSubtractedAndOneThatWasTouchedIsNot(t *testing.T) {
	h := open(t)
	h.tally(t, "shard", awstest.NewRecord("1", order.Change{New: &completed}), awstest.NewRecord("2", order.Change{New: &importedCompleted}),
		awstest.NewRecord("3", order.Change{New: &pending}), awstest.NewRecord("4", order.Change{Old: &pending, New: &pending}), awstest.NewRecord("5", order.Change{Old: &completed}))
	if got, want := h.metrics(t), (order.Tally{ByStatus: order.Counts{1, 0, 1}}); got != want {
		t.Errorf("metrics %+v, want %+v", got, want)
	}
}

// checkpoint is one as a tally item has it.
func checkpoint(sequence byte, at time.Time) types.AttributeValue {
	value := make([]byte, 17, 21)
	value[16] = sequence
	return &types.AttributeValueMemberB{Value: binary.BigEndian.AppendUint32(value, uint32(at.Unix()))}
}

func TestTheTallyAndItsCheckpointAreStoredAsDocumented(t *testing.T) {
	h := open(t)
	h.tally(t, "shardId-1", append(awstest.ForeignRecords(), lives(2)...)...)
	sort := fnv.New32a()
	sort.Write([]byte("shardId-1"))
	tally := fmt.Sprintf("%02d", sort.Sum32()%16)
	for _, want := range []item{
		{"pk": text("TALLY"), "sk": text(tally), "total": number("2"), "pending": number("0"), "processing": number("0"),
			"completed": number("2"), "timed_orders": number("2"), "timed_ms": number("120000"), "#1": checkpoint(6, noon)},
		{"pk": text("CHECKPOINT"), "sk": text("shardId-1"), "sequence": text(strings.Repeat("0", 63) + "6"), "before": text("0"),
			"expires_at": number(fmt.Sprint(noon.Add(48 * time.Hour).Unix()))},
	} {
		pk, sk := want["pk"].(*types.AttributeValueMemberS).Value, want["sk"].(*types.AttributeValueMemberS).Value
		if got := h.item(t, pk, sk); !reflect.DeepEqual(got, want) {
			t.Errorf("stored %v, want %v", got, want)
		}
	}
}

// In 48 hours a table with four partitions has 52 shards. Their checkpoints cost no unit more.
func TestTheCostOfCountingAndOfMetrics(t *testing.T) {
	h := open(t)
	for n := range 52 {
		shard := fmt.Sprintf("shardId-%020d-%08x", 1414576573621+n, n)
		for range 3 {
			h.calls.Take()
			h.tally(t, shard, created("1"+strings.Repeat("0", 27), n))
		}
		h.calls.Take()
		h.tally(t, shard, created("1"+strings.Repeat("0", 26)+"1", n), created("1"+strings.Repeat("0", 26)+"2", n))
		h.used(t, "UpdateItem", 1, 1)
	}
	h.calls.Take()
	if got := h.metrics(t); got.Total() != 3*52 || got.ByStatus[order.Pending] != 3*52 {
		t.Errorf("metrics %+v", got)
	}
	h.used(t, "Query", 1, 1)
}

// The item does not grow without bound. A checkpoint that another handler has moved meanwhile stays.
func TestExpiredCheckpointsAreDropped(t *testing.T) {
	h := open(t)
	shards := sharing(3)
	for _, shard := range shards {
		h.tally(t, shard, created("1", 1))
	}
	h.now = noon.Add(48*time.Hour + time.Second)
	calls := 0
	end := h.faults.Begin("UpdateItem", func(a *awstest.Attempt) (*smithyhttp.Response, error) {
		if calls++; calls == 2 { // the one that drops
			h.tally(t, shards[1], created("2", 1))
		}
		return a.Send()
	})
	h.tally(t, shards[0], created("2", 1))
	end()
	if got := h.item(t, "TALLY", "05"); got["#"+shards[1]] == nil {
		t.Errorf("a checkpoint that was moved is dropped: %v", got)
	}
	h.tally(t, shards[0], created("3", 1))
	got := h.item(t, "TALLY", "05")
	if len(got) != 8+2 || !reflect.DeepEqual(got["#"+shards[0]], checkpoint(3, h.now)) || !reflect.DeepEqual(got["pending"], number("6")) {
		t.Errorf("the tally item is %v", got)
	}
}

// sharing are shards that share the tally item 05.
func sharing(n int) (shards []string) {
	for i := 0; len(shards) < n; i++ {
		hash := fnv.New32a()
		fmt.Fprint(hash, "shard ", i)
		if hash.Sum32()%16 == 5 {
			shards = append(shards, fmt.Sprint("shard ", i))
		}
	}
	return shards
}

// F17: nothing to count is no write, and needs no shard only when there is no record.
func TestABatchWithoutOrdersWritesNothing(t *testing.T) {
	h := open(t)
	final := window("")
	final.IsFinalInvokeForWindow = true
	for name, e := range map[string]events.DynamoDBTimeWindowEvent{
		"the end of a window":     final,
		"the tally's own records": window("shard", awstest.ForeignRecords()...),
	} {
		response, err := h.tallier().Handle(t.Context(), e)
		if err != nil {
			t.Errorf("%s: error %v", name, err)
		}
		checkResponse(t, response)
	}
	h.used(t, "UpdateItem", 0, 0)
}

// Better to stop, and have the alarm ring, than to count wrongly.
func TestABatchThatCannotBeCountedIsAnErrorAndNotTried(t *testing.T) {
	for name, e := range map[string]events.DynamoDBTimeWindowEvent{
		"no shard":                        window("", created("1", 1)),
		"a record without a number":       window("shard", created("", 1)),
		"an invalid sequence number":      window("shard", created("12a", 1)),
		"a number that is below zero":     window("shard", created("-12", 1)),
		"a number that is longer than it": window("shard", created(strings.Repeat("1", 41), 1)),
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			if _, err := h.tallier().Handle(t.Context(), e); err == nil {
				t.Error("no error")
			}
			h.used(t, "UpdateItem", 0, 0)
		})
	}
}

// F15, I9: nobody knows what a damaged checkpoint has counted.
func TestADamagedCheckpointStopsTheTally(t *testing.T) {
	for _, damaged := range []item{
		{"pk": text("TALLY"), "sk": text("05"), "#" + sharing(1)[0]: text("1")},
		{"pk": text("TALLY"), "sk": text("05"), "#" + sharing(1)[0]: &types.AttributeValueMemberB{Value: []byte{255}}},
		{"pk": text("CHECKPOINT"), "sk": text(sharing(1)[0]), "sequence": number("1")},
		{"pk": text("CHECKPOINT"), "sk": text(sharing(1)[0]), "sequence": text("x")},
	} {
		h := open(t)
		h.put(t, damaged)
		if _, err := h.tallier().Handle(t.Context(), window(sharing(1)[0], created("1", 1))); !errors.Is(err, dynamostore.ErrDamaged) {
			t.Errorf("%v: error %v", damaged, err)
		}
		if reached, err := h.audit().Checkpoint(t.Context(), sharing(1)[0]); !errors.Is(err, dynamostore.ErrDamaged) || reached != "" {
			t.Errorf("%v: the checkpoint is %q, error %v", damaged, reached, err)
		}
		if got := h.metrics(t); got != (order.Tally{}) {
			t.Errorf("%v: metrics %+v", damaged, got)
		}
	}
}

// refusing is a table that refuses every write, without an item.
type refusing struct {
	dynamostore.TallyClient
	calls int
}

func (r *refusing) UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if r.calls++; r.calls > 100 {
		panic("the attempts do not end")
	}
	return nil, &types.ConditionalCheckFailedException{}
}

// I16: the attempts at a batch are bounded.
func TestARefusalWithoutAReasonEndsTheAttempts(t *testing.T) {
	var client refusing
	tallier := dynamostore.Tallier{Client: &client, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if _, err := tallier.Handle(t.Context(), window("shard", created("1", 1))); !errors.Is(err, order.ErrUnavailable) || client.calls != 3 {
		t.Errorf("error %v after %d calls", err, client.calls)
	}
}

// F19: two hundred shards that share one tally item write concurrently.
func TestManyShardsAtOnceShareATallyItem(t *testing.T) {
	h := open(t)
	shards := sharing(200)
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
			end := h.meet(rt)
			concurrently(len(batches), func(i int) {
				h.tallyAtLast(t, shard, batches[i]...)
			})
			end()
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

// meet makes the next attempts of UpdateItem meet faults, until end is called.
func (h *testStore) meet(rt *rapid.T, others ...awstest.Fault) (end func()) {
	faults := append([]awstest.Fault{
		(*awstest.Attempt).Send, awstest.NeverArrives, awstest.ResponseLost, awstest.Twice, awstest.Throttled, awstest.ExpiredCredentials,
	}, others...)
	var met atomic.Int64
	drawn := rapid.SliceOfN(rapid.IntRange(0, len(faults)-1), 0, 8).Draw(rt, "faults")
	return h.faults.Begin("UpdateItem", func(a *awstest.Attempt) (*smithyhttp.Response, error) {
		if n := int(met.Add(1)) - 1; n < len(drawn) {
			return faults[drawn[n]](a)
		}
		return a.Send()
	})
}

// A firstTally is what the first version sends for one batch: a transaction that adds the batch to
// the tally and moves the shard's checkpoint, an item of its own, from below its first record to its
// last.
type firstTally struct {
	shard   string
	records []events.DynamoDBEventRecord
}

func (f firstTally) send(h *testStore) error {
	if len(f.records) == 0 {
		return nil
	}
	sequence := func(n int) types.AttributeValue {
		return text(fmt.Sprintf("%064s", f.records[n].Change.SequenceNumber))
	}
	created, completed := 0, 0
	for _, r := range f.records {
		created += map[string]int{"INSERT": 1}[r.EventName]
		completed += map[bool]int{true: 1}[r.Change.NewImage["status"].String() == "Completed"]
	}
	processing := len(f.records) - created - completed // each record is one step of a life
	_, err := h.client.TransactWriteItems(context.Background(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Update: &types.Update{
			TableName: &h.table, Key: item{"pk": text("TALLY"), "sk": text("00")},
			UpdateExpression: aws.String("ADD pending :pending, processing :processing, completed :completed, timed_orders :completed, timed_ms :ms"),
			ExpressionAttributeValues: item{
				":pending": number(fmt.Sprint(created - processing)), ":processing": number(fmt.Sprint(processing - completed)),
				":completed": number(fmt.Sprint(completed)), ":ms": number(fmt.Sprint(completed * 60_000)),
			},
		}},
		{Put: &types.Put{
			TableName: &h.table, Item: item{"pk": text("CHECKPOINT"), "sk": text(f.shard), "sequence": sequence(len(f.records) - 1)},
			ConditionExpression:       aws.String("attribute_not_exists(#sequence) OR #sequence < :first"),
			ExpressionAttributeNames:  map[string]string{"#sequence": "sequence"},
			ExpressionAttributeValues: item{":first": sequence(0)},
		}},
	}})
	return err
}

// F17, F18, I9, I17: the first version has counted a part of a shard, and dies while its transaction
// is still under way, which lands at any moment or never. This version counts the rest, with any
// faults. After a rollback the first version goes on.
func TestAnUpgradeAndARollbackCountEachRecordOnce(t *testing.T) {
	h := open(t)
	records := lives(6)
	shards := 0
	rapid.Check(t, func(rt *rapid.T) {
		before := h.metrics(t)
		shards++
		shard := fmt.Sprint("shard ", shards)
		old := rapid.IntRange(0, len(records)).Draw(rt, "counted before")
		if err := (firstTally{shard, records[:old]}).send(h); err != nil {
			rt.Fatal(err)
		}
		underWay := firstTally{shard, records[old:rapid.IntRange(old, len(records)).Draw(rt, "under way")]}
		lands := func(a *awstest.Attempt) (*smithyhttp.Response, error) {
			_ = underWay.send(h) // or is refused
			return a.Send()
		}
		until, most := old, old+len(underWay.records)
		for range rapid.IntRange(1, 5).Draw(rt, "deliveries") {
			from := rapid.IntRange(0, until).Draw(rt, "from")
			to := rapid.IntRange(until, len(records)).Draw(rt, "to")
			most = max(most, to)
			end := h.meet(rt, lands, lands)
			_, err := h.tallier().Handle(t.Context(), window(shard, records[from:to]...))
			end()
			if err == nil { // otherwise Lambda repeats the batch, maybe with more records
				until = to
			}
		}
		_ = underWay.send(h) // or is refused
		from := rapid.IntRange(0, until).Draw(rt, "from")
		until = most
		h.tallyAtLast(t, shard, records[from:until]...)
		if got, want := h.metrics(t), sum(before, records[:until]); got != want {
			rt.Fatalf("metrics %+v after %d records, want %+v", got, until, want)
		}
		if err := (firstTally{shard, records[until:]}).send(h); err != nil {
			rt.Fatal(err)
		}
		if got, want := h.metrics(t), sum(before, records); got != want {
			rt.Fatalf("metrics %+v after a rollback, want %+v", got, want)
		}
	})
}
