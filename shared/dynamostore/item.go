package dynamostore

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/dynamostream"
	"orders/shared/order"
)

// OrderPrefix begins the pk of every order and of no other item. Filters of the stream go by it.
const OrderPrefix = dynamostream.OrderPrefix

// ErrDamaged says that an item is not as the service writes it. A retry does not help. Other
// items are not affected.
var ErrDamaged = errors.New("damaged item")

// Keys of the items; see the package comment.
const (
	tallyKey     = "TALLY"
	checkpoints  = "CHECKPOINT"
	bucketPrefix = "ORDERS#"
)

// The index by_creation is spread over buckets, each of which takes 1,000 creates a second. Writers
// fill as many as Config.IndexBuckets says. Readers read the first few, and all of them once the
// marker is there. So the setting may be raised and lowered at any time, and only a table that
// has needed more buckets pays for reading them.
const (
	fewBuckets = 16
	maxBuckets = 64
)

// The marker is an item that stands in the index before the newest order of the first bucket, so
// that the query of that bucket, which begins a list, finds it without another request. A writer
// that fills more than the first few buckets writes the marker first. Nothing deletes it.
const (
	markerKey  = "BUCKETS"
	markerSort = "64"
	marker     = "~64" // its created_key: after every time, before beforeAll
)

func encodeMarker() item {
	it := key(markerKey, markerSort)
	it["bucket"], it["created_key"] = text(bucketName(0)), text(marker)
	return it
}

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func key(pk, sk string) item { return item{"pk": text(pk), "sk": text(sk)} }

func orderKey(id order.ID) item { return key(OrderPrefix+string(id), dynamostream.OrderSort) }

func bucketName(n int) string { return fmt.Sprintf("%s%02d", bucketPrefix, n) }

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// createdKey sorts orders by their creation. It is also the position in the list after that order.
func createdKey(created time.Time, id order.ID) string {
	return dynamostream.FormatTime(created) + "#" + string(id)
}

// encodeOrder returns the order as an item whose entry in the index is in one of so many buckets. A
// field that is not set has no attribute.
func encodeOrder(o order.Order, buckets int) item {
	items := make([]types.AttributeValue, len(o.ItemIDs))
	for i, id := range o.ItemIDs {
		items[i] = text(id)
	}
	it := orderKey(o.ID)
	it["bucket"] = text(bucketName(int(hash(string(o.ID)) % uint32(buckets))))
	it["created_key"] = text(createdKey(o.CreatedAt, o.ID))
	it["status"] = text(o.Status.String())
	it["created_at"] = text(dynamostream.FormatTime(o.CreatedAt))
	it["user_id"] = text(o.UserID)
	it["item_ids"] = &types.AttributeValueMemberL{Value: items}
	it["total_amount"] = number(int64(o.TotalAmount))
	it["fingerprint"] = &types.AttributeValueMemberB{Value: o.Fingerprint[:]}
	if o.ClientReference != "" {
		it["client_reference"] = text(o.ClientReference)
	}
	if !o.StartedAt.IsZero() {
		it["started_at"] = text(dynamostream.FormatTime(o.StartedAt))
	}
	if !o.CompletedAt.IsZero() {
		it["completed_at"] = text(dynamostream.FormatTime(o.CompletedAt))
	}
	return it
}

// names maps each attribute's placeholder to its name. Expressions use only placeholders, because
// many names are words that DynamoDB reserves; see
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html.
func names(attributes ...string) map[string]string {
	placeholders := make(map[string]string, len(attributes))
	for _, name := range attributes {
		placeholders["#"+name] = name
	}
	return placeholders
}

func newItemLookup(it item) dynamostream.Lookup {
	return func(name string) (string, bool) {
		value, ok := it[name]
		s, _ := value.(*types.AttributeValueMemberS)
		if s == nil {
			return "", ok
		}
		return s.Value, true
	}
}

// decodeOrder reads a whole order from its item, and returns an error for an item that encodeOrder
// does not write. Errors have the names of attributes and no values, which may be a client's.
func decodeOrder(it item) (order.Order, error) {
	o, err := dynamostream.DecodeLifecycle(newItemLookup(it))
	if err != nil {
		return order.Order{}, err
	}
	if o.Details, err = decodeDetails(it); err != nil {
		return order.Order{}, fmt.Errorf("order %s: %w", o.ID, err)
	}
	return o, nil
}

// encodeProgress returns what a transition can change besides the status, nil for an attribute that
// the order does not have. The version is an attribute of its own, for conditions.
func encodeProgress(o order.Order) item {
	it := item{"started_at": nil, "completed_at": nil}
	for name, t := range map[string]time.Time{"started_at": o.StartedAt, "completed_at": o.CompletedAt} {
		if !t.IsZero() {
			it[name] = text(dynamostream.FormatTime(t))
		}
	}
	if o.Exception != nil {
		exception, err := json.Marshal(o.Exception)
		if err != nil {
			panic(err) // numbers, times and valid texts can always be encoded
		}
		it["version"], it["exception"] = number(int64(o.Exception.Version)), text(string(exception))
	}
	return it
}

// decodeDetails reads the attributes that the client has set.
func decodeDetails(it item) (order.Details, error) {
	get := newItemLookup(it)
	var d order.Details
	var ok bool
	if d.UserID, ok = get("user_id"); !ok || d.UserID == "" {
		return d, errors.New("user_id is not a text")
	}
	if d.ClientReference, ok = get("client_reference"); ok && d.ClientReference == "" {
		return d, errors.New("client_reference is not a text")
	}
	list, ok := it["item_ids"].(*types.AttributeValueMemberL)
	if !ok {
		return d, errors.New("item_ids is not a list")
	}
	d.ItemIDs = make([]string, len(list.Value))
	for i, value := range list.Value {
		id, ok := value.(*types.AttributeValueMemberS)
		if !ok {
			return d, errors.New("item_ids is not a list of texts")
		}
		d.ItemIDs[i] = id.Value
	}
	cents, err := decodeInteger(it, "total_amount")
	if err != nil {
		return d, err
	}
	d.TotalAmount = order.Amount(cents)
	sum, ok := it["fingerprint"].(*types.AttributeValueMemberB)
	if !ok || len(sum.Value) != len(d.Fingerprint) {
		return d, errors.New("fingerprint is not a SHA-256")
	}
	copy(d.Fingerprint[:], sum.Value)
	return d, nil
}

func decodeInteger(it item, name string) (int64, error) {
	if value, ok := it[name].(*types.AttributeValueMemberN); ok {
		if n, err := strconv.ParseInt(value.Value, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s is not an integer", name)
}
