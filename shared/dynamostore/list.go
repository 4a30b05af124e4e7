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
	"orders/shared/order"
)

// List implements order.Store. It reads the buckets of the index side by side, each
// for its share of the page, and merges them. A position is the created_key of the
// last id given, and means the same in every bucket.
//
// The index follows the table within moments: the newest orders may be missing,
// but none is shown that is not there. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html.
//
// An entry of the index whose created_key is damaged has no place in the list. It is
// left out, and the others are listed.
func (s *Store) List(ctx context.Context, limit int, after string) (order.Page, error) {
	if after == "" {
		after = beforeAll
	} else if !isPosition(after) {
		return order.Page{}, order.ErrInvalidCursor
	}
	lanes := make([]lane, buckets)
	for n := range lanes {
		lanes[n] = lane{bucket: bucket(n), after: after, more: true, fetch: share(limit)}
	}
	// One key beyond the limit tells whether there is another page.
	keys := make([]string, 0, limit+1)
	for dry := true; dry && len(keys) <= limit; {
		if err := s.refill(ctx, lanes, limit+1-len(keys)); err != nil {
			return order.Page{}, awsclient.WrapError("list orders", err)
		}
		keys, dry = merge(keys, limit+1, lanes)
	}
	return pageOf(keys, limit), nil
}

// beforeAll is a position before the newest order: greater than any time.
const beforeAll = "~"

func isPosition(s string) bool {
	created, id, _ := strings.Cut(s, "#")
	t, err := time.Parse(timeLayout, created)
	_, idErr := order.ParseID(id)
	return err == nil && idErr == nil && timeText(t) == created
}

// share is how many keys of a page to expect in one bucket at most. Ids are spread by
// a hash, so a bucket has more than three standard deviations above its mean for
// one page in fifty. The least that DynamoDB charges for, 4 KB, are thirty keys.
func share(limit int) int {
	mean := float64(limit+1) / buckets
	return max(30, int(math.Ceil(mean+3*math.Sqrt(mean))))
}

func pageOf(keys []string, limit int) order.Page {
	var page order.Page
	if len(keys) > limit {
		keys = keys[:limit]
		page.Next = keys[limit-1]
	}
	page.IDs = make([]order.ID, len(keys))
	for i, key := range keys {
		_, id, _ := strings.Cut(key, "#")
		page.IDs[i] = order.ID(id)
	}
	return page
}

// A lane is what is left to read of one bucket, newest first.
type lane struct {
	bucket string
	keys   []string // read, and not yet on the page
	after  string   // the last key read
	more   bool     // whether there may be keys after it
	fetch  int      // how many keys to ask for
}

func (l *lane) dry() bool { return len(l.keys) == 0 && l.more }

// refill reads on in all lanes that have run dry, at the same time. No more than
// missing keys of one can get on the page.
func (s *Store) refill(ctx context.Context, lanes []lane, missing int) error {
	g, ctx := errgroup.WithContext(ctx)
	for n := range lanes {
		if l := &lanes[n]; l.dry() {
			g.Go(func() error { return s.readOn(ctx, l, missing) })
		}
	}
	return g.Wait()
}

// readOn asks for twice as many keys each time, so that a page that lies in few
// buckets takes few rounds.
func (s *Store) readOn(ctx context.Context, l *lane, missing int) error {
	found, err := s.cfg.Client.Query(ctx, &dynamodb.QueryInput{
		TableName:                aws.String(s.cfg.Table),
		IndexName:                aws.String("by_creation"),
		KeyConditionExpression:   aws.String("#bucket = :bucket AND #created_key < :after"),
		ProjectionExpression:     aws.String("#created_key"),
		ExpressionAttributeNames: names("bucket", "created_key"),
		ExpressionAttributeValues: item{
			":bucket": text(l.bucket), ":after": text(l.after),
		},
		ScanIndexForward: aws.Bool(false),
		Limit:            aws.Int32(int32(min(l.fetch, missing))),
	})
	if err != nil {
		return err
	}
	for _, it := range found.Items {
		if key, _ := textsOf(it)("created_key"); isPosition(key) {
			l.keys = append(l.keys, key)
		}
	}
	l.after, l.more = textsOf(found.LastEvaluatedKey)("created_key")
	l.fetch *= 2
	return nil
}

// merge moves the newest keys to the page until it has enough, or a lane has run
// dry: its next key might be newer than all that are left.
func merge(page []string, enough int, lanes []lane) (_ []string, dry bool) {
	for len(page) < enough {
		newest := &lanes[0]
		for n := range lanes {
			l := &lanes[n]
			if l.dry() {
				return page, true
			}
			if len(newest.keys) == 0 || len(l.keys) > 0 && l.keys[0] > newest.keys[0] {
				newest = l
			}
		}
		if len(newest.keys) == 0 {
			break
		}
		page, newest.keys = append(page, newest.keys[0]), newest.keys[1:]
	}
	return page, false
}
