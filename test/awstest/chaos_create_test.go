package awstest_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
	"orders/test/chaos"
)

// Create implements chaos.Home.
func (h *chaosHome) Create(drafts []order.Draft, fault string) []chaos.Created {
	told := make([]chaos.Created, len(drafts))
	h.under(chaos.Create, fault, []string{"PutItem"}, func(d disturbance) int {
		store := awstest.Must(dynamostore.New(dynamostore.Config{
			Client: h.deployment.DynamoDB, Table: h.deployment.Table, Now: h.Now, Random: h.random,
		}))
		var all sync.WaitGroup
		for i, draft := range drafts {
			all.Go(func() { told[i] = h.create(store, draft, d) })
		}
		all.Wait()
		return len(drafts)
	})
	return told
}

// create is one request. Whose function is killed is told nothing, which leaves open
// whether the order is there.
func (h *chaosHome) create(store *dynamostore.Store, draft order.Draft, d disturbance) (c chaos.Created) {
	ctx := context.WithoutCancel(h.Context())
	if d.hangs {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
	}
	_, killed := awstest.Mortal(func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		c.Order, c.Replayed, c.Err = store.Create(ctx, draft)
		return nil, nil
	})(ctx, "create", nil)
	if killed != nil {
		return chaos.Created{Err: fmt.Errorf("%w: %w", order.ErrUnavailable, killed)}
	}
	return c
}
