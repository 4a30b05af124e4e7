package dynamostore

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/order"
)

// OrderPrefix is what the pk of every order begins with, and of nothing else: what
// readers of the stream filter by.
const OrderPrefix = "ORDER#"

// ErrDamaged says that an item of the table is not as the service writes it. No retry
// mends that, and items that do not need it are not concerned.
var ErrDamaged = errors.New("damaged item")

// Keys of the items; see the package comment.
const (
	orderSort    = "ORDER"
	tallyKey     = "TALLY"
	checkpoints  = "CHECKPOINT"
	bucketPrefix = "ORDERS#"
)

// buckets is how many partitions the index by_creation is spread over: each takes
// 1,000 creates a second. The number may grow, once every reader knows the greater
// one; if it shrank, the orders in the last buckets would not be listed any more.
const buckets = 16

// timeLayout is how times are stored: as text that sorts like the times it stands
// for, and that an operator can read.
const timeLayout = "2006-01-02T15:04:05.000Z"

type item = map[string]types.AttributeValue

func timeText(t time.Time) string { return t.UTC().Format(timeLayout) }

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func key(pk, sk string) item { return item{"pk": text(pk), "sk": text(sk)} }

func orderKey(id order.ID) item { return key(OrderPrefix+string(id), orderSort) }

// bucketOf spreads orders evenly over the buckets of the index.
func bucketOf(id order.ID) string { return bucket(int(hash(string(id)) % buckets)) }

func bucket(n int) string { return fmt.Sprintf("%s%02d", bucketPrefix, n) }

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// createdKey sorts orders by their creation. It is also the position in the list
// after that order.
func createdKey(created time.Time, id order.ID) string { return timeText(created) + "#" + string(id) }

// itemOf is the order as an item. What is not set is absent.
func itemOf(o order.Order) item {
	items := make([]types.AttributeValue, len(o.ItemIDs))
	for i, id := range o.ItemIDs {
		items[i] = text(id)
	}
	it := orderKey(o.ID)
	it["bucket"] = text(bucketOf(o.ID))
	it["created_key"] = text(createdKey(o.CreatedAt, o.ID))
	it["status"] = text(o.Status.String())
	it["created_at"] = text(timeText(o.CreatedAt))
	it["user_id"] = text(o.UserID)
	it["item_ids"] = &types.AttributeValueMemberL{Value: items}
	it["total_amount"] = number(int64(o.TotalAmount))
	it["fingerprint"] = &types.AttributeValueMemberB{Value: o.Fingerprint[:]}
	if o.ClientReference != "" {
		it["client_reference"] = text(o.ClientReference)
	}
	if !o.StartedAt.IsZero() {
		it["started_at"] = text(timeText(o.StartedAt))
	}
	if !o.CompletedAt.IsZero() {
		it["completed_at"] = text(timeText(o.CompletedAt))
	}
	return it
}

// names maps each attribute's placeholder to its name. Expressions use no name as it
// is, because many are words that DynamoDB reserves; see
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html.
func names(attributes ...string) map[string]string {
	placeholders := make(map[string]string, len(attributes))
	for _, name := range attributes {
		placeholders["#"+name] = name
	}
	return placeholders
}

// texts looks up an attribute of text. One of another type is there, but empty,
// and no attribute that is read here may be.
type texts func(name string) (value string, there bool)

func textsOf(it item) texts {
	return func(name string) (string, bool) {
		value, there := it[name]
		s, _ := value.(*types.AttributeValueMemberS)
		if s == nil {
			return "", there
		}
		return s.Value, true
	}
}

// orderOf reads a whole order off its item. What is not an order as itemOf writes it
// is an error. Errors name attributes and say nothing of their values, which may be
// a client's.
func orderOf(it item) (order.Order, error) {
	o, err := life(textsOf(it))
	if err != nil {
		return order.Order{}, err
	}
	if o.Details, err = details(it); err != nil {
		return order.Order{}, fmt.Errorf("order %s: %w", o.ID, err)
	}
	return o, nil
}

// life reads what the service itself says of an order, and what everything that
// follows from a change depends on: id, status and times.
func life(text texts) (order.Order, error) {
	id, err := idOf(text)
	if err != nil {
		return order.Order{}, err
	}
	o := order.Order{ID: id}
	status, _ := text("status")
	var ok bool
	if o.Status, ok = order.ParseStatus(status); !ok {
		return order.Order{}, fmt.Errorf("order %s: status is none", id)
	}
	for name, t := range map[string]*time.Time{
		"created_at": &o.CreatedAt, "started_at": &o.StartedAt, "completed_at": &o.CompletedAt,
	} {
		if *t, err = timeOf(text, name); err != nil {
			return order.Order{}, fmt.Errorf("order %s: %w", id, err)
		}
	}
	if !plausible(o) {
		return order.Order{}, fmt.Errorf("order %s: its times do not fit its status", id)
	}
	return o, nil
}

func idOf(text texts) (order.ID, error) {
	pk, _ := text("pk")
	sk, _ := text("sk")
	s, ok := strings.CutPrefix(pk, OrderPrefix)
	id, err := order.ParseID(s)
	if !ok || err != nil || sk != orderSort {
		return "", errors.New("the key is not an order's")
	}
	return id, nil
}

// timeOf is zero when there is no such attribute.
func timeOf(text texts, name string) (time.Time, error) {
	s, there := text(name)
	if !there {
		return time.Time{}, nil
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil || timeText(t) != s {
		return time.Time{}, fmt.Errorf("%s is not a time", name)
	}
	return t, nil
}

// plausible reports whether an order has the times that its status asks for, and
// whether they run forwards. One taken over as Completed has only the first.
func plausible(o order.Order) bool {
	started, completed := !o.StartedAt.IsZero(), !o.CompletedAt.IsZero()
	var fit bool
	switch o.Status {
	case order.Pending:
		fit = !started && !completed
	case order.Processing:
		fit = started && !completed
	default:
		fit = started == completed
	}
	return fit && !o.CreatedAt.IsZero() &&
		(!started || !o.StartedAt.Before(o.CreatedAt)) &&
		(!completed || !o.CompletedAt.Before(o.StartedAt))
}

// details reads what the client says of its order.
func details(it item) (order.Details, error) {
	text := textsOf(it)
	var d order.Details
	var ok bool
	if d.UserID, ok = text("user_id"); !ok || d.UserID == "" {
		return d, errors.New("user_id is not a text")
	}
	if d.ClientReference, ok = text("client_reference"); ok && d.ClientReference == "" {
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
	cents, err := integer(it, "total_amount")
	if err != nil {
		return d, err
	}
	d.TotalAmount = order.Amount(cents)
	sum, ok := it["fingerprint"].(*types.AttributeValueMemberB)
	if !ok || copy(d.Fingerprint[:], sum.Value) != len(d.Fingerprint) || len(sum.Value) != len(d.Fingerprint) {
		return d, errors.New("fingerprint is not a SHA-256")
	}
	return d, nil
}

func integer(it item, name string) (int64, error) {
	if value, ok := it[name].(*types.AttributeValueMemberN); ok {
		if n, err := strconv.ParseInt(value.Value, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s is not an integer", name)
}
