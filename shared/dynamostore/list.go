package dynamostore

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"orders/shared/awsclient"
	"orders/shared/dynamostream"
	"orders/shared/order"
)

// List implements order.Store: a k-way merge of the buckets of the index, which are read
// concurrently, each for its share of the page. A position is the created_key of the last id on a
// page, and means the same in every bucket.
//
// The first page reads few buckets, and all of them if it finds the marker. A position then ends in
// the marker, because the other pages do not see it. The other pages of a list that began without
// the marker need few buckets: the orders in the others are newer than its first page.
//
// The index lags behind the table by moments: the newest orders may be missing, but no order is
// listed that does not exist. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html.
//
// An entry of the index with a damaged created_key has no place in the order of the list. List
// leaves it out.
func (s *Store) List(ctx context.Context, limit int, after string) (order.Page, error) {
	after, all := strings.CutSuffix(after, marker)
	if after == "" && !all {
		after = beforeAll
	} else if !isPosition(after) {
		return order.Page{}, order.ErrInvalidCursor
	}
	buckets := fewBuckets
	if all {
		buckets = maxBuckets
	}
	cursors := newCursors(nil, buckets, after, limit)
	// One key beyond the limit tells whether there is another page.
	keys := make([]string, 0, limit+1)
	for complete := false; !complete; {
		if err := s.fetchMore(ctx, cursors, limit+1-len(keys)); err != nil {
			return order.Page{}, awsclient.WrapError("list orders", err)
		}
		if !all && cursors[0].marked {
			all, cursors = true, newCursors(cursors, maxBuckets, after, limit)
			continue
		}
		keys, complete = merge(keys, limit+1, cursors)
	}
	return newPage(keys, limit, all), nil
}

// beforeAll is a position before the marker and the newest order.
const beforeAll = "~~"

func isPosition(s string) bool {
	created, id, _ := strings.Cut(s, "#")
	t, err := time.Parse(dynamostream.TimeLayout, created)
	_, idErr := order.ParseID(id)
	return err == nil && idErr == nil && dynamostream.FormatTime(t) == created
}

// newCursors adds cursors until there is one for each of so many buckets.
func newCursors(cursors []bucketCursor, buckets int, after string, limit int) []bucketCursor {
	for n := len(cursors); n < buckets; n++ {
		cursors = append(cursors, bucketCursor{bucket: bucketName(n), after: after, more: true, fetchSize: perBucketLimit(limit, buckets)})
	}
	return cursors
}

// perBucketLimit is the most keys of a page to expect in one of the buckets. A hash spreads the ids, so a
// bucket has more than the mean and three standard deviations for one page in fifty. 30 keys are 4
// KB, the least that DynamoDB charges for.
func perBucketLimit(limit, buckets int) int {
	mean := float64(limit+1) / float64(buckets)
	return max(30, int(math.Ceil(mean+3*math.Sqrt(mean))))
}

func newPage(keys []string, limit int, all bool) order.Page {
	var page order.Page
	if len(keys) > limit {
		keys = keys[:limit]
		page.Next = keys[limit-1]
		if all {
			page.Next += marker
		}
	}
	page.IDs = make([]order.ID, len(keys))
	for i, key := range keys {
		_, id, _ := strings.Cut(key, "#")
		page.IDs[i] = order.ID(id)
	}
	return page
}

// A bucketCursor reads the keys of one bucket, newest first.
type bucketCursor struct {
	bucket    string
	keys      []string // fetched, and not yet on the page
	after     string   // the last key fetched
	more      bool     // whether there may be keys after it
	marked    bool     // whether the marker was fetched
	fetchSize int      // how many keys to fetch next
}

// exhausted reports whether the fetched keys are used up, and more may follow.
func (c *bucketCursor) exhausted() bool { return len(c.keys) == 0 && c.more }

// fetchMore fetches the next keys of all exhausted cursors concurrently. missing is how many keys
// the page lacks.
func (s *Store) fetchMore(ctx context.Context, cursors []bucketCursor, missing int) error {
	g, ctx := errgroup.WithContext(ctx)
	for n := range cursors {
		if c := &cursors[n]; c.exhausted() {
			g.Go(func() error { return s.fetch(ctx, c, missing) })
		}
	}
	return g.Wait()
}

// fetch fetches twice as many keys each time, so that a page whose keys are in few buckets takes
// few rounds.
func (s *Store) fetch(ctx context.Context, c *bucketCursor, missing int) error {
	found, err := s.cfg.Client.Query(ctx, &dynamodb.QueryInput{
		TableName:                aws.String(s.cfg.Table),
		IndexName:                aws.String("by_creation"),
		KeyConditionExpression:   aws.String("#bucket = :bucket AND #created_key < :after"),
		ProjectionExpression:     aws.String("#created_key"),
		ExpressionAttributeNames: names("bucket", "created_key"),
		ExpressionAttributeValues: item{
			":bucket": text(c.bucket), ":after": text(c.after),
		},
		ScanIndexForward: aws.Bool(false),
		Limit:            aws.Int32(int32(min(c.fetchSize, missing))),
	})
	if err != nil {
		return err
	}
	for _, it := range found.Items {
		key, _ := newItemLookup(it)("created_key")
		if isPosition(key) {
			c.keys = append(c.keys, key)
		}
		c.marked = c.marked || key == marker
	}
	c.after, c.more = newItemLookup(found.LastEvaluatedKey)("created_key")
	c.fetchSize *= 2
	return nil
}

// merge moves the newest keys to the page. It stops when the page has enough keys or no cursor has
// more: then the page is complete. It also stops at an exhausted cursor, because the next key of
// that bucket may be newer than all others.
func merge(page []string, enough int, cursors []bucketCursor) (_ []string, complete bool) {
	for len(page) < enough {
		newest := &cursors[0]
		for n := range cursors {
			c := &cursors[n]
			if c.exhausted() {
				return page, false
			}
			if len(newest.keys) == 0 || len(c.keys) > 0 && c.keys[0] > newest.keys[0] {
				newest = c
			}
		}
		if len(newest.keys) == 0 {
			break
		}
		page, newest.keys = append(page, newest.keys[0]), newest.keys[1:]
	}
	return page, true
}
