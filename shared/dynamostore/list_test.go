package dynamostore_test

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/workload"
	"orders/test/awstest"
)

// indexed are n items as the index by_creation has them, a millisecond apart, and their ids, newest
// first. bucket says where the nth lies.
func indexed(n int, bucket func(n int) int) (items []item, ids []order.ID) {
	for i := range n {
		created := noon.Add(time.Duration(i) * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
		items = append(items, item{
			"pk": text("ORDER#" + string(id(i))), "sk": text("ORDER"),
			"bucket": text(fmt.Sprintf("ORDERS#%02d", bucket(i))), "created_key": text(created + "#" + string(id(i))),
		})
		ids = append(ids, id(i))
	}
	slices.Reverse(ids)
	return items, ids
}

func anywhere(n int) int { return rand.New(rand.NewPCG(uint64(n), 1)).IntN(16) }

func anywhereOf64(n int) int { return rand.New(rand.NewPCG(uint64(n), 1)).IntN(64) }

// raisedTo64 is what the buckets of a full table become when they are raised before its order 1200.
func raisedTo64(n int) int {
	if n < 1200 {
		return n % 16
	}
	return anywhereOf64(n)
}

// theMarker is in the index of a table whose orders may be in all 64 buckets.
var theMarker = item{"pk": text("BUCKETS"), "sk": text("64"), "bucket": text("ORDERS#00"), "created_key": text("~64")}

// filling opens another store in the same table that fills so many buckets.
func (h *testStore) filling(buckets int) *dynamostore.Store {
	return awstest.Must(dynamostore.New(dynamostore.Config{
		Client: h.client, Table: h.table, Now: func() time.Time { return h.now }, Random: crand.Reader, IndexBuckets: buckets,
	}))
}

// all reads the list page by page.
func all(t *testing.T, s *dynamostore.Store, limit int) (ids []order.ID) {
	t.Helper()
	for after := ""; ; {
		page, err := s.List(t.Context(), limit, after)
		if err != nil {
			t.Fatalf("List(%d, %q): %v", limit, after, err)
		}
		if len(page.IDs) > limit || page.Next != "" && len(page.IDs) < limit {
			t.Fatalf("List(%d, %q) has %d ids, next %q", limit, after, len(page.IDs), page.Next)
		}
		ids = append(ids, page.IDs...)
		if page.Next == "" {
			return ids
		}
		after = page.Next
	}
}

// I12, however unevenly the orders are spread.
func TestPagesJoinedAreAllIdsNewestFirst(t *testing.T) {
	for name, bucket := range map[string]func(int) int{
		"even":                    func(n int) int { return n % 16 },
		"by chance":               anywhere,
		"one bucket":              func(int) int { return 7 },
		"two buckets":             func(n int) int { return n % 2 * 15 },
		"one after the other":     func(n int) int { return n / 20 % 16 },
		"one old, the rest new":   func(n int) int { return min(n/200, 1) * 3 },
		"one bucket has just one": func(n int) int { return min(n, 1) * 9 },
		"by chance, of 64":        anywhereOf64,
		"16, then 64":             func(n int) int { return n % (16 + n/125*48) },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			items, want := indexed(250, bucket)
			h.put(t, items...)
			if slices.ContainsFunc(items, func(it item) bool { return it["bucket"].(*types.AttributeValueMemberS).Value > "ORDERS#15" }) {
				h.put(t, theMarker)
			}
			for _, limit := range []int{7, 125, 249, 250, 251, 1000} {
				if got := all(t, h.Store, limit); !slices.Equal(got, want) {
					t.Errorf("pages of %d are %v, want %v", limit, got, want)
				}
			}
		})
	}
}

// I12, I14: a damaged entry of the index does not affect the others.
func TestADamagedEntryOfTheIndexEndsNoList(t *testing.T) {
	h := open(t)
	items, want := indexed(40, anywhere)
	for n, key := range []string{
		"~~~", "zzz", "2026-11-22T12:00:00.003Z", "2026-11-22T12:00:00.003Z#", "2026-11-22T12:00:00.003Z#ORDER", "2026-11-22#" + string(id(1)),
		"2026-99-22T12:00:00.003Z#" + string(id(1)), "#" + string(id(1)), "\x00", "0", strings.Repeat("9", 1000),
	} {
		for i := range 20 {
			items = append(items, item{
				"pk": text(fmt.Sprintf("ORDER#damaged %d %d", n, i)), "sk": text("ORDER"),
				"bucket": text(fmt.Sprintf("ORDERS#%02d", i%16)), "created_key": text(key),
			})
		}
	}
	h.put(t, items...)
	for _, limit := range []int{1, 7, 40, 1000} {
		if got := all(t, h.Store, limit); !slices.Equal(got, want) {
			t.Errorf("pages of %d are %v, want %v", limit, got, want)
		}
	}
}

// I12: whatever a deployment makes of the setting, and whatever the setting of the reader.
func TestNoOrderLeavesTheListWhenTheBucketsAreRaisedOrLowered(t *testing.T) {
	h := open(t)
	var want []order.ID
	for _, buckets := range []int{16, 64, 16, 17, 1, 40} {
		writer := h.filling(buckets)
		for range 12 {
			h.now = h.now.Add(time.Millisecond)
			o, _, err := writer.Create(t.Context(), draft())
			if err != nil {
				t.Fatal(err)
			}
			want = slices.Insert(want, 0, o.ID)
		}
		if got := all(t, h.Store, 1000); !slices.Equal(got, want) {
			t.Fatalf("after %d buckets were filled the list is %v, want %v", buckets, got, want)
		}
	}
	for _, reader := range []int{1, 64} {
		if got := all(t, h.filling(reader), 25); !slices.Equal(got, want) {
			t.Errorf("to a reader with %d buckets pages of 25 are %v, want %v", reader, got, want)
		}
	}
}

// I12.
func TestAListThatBeganBeforeTheBucketsWereRaisedGoesOn(t *testing.T) {
	h := open(t)
	items, want := indexed(60, anywhere)
	h.put(t, items...)
	first, err := h.List(t.Context(), 25, "")
	if err != nil {
		t.Fatal(err)
	}
	h.now = noon.Add(time.Minute)
	for writer, n := h.filling(64), 0; n < 10; n++ {
		if _, _, err := writer.Create(t.Context(), draft()); err != nil {
			t.Fatal(err)
		}
	}
	rest, err := h.List(t.Context(), 100, first.Next)
	if got := slices.Concat(first.IDs, rest.IDs); err != nil || rest.Next != "" || !slices.Equal(got, want) {
		t.Errorf("the list is %v, error %v, want %v", got, err, want)
	}
}

// F1, I12: an order in a bucket that readers do not know of would be in no list.
func TestNoOrderIsStoredBeforeTheMarker(t *testing.T) {
	h := open(t)
	writer := h.filling(64)
	h.faults.Play("PutItem", awstest.NeverArrives, awstest.NeverArrives, awstest.NeverArrives)
	if _, _, err := writer.Create(t.Context(), draft()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("the order is stored although the marker is not: %v", err)
	}
	h.calls.Take()
	for n, calls := range []int{2, 1, 1} {
		if _, _, err := writer.Create(t.Context(), draft()); err != nil {
			t.Fatal(err)
		}
		if got := h.calls.Take().Calls["PutItem"]; got != calls {
			t.Errorf("create %d makes %d requests, want %d", n, got, calls)
		}
	}
	if got := h.count(t); got != 3 {
		t.Errorf("%d orders are listed, want 3", got)
	}
}

// A page costs what is on it, not sixteen times as much. While no writer fills more than sixteen
// buckets, the others cost nothing.
func TestTheCostOfAPage(t *testing.T) {
	for name, tt := range map[string]struct {
		orders  int
		bucket  func(int) int
		limit   int
		queries int
		units   float64
		marker  []item
	}{
		"nothing there":                     {0, anywhere, 1000, 16, 0, nil}, // 8 on AWS, which asks for half a unit at least
		"few ids":                           {400, anywhere, 10, 16, 8, nil},
		"few ids from one bucket alone":     {400, func(int) int { return 7 }, 10, 16, 0.5, nil},
		"a full page":                       {2000, anywhere, 1000, 16, workload.PageUnits(1000, 16), nil},
		"a full page from one bucket alone": {1100, func(int) int { return 7 }, 1000, 16 + 3, 16, nil},
		"few ids of 64 buckets":             {400, anywhereOf64, 10, 64, 32, []item{theMarker}},
		"a full page of 64 buckets":         {2300, raisedTo64, 1000, 64, workload.PageUnits(1000, 64), []item{theMarker}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			items, want := indexed(tt.orders, tt.bucket)
			h.put(t, append(items, tt.marker...)...)
			h.calls.Take()
			page, err := h.List(t.Context(), tt.limit, "")
			if err != nil || !slices.Equal(page.IDs, want[:min(tt.limit, len(want))]) {
				t.Fatalf("page %+v, error %v", page, err)
			}
			h.used(t, "Query", tt.queries, tt.units)
		})
	}
}

// A list that has begun with all buckets reads from each of them only what a page takes of it.
func TestALaterPageOfAllBucketsCostsNoMoreThanTheFirst(t *testing.T) {
	h := open(t)
	items, want := indexed(2300, raisedTo64)
	h.put(t, append(items, theMarker)...)
	first, err := h.List(t.Context(), 500, "")
	if err != nil {
		t.Fatal(err)
	}
	h.calls.Take()
	second, err := h.List(t.Context(), 500, first.Next)
	if err != nil || !slices.Equal(second.IDs, want[500:1000]) {
		t.Fatalf("page %+v, error %v", second, err)
	}
	h.used(t, "Query", 64, 32)
}

// F21: a lagging client reads an index in which new orders are not there yet, or are in one request
// and not in the next.
type lagging struct {
	dynamostore.Client
	since string
}

func (l lagging) Query(ctx context.Context, in *dynamodb.QueryInput, options ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	out, err := l.Client.Query(ctx, in, options...)
	if err == nil {
		out.Items = slices.DeleteFunc(out.Items, func(it item) bool {
			return it["created_key"].(*types.AttributeValueMemberS).Value >= l.since && rand.IntN(2) == 0
		})
	}
	return out, err
}

func TestAPageMayLagButNoneLies(t *testing.T) {
	h := open(t)
	items, ids := indexed(250, anywhere)
	h.put(t, items...)
	const recent = 100
	old := ids[recent:]
	stale := awstest.Must(dynamostore.New(dynamostore.Config{Table: h.table, Client: lagging{Client: h.client,
		since: items[len(items)-recent]["created_key"].(*types.AttributeValueMemberS).Value}}))
	for range 5 {
		got := all(t, stale, 25)
		if !slices.IsSortedFunc(got, func(a, b order.ID) int { return strings.Compare(string(b), string(a)) }) ||
			len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("pages joined are not newest first, each once: %v", got)
		}
		if n := len(got) - len(old); n < 0 || !slices.Equal(got[n:], old) {
			t.Fatalf("an order that the index has is missing: %v", got)
		}
	}
}

func TestAPositionThatNoPageGaveOutIsRefused(t *testing.T) {
	h := open(t)
	const good = "2026-11-22T12:00:00.000Z#ORD00000000000000000000000000"
	for _, after := range []string{good, good + "~64"} {
		if _, err := h.List(t.Context(), 1, after); err != nil {
			t.Fatal(err)
		}
	}
	h.calls.Take()
	for _, after := range []string{
		"x", "#", "~", "~64", good + "~", good + "~64~64", "~64" + good, "TALLY", good + "0", good[:len(good)-1], "0" + good, good[:25] + "ord00000000000000000000000000",
		good[:24], good[:25], good[24:], good + "#" + good, strings.ToLower(good), strings.Replace(good, ".", ",", 1),
		"2026-11-22T12:00:00Z#ORD00000000000000000000000000", "2026-13-22T12:00:00.000Z#ORD00000000000000000000000000",
		"2026-11-22T12:00:00.000+01:00#ORD00000000000000000000000000", strings.Repeat("9", 3000),
	} {
		if page, err := h.List(t.Context(), 1, after); !errors.Is(err, order.ErrInvalidCursor) {
			t.Errorf("List(after %q): %+v, error %v", after, page, err)
		}
	}
	h.used(t, "Query", 0, 0)
}
