package awstest_test

import (
	"context"
	"fmt"

	"orders/shared/dynamostore"
	"orders/shared/order"
)

// reads are made by the project's own store, through no fault, and again only when
// there was a write of what is read: all that is there is read after every step.
type reads struct {
	store   *dynamostore.Store
	network *network
	orders  map[order.ID]readOrder
	pages   map[string]order.Page
	tally   *order.Tally
}

type readOrder struct {
	order.Order
	err error
}

// Get implements chaos.Home.
func (r *reads) Get(ctx context.Context, id order.ID) (order.Order, error) {
	known, there := r.orders[id]
	if !r.network.fresh(dynamostore.OrderPrefix+string(id)) || !there {
		known.Order, known.err = r.store.Get(ctx, id)
		if r.orders == nil {
			r.orders = map[order.ID]readOrder{}
		}
		r.orders[id] = known
	}
	return known.Order, known.err
}

// List implements chaos.Home.
func (r *reads) List(ctx context.Context, limit int, after string) (page order.Page, err error) {
	if !r.network.fresh("list") || r.pages == nil {
		r.pages = map[string]order.Page{}
	}
	key := fmt.Sprint(limit, after)
	page, there := r.pages[key]
	if !there {
		if page, err = r.store.List(ctx, limit, after); err == nil {
			r.pages[key] = page
		}
	}
	return page, err
}

// Metrics implements chaos.Home.
func (r *reads) Metrics(ctx context.Context) (order.Tally, error) {
	if !r.network.fresh("tally") || r.tally == nil {
		tally, err := r.store.Metrics(ctx)
		if err != nil {
			return tally, err
		}
		r.tally = &tally
	}
	return *r.tally, nil
}
