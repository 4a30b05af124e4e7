// Command go takes orders through their life with the client that oapi-codegen generates from
// openapi.yaml.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"slices"
	"time"

	"orders/test/clients/go/generated"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := generated.NewClientWithResponses(os.Getenv("ORDERS_URL"))
	check(err)
	for _, amount := range []string{"1650.78", "99999999.99", "0.01"} {
		check(life(ctx, client, amount))
	}
	check(transitions(ctx, client))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// life creates an order twice under one key and follows it to its end.
func life(ctx context.Context, client *generated.ClientWithResponses, amount string) error {
	key := rand.Text()
	params := &generated.CreateOrderParams{IdempotencyKey: &key}
	draft := generated.OrderDraft{UserId: "645", ItemIds: []string{"890", "563"}, TotalAmount: amount}
	first, err := client.CreateOrderWithResponse(ctx, params, draft)
	if err != nil {
		return err
	}
	again, err := client.CreateOrderWithResponse(ctx, params, draft)
	if err != nil {
		return err
	}
	if first.JSON201 == nil || again.JSON201 == nil || *first.JSON201 != *again.JSON201 {
		return fmt.Errorf("created %s and %s", first.Body, again.Body)
	}
	id := first.JSON201.OrderId
	for {
		status, err := client.GetOrderStatusWithResponse(ctx, id, nil)
		if err != nil {
			return err
		}
		if status.JSON200 == nil {
			return fmt.Errorf("status of %s: %s", id, status.Body)
		}
		if status.JSON200.Status == generated.StatusCompleted {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	order, err := client.GetOrderWithResponse(ctx, id, nil)
	if err != nil {
		return err
	}
	if o := order.JSON200; o == nil || o.TotalAmount != amount || o.UserId != "645" || !slices.Equal(o.ItemIds, draft.ItemIds) || o.CompletedAt == nil {
		return fmt.Errorf("order of %s: %s", amount, order.Body)
	}
	return listed(ctx, client, id)
}

// listed finds the order at the top of the list and in the metrics.
func listed(ctx context.Context, client *generated.ClientWithResponses, id string) error {
	limit := 1
	page, err := client.ListOrderIdsWithResponse(ctx, &generated.ListOrderIdsParams{Limit: &limit})
	if err != nil {
		return err
	}
	if ids := page.JSON200; ids == nil || len(*ids) != 1 || (*ids)[0].OrderId != id {
		return fmt.Errorf("ids: %s", page.Body)
	}
	metrics, err := client.GetMetricsWithResponse(ctx, nil)
	if err != nil {
		return err
	}
	if m := metrics.JSON200; m == nil || m.StatusCounts.Completed < 1 || m.AvgProcessTime < 1 {
		return fmt.Errorf("metrics: %s", metrics.Body)
	}
	return nil
}

// transitions calls the four operations that change an order.
func transitions(ctx context.Context, client *generated.ClientWithResponses) error {
	status := generated.InitialStatusProcessing
	draft := generated.OrderDraft{UserId: "645", ItemIds: []string{"890"}, TotalAmount: "9.90", Status: &status}
	created, err := client.CreateOrderWithResponse(ctx, nil, draft)
	if err != nil {
		return err
	}
	if created.JSON201 == nil {
		return fmt.Errorf("created %s", created.Body)
	}
	id, version := created.JSON201.OrderId, generated.ExpectedVersion(2)
	early, err := client.CompleteOrderWithResponse(ctx, id, nil, generated.OrderTransition{Version: &version})
	if err != nil {
		return err
	}
	if p := early.ApplicationproblemJSON409; p == nil || p.OrderStatus == nil || *p.OrderStatus != generated.StatusProcessing {
		return fmt.Errorf("completed early: %s", early.Body)
	}
	failed, err := client.FailOrderWithResponse(ctx, id, nil, generated.OrderFailure{Reason: "out of stock", Version: &version})
	if err != nil {
		return err
	}
	retried, err := client.RetryOrderWithResponse(ctx, id, nil, generated.OrderRetry{Version: 3})
	if err != nil {
		return err
	}
	reason := generated.Reason("changed my mind")
	cancelled, err := client.CancelOrderWithResponse(ctx, id, nil, generated.OrderTransition{Reason: &reason})
	if err != nil {
		return err
	}
	if failed.JSON200 == nil || retried.JSON200 == nil || cancelled.JSON200 == nil || cancelled.JSON200.Status != generated.StatusCancelled {
		return fmt.Errorf("failed %s, retried %s, cancelled %s", failed.Body, retried.Body, cancelled.Body)
	}
	order, err := client.GetOrderWithResponse(ctx, id, nil)
	if err != nil {
		return err
	}
	if o := order.JSON200; o == nil || o.Reason == nil || *o.Reason != "changed my mind" || len(o.History) < 4 || o.CancelledAt == nil {
		return fmt.Errorf("cancelled order: %s", order.Body)
	}
	return nil
}
