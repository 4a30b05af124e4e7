package dynamostore

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
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
