package dynamostore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/dynamostream"
	"orders/shared/order"
)

// The readers must read what the first version has written, which stays in tables, streams and
// queues, and ignore what a later version may add.

// cart is an order of the first version, taken under the key "cart-1138".
const cart = order.ID("ORDXPNXAYDVDHVEBNEVVWXMQTVVE8")

// cartDraft asks for it.
func cartDraft() order.Draft {
	d := order.Draft{Key: order.KeyedID("", "cart-1138"), Details: order.Details{UserID: "anna", ItemIDs: []string{"tea", "tea"}, TotalAmount: 9_90}}
	d.SetFingerprint()
	return d
}

// cartItem is its item, as it was written then.
func cartItem() item {
	return item{
		"pk": text("ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"), "sk": text("ORDER"), "bucket": text("ORDERS#04"),
		"created_key": text("2026-11-22T12:00:00.007Z#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"),
		"status":      text("Pending"), "created_at": text("2026-11-22T12:00:00.007Z"),
		"user_id": text("anna"), "item_ids": &types.AttributeValueMemberL{Value: []types.AttributeValue{text("tea"), text("tea")}},
		"total_amount": number("990"), "fingerprint": &types.AttributeValueMemberB{Value: []byte(
			"\xc4\x91\x1f\x1e\x14\x7a\x87\xa2\xa2\xc3\x6c\xd6\x65\x5c\x30\x14\xd1\xc9\x15\x35\x8a\x57\xa0\xf2\x42\xaa\x3c\x32\x6b\x82\x6d\x04")},
	}
}

// cartOrder is what it means.
func cartOrder() order.Order {
	return order.Order{ID: cart, Details: cartDraft().Details, CreatedAt: noon.Add(7 * time.Millisecond)}
}

// added are attributes of every type that DynamoDB has, one within the other.
func added() item {
	all := item{
		"added_s": text("x"), "added_n": number("1"), "added_b": &types.AttributeValueMemberB{Value: []byte{0}},
		"added_bool": &types.AttributeValueMemberBOOL{Value: true}, "added_null": &types.AttributeValueMemberNULL{Value: true},
		"added_ss": &types.AttributeValueMemberSS{Value: []string{"a", "b"}}, "added_ns": &types.AttributeValueMemberNS{Value: []string{"1"}},
		"added_bs": &types.AttributeValueMemberBS{Value: [][]byte{{1}}},
		"Status":   number("1"), "STARTED_AT": text("yesterday"), // names have case
	}
	list := &types.AttributeValueMemberL{Value: slices.Collect(maps.Values(all))}
	all["added_m"] = &types.AttributeValueMemberM{Value: item{"status": text("Shipped"), "list": list}}
	all["added_l"] = &types.AttributeValueMemberL{Value: []types.AttributeValue{all["added_m"], list}}
	return all
}

// versions are an item as the first version wrote it, and as a later one may.
func versions(it item) map[string]item {
	return map[string]item{"the first": it, "a later": with(it, added())}
}

// After a rollback, the older version reads what the newer one has written.
func TestAnOrderIsWrittenAsTheFirstVersionWroteIt(t *testing.T) {
	h := open(t)
	h.now = cartOrder().CreatedAt
	if o, _, err := h.Create(t.Context(), cartDraft()); err != nil || !reflect.DeepEqual(o, cartOrder()) {
		t.Errorf("created %+v, error %v", o, err)
	}
	if got := h.item(t, "ORDER#"+string(cart), "ORDER"); !reflect.DeepEqual(got, cartItem()) {
		t.Errorf("stored %v, want %v", got, cartItem())
	}
	imported := cartDraft()
	imported.Key, imported.ClientReference, imported.InitialStatus = order.KeyedID("", "k"), "userTest23", order.Processing
	o, _, err := h.Create(t.Context(), imported)
	if got := h.get(t, o.ID); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("read %+v, created %+v, error %v", got, o, err)
	}
	it := h.item(t, "ORDER#"+string(o.ID), "ORDER")
	want := with(cartItem(), item{
		"pk": it["pk"], "bucket": it["bucket"], "created_key": text("2026-11-22T12:00:00.007Z#" + string(o.ID)),
		"client_reference": text("userTest23"), "status": text("Processing"), "started_at": text("2026-11-22T12:00:00.007Z"),
	})
	if !reflect.DeepEqual(it, want) {
		t.Errorf("an imported order is stored as %v, want %v", it, want)
	}
}

// I1, I3, I4, I17.
func TestAnItemOfAnyVersionIsTheSameOrder(t *testing.T) {
	for version, it := range versions(cartItem()) {
		t.Run(version, func(t *testing.T) {
			h := open(t)
			h.put(t, it)
			if got := h.get(t, cart); !reflect.DeepEqual(got, cartOrder()) {
				t.Errorf("read %+v, want %+v", got, cartOrder())
			}
			if o, replayed, err := h.Create(t.Context(), cartDraft()); !replayed || err != nil || o.ID != cart {
				t.Errorf("a retry of its key: replayed %v, %s, error %v", replayed, o.ID, err)
			}
			if got := all(t, h.Store, 1); !slices.Equal(got, []order.ID{cart}) {
				t.Errorf("the list is %v", got)
			}
			started, completed := noon.Add(time.Second), noon.Add(time.Minute)
			_, early := errors.AsType[*order.EarlyError](h.Advance(t.Context(), order.Message{OrderID: cart, To: order.Completed}, completed))
			if !early {
				t.Error("it was completed before it was started")
			}
			if err := errors.Join(
				h.Advance(t.Context(), order.Message{OrderID: cart, To: order.Processing}, started),
				h.Advance(t.Context(), order.Message{OrderID: cart, To: order.Completed}, completed),
			); err != nil {
				t.Error(err)
			}
			want := with(it, item{"status": text("Completed"), "started_at": text("2026-11-22T12:00:01.000Z"), "completed_at": text("2026-11-22T12:01:00.000Z")})
			if got := h.item(t, "ORDER#"+string(cart), "ORDER"); !reflect.DeepEqual(got, want) {
				t.Errorf("after its transitions the item is %v, want %v", got, want)
			}
			for o, err := range h.audit().Orders(t.Context()) {
				if err != nil || o.ID != cart || !o.CompletedAt.Equal(completed) {
					t.Errorf("audited %+v, error %v", o, err)
				}
			}
		})
	}
}

// I4, I5: an order that the first version has written is cancelled, failed and retried, too. The
// attributes that say so are new.
func TestAnItemOfAnyVersionCanLeaveTheMainPath(t *testing.T) {
	started := item{"status": text("Processing"), "started_at": text("2026-11-22T12:00:01.000Z")}
	for version, it := range versions(cartItem()) {
		t.Run(version, func(t *testing.T) {
			h := open(t)
			h.now = noon.Add(2 * time.Second)
			h.put(t, it)
			cancelled, err := h.Transition(t.Context(), cart, order.TransitionRequest{Transition: order.Cancel, Version: 1, Reason: "no tea", By: "anna"})
			if err != nil || cancelled.Version() != 2 || !reflect.DeepEqual(h.get(t, cart), cancelled) {
				t.Errorf("cancelled as %+v, error %v", cancelled, err)
			}
			want := with(it, item{"status": text("Cancelled"), "version": number("2"), "exception": text(
				`{"version":2,"attempt":0,"reason":"no tea","cancelled_at":"2026-11-22T12:00:02Z",` +
					`"history":[{"transition":"cancel","at":"2026-11-22T12:00:02Z","by":"anna","reason":"no tea"}]}`)})
			if got := h.item(t, "ORDER#"+string(cart), "ORDER"); !reflect.DeepEqual(got, want) {
				t.Errorf("stored %v, want %v", got, want)
			}
			h.put(t, with(it, started))
			for n, transition := range []order.Transition{order.Fail, order.Retry} {
				o, err := h.Transition(t.Context(), cart, order.TransitionRequest{Transition: transition, Version: n + 2})
				if err != nil || !reflect.DeepEqual(h.get(t, cart), o) {
					t.Errorf("%s: %+v, error %v", transition, o, err)
				}
			}
			if err := h.Advance(t.Context(), order.Message{OrderID: cart, To: order.Processing, Version: 4}, noon.Add(time.Minute)); err != nil {
				t.Error(err)
			}
			if o := h.get(t, cart); o.Status != order.Processing || o.Version() != 5 || !o.StartedAt.Equal(noon.Add(time.Minute)) {
				t.Errorf("started again as %+v", o)
			}
		})
	}
}

// cartRecords are the records that the stream has of its life, as Lambda hands them over.
const cartRecords = `{"Records":[
{"eventID":"e1","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1795348800,
 "Keys":{"pk":{"S":"ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"sk":{"S":"ORDER"}},
 "NewImage":{"pk":{"S":"ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"sk":{"S":"ORDER"},"bucket":{"S":"ORDERS#04"},"created_key":{"S":"2026-11-22T12:00:00.007Z#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"status":{"S":"Pending"},"created_at":{"S":"2026-11-22T12:00:00.007Z"},"user_id":{"S":"anna"},"item_ids":{"L":[{"S":"tea"},{"S":"tea"}]},"total_amount":{"N":"990"},"fingerprint":{"B":"xJEfHhR6h6Kiw2zWZVwwFNHJFTWKV6DyQqo8MmuCbQQ="}ADDED},
 "SequenceNumber":"111100000000000000000000001","SizeBytes":334,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/orders/stream/1"},
{"eventID":"e2","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1795348801,
 "Keys":{"pk":{"S":"ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"sk":{"S":"ORDER"}},
 "OldImage":{"pk":{"S":"ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"sk":{"S":"ORDER"},"status":{"S":"Pending"},"created_at":{"S":"2026-11-22T12:00:00.007Z"}ADDED},
 "NewImage":{"pk":{"S":"ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"sk":{"S":"ORDER"},"status":{"S":"Processing"},"created_at":{"S":"2026-11-22T12:00:00.007Z"},"started_at":{"S":"2026-11-22T12:00:01.000Z"}ADDED},
 "SequenceNumber":"111200000000000000000000002","SizeBytes":700,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/orders/stream/1"},
{"eventID":"e3","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1795348860,
 "Keys":{"pk":{"S":"ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"sk":{"S":"ORDER"}},
 "OldImage":{"pk":{"S":"ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"sk":{"S":"ORDER"},"status":{"S":"Processing"},"created_at":{"S":"2026-11-22T12:00:00.007Z"},"started_at":{"S":"2026-11-22T12:00:01.000Z"}ADDED},
 "NewImage":{"pk":{"S":"ORDER#ORDXPNXAYDVDHVEBNEVVWXMQTVVE8"},"sk":{"S":"ORDER"},"status":{"S":"Completed"},"created_at":{"S":"2026-11-22T12:00:00.007Z"},"started_at":{"S":"2026-11-22T12:00:01.000Z"},"completed_at":{"S":"2026-11-22T12:01:00.000Z"}ADDED},
 "SequenceNumber":"111300000000000000000000003","SizeBytes":740,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/orders/stream/1"}
]}`

// addedJSON are attributes of every type, as the stream writes them.
const addedJSON = `,"added_s":{"S":""},"added_n":{"N":"1E+3"},"added_b":{"B":""},"added_bool":{"BOOL":false},"added_null":{"NULL":true},` +
	`"added_ss":{"SS":["a"]},"added_ns":{"NS":["1","2"]},"added_bs":{"BS":["AA==",""]},"added_l":{"L":[]},"added_m":{"M":{}},` +
	`"Status":{"N":"1"},"nested":{"M":{"status":{"S":"Shipped"},"l":{"L":[{"M":{"pk":{"NULL":true}}},{"BS":[]},{"NS":["1"]},{"B":"AA=="}]}}}`

// streams are the records as the first version's table and today's Lambda write them, and as later
// ones may.
func streams(t *testing.T) map[string][]events.DynamoDBEventRecord {
	t.Helper()
	laterLambda := strings.NewReplacer(`{"eventID"`, `{"added":{"a":[1]},"eventID"`, `"Keys":`, `"Added":[{"S":1}],"Keys":`,
		`{"Records"`, `{"added":null,"Records"`, `"eventSource"`, `"tableName":"orders","userIdentity":null,"eventSource"`)
	first, later := strings.ReplaceAll(cartRecords, "ADDED", ""), strings.ReplaceAll(cartRecords, "ADDED", addedJSON)
	read := map[string][]events.DynamoDBEventRecord{}
	for version, stream := range map[string]string{
		"the first": first, "a later table": later, "a later Lambda": laterLambda.Replace(first), "both": laterLambda.Replace(later),
	} {
		var e events.DynamoDBEvent
		if err := json.Unmarshal([]byte(stream), &e); err != nil || len(e.Records) != 3 {
			t.Fatalf("%s: %d records, error %v", version, len(e.Records), err)
		}
		read[version] = e.Records
	}
	return read
}

// I4, I9.
func TestAStreamOfAnyVersionIsRelayedAndCounted(t *testing.T) {
	for version, records := range streams(t) {
		t.Run(version, func(t *testing.T) {
			var sent []order.Message
			for _, r := range records {
				change, err := dynamostream.DecodeChange(r)
				if err != nil {
					t.Error(err)
				}
				sent = append(sent, change.FollowUps(order.Timer(processing))...)
			}
			want := []order.Message{
				{OrderID: cart, To: order.Processing, NotBefore: noon.Add(7 * time.Millisecond)},
				{OrderID: cart, To: order.Completed, NotBefore: noon.Add(time.Second + processing)},
			}
			if !reflect.DeepEqual(sent, want) {
				t.Errorf("sent %+v, want %+v", sent, want)
			}
			h := open(t)
			for n, want := range []order.Tally{
				{ByStatus: order.Counts{1, 0, 0}}, {ByStatus: order.Counts{0, 1, 0}},
				{ByStatus: order.Counts{0, 0, 1}, CompletedCount: 1, DurationSumMillis: 59_993},
			} {
				h.tally(t, "shard", records[:n+1]...)
				if got := h.metrics(t); got != want {
					t.Errorf("after %d records the metrics are %+v, want %+v", n+1, got, want)
				}
			}
		})
	}
}

// I9, I10: a missing counter is 0, and an unknown one is ignored.
func TestTallyItemsOfAnyVersionAreSummed(t *testing.T) {
	first := item{"pk": text("TALLY"), "sk": text("03"), "total": number("12"), "pending": number("3"), "processing": number("4"),
		"completed": number("5"), "timed_orders": number("2"), "timed_ms": number("100000")}
	for name, tt := range map[string]struct {
		it   item
		want order.Tally
	}{
		"the first version's":    {first, order.Tally{ByStatus: order.Counts{3, 4, 5}, CompletedCount: 2, DurationSumMillis: 100_000}},
		"a later one's":          {with(with(first, added()), item{"canceled": number("7")}), order.Tally{ByStatus: order.Counts{3, 4, 5}, CompletedCount: 2, DurationSumMillis: 100_000}},
		"one without a counter":  {with(first, item{"pending": nil, "total": nil}), order.Tally{ByStatus: order.Counts{0, 4, 5}, CompletedCount: 2, DurationSumMillis: 100_000}},
		"one without timings":    {with(first, item{"timed_orders": nil, "timed_ms": nil}), order.Tally{ByStatus: order.Counts{3, 4, 5}}},
		"one that has no others": {item{"pk": text("TALLY"), "sk": text("03")}, order.Tally{}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.put(t, tt.it)
			if got := h.metrics(t); got != tt.want {
				t.Errorf("metrics %+v, want %+v", got, tt.want)
			}
			difference := order.Tally{ByStatus: order.Counts{1, 2, 3, 4, 5}, CompletedCount: 1, DurationSumMillis: 50_000}
			for n := range 64 { // shards, some of which share that item
				h.tally(t, fmt.Sprint("shard ", n), created("1", n))
			}
			if err := h.audit().AddTally(t.Context(), difference, noon); err != nil {
				t.Fatal(err)
			}
			want := tt.want
			want.Add(difference)
			want.Add(order.Tally{ByStatus: order.Counts{64}})
			if got := h.metrics(t); got != want {
				t.Errorf("after more was counted: metrics %+v, want %+v", got, want)
			}
		})
	}
}

// I9: a counter of another type is damaged, and metrics without it would be wrong.
func TestADamagedCounterIsNotTakenForNothing(t *testing.T) {
	for name, damage := range map[string]item{
		"a text": {"pending": text("3")}, "a fraction": {"timed_ms": number("0.5")}, "beyond 64 bits": {"completed": number("9223372036854775808")},
		"null": {"processing": &types.AttributeValueMemberNULL{Value: true}}, "a list": {"timed_orders": &types.AttributeValueMemberL{}},
	} {
		h := open(t)
		h.put(t, with(item{"pk": text("TALLY"), "sk": text("03")}, damage))
		if got, err := h.Metrics(t.Context()); err == nil || errors.Is(err, order.ErrUnavailable) || got != (order.Tally{}) {
			t.Errorf("%s: metrics %+v, error %v", name, got, err)
		}
	}
}

// F17, I9.
func TestACheckpointOfAnyVersionKeepsWhatIsCounted(t *testing.T) {
	first := item{"pk": text("CHECKPOINT"), "sk": text("shard"), "sequence": text(strings.Repeat("0", 62) + "10"), "expires_at": number("1795521600")}
	for version, it := range versions(first) {
		h := open(t)
		h.put(t, it)
		h.tally(t, "shard", created("8", 1), created("9", 1))
		if got := h.item(t, "CHECKPOINT", "shard"); !reflect.DeepEqual(got, it) {
			t.Errorf("%s: after a batch that it has counted, the checkpoint is %v", version, got)
		}
		h.tally(t, "shard", created("9", 1), created("10", 2), created("11", 3))
		if got, want := h.metrics(t), (order.Tally{ByStatus: order.Counts{1}}); got != want {
			t.Errorf("%s: metrics %+v, want %+v", version, got, want)
		}
		if got, err := h.audit().Checkpoint(t.Context(), "shard"); got != "000000000000000000011" || err != nil {
			t.Errorf("%s: the checkpoint is %q, error %v", version, got, err)
		}
	}
}
