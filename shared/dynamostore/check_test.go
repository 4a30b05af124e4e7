package dynamostore_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

// check runs a check at a time after noon, and returns what it finds and logs.
func (h *testStore) check(t *testing.T, limit int, after time.Duration) (dynamostore.CheckResult, []map[string]any) {
	t.Helper()
	return h.checkBy(t, order.Timer(processing), limit, after)
}

func (h *testStore) checkBy(t *testing.T, f order.Fulfilment, limit int, after time.Duration) (dynamostore.CheckResult, []map[string]any) {
	t.Helper()
	var log bytes.Buffer
	c := dynamostore.Check{
		Client: h.client, Metrics: h.Store, Table: h.table, Fulfilment: f, Limit: limit,
		Now: func() time.Time { return h.now }, Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}
	found, err := c.Handle(t.Context(), dynamostore.CheckEvent{Time: noon.Add(after)})
	if err != nil {
		t.Fatal(err)
	}
	return found, lines(t, &log)
}

// due is when the orders of noon should have been completed, and are overdue a moment later.
const due = processing + 10*time.Minute

// I4, I13: an order that is past its time and not finished is found by the run for its interval.
func TestACheckFindsTheOrdersOfItsIntervalThatAreOverdue(t *testing.T) {
	h := open(t)
	lost, stuck, done := h.create(t), h.create(t), h.create(t)
	h.create(t, importedAs(order.Completed))
	for id, statuses := range map[order.ID][]order.Status{stuck.ID: {order.Processing}, done.ID: {order.Processing, order.Completed}} {
		for i, s := range statuses {
			if err := h.Advance(t.Context(), order.Message{OrderID: id, To: s}, noon.Add(time.Duration(i)*processing)); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.tally(t, "shard", created("1", 1))
	h.now = noon.Add(dynamostore.CheckInterval)
	h.create(t) // of the next interval

	found, logged := h.check(t, 1000, due+dynamostore.CheckInterval)
	if want := (dynamostore.CheckResult{Checked: 4, Overdue: 2}); found != want {
		t.Errorf("found %+v, want %+v", found, want)
	}
	named := map[any]any{}
	for _, line := range logged[:len(logged)-1] {
		named[line["order_id"]] = line["status"]
	}
	if len(named) != 2 || named[string(lost.ID)] != "Pending" || named[string(stuck.ID)] != "Processing" {
		t.Errorf("names %v", named)
	}
	last := logged[len(logged)-1]
	for name, want := range map[string]any{
		"OverdueOrders": 2.0, "PendingOrders": 1.0, "CompletedOrders": 0.0, "FailedOrders": nil, "CancelledOrders": nil,
		"TableName": h.table, "level": "INFO",
	} {
		if last[name] != want {
			t.Errorf("%s is %v, want %v", name, last[name], want)
		}
	}
}

// I4, I13: an order that waits for a worker is overdue when its attempt has long ended, and a retried
// one when it is not started. Failed and cancelled orders wait for nothing, and are counted.
func TestACheckKnowsTheOrdersThatWaitForWorkers(t *testing.T) {
	h := open(t)
	workers := order.Fulfilment{External: true, AttemptTimeout: 5 * time.Minute, MaxAttempts: 2}
	store := h.fulfilling(workers, nil)
	// 16 minutes after noon, what was due more than six minutes after noon is not overdue.
	advance := func(o order.Order, version int, after time.Duration) {
		t.Helper()
		if err := store.Advance(t.Context(), order.Message{OrderID: o.ID, To: order.Processing, Version: version}, noon.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(o order.Order, transition order.Transition, after time.Duration) order.Order {
		t.Helper()
		h.now = noon.Add(after)
		o, err := store.Transition(t.Context(), o.ID, order.TransitionRequest{Transition: transition, Reason: "no stock"})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	var all [8]order.Order
	for i := range all {
		all[i] = h.create(t)
	}
	waiting, silent, restarted, failed, cancelled, done, retried, lost := all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7]
	advance(waiting, 1, time.Minute+time.Millisecond)
	advance(silent, 1, time.Minute)
	for _, o := range []order.Order{restarted, failed, done, retried, lost} {
		advance(o, 1, 0)
	}
	advance(restarted, 2, 5*time.Minute)
	failed, cancelled = ask(failed, order.Fail, time.Minute), ask(cancelled, order.Cancel, time.Minute)
	ask(done, order.Complete, time.Minute)
	for o, after := range map[order.ID]time.Duration{retried.ID: 6*time.Minute + time.Millisecond, lost.ID: 6 * time.Minute} {
		ask(order.Order{ID: o}, order.Fail, time.Minute)
		ask(order.Order{ID: o}, order.Retry, after)
	}
	h.tally(t, "shard", awstest.NewRecord("1", order.Change{New: &failed}), awstest.NewRecord("2", order.Change{New: &cancelled}))

	found, logged := h.checkBy(t, workers, 1000, 16*time.Minute)
	if want := (dynamostore.CheckResult{Checked: 8, Overdue: 2}); found != want {
		t.Errorf("found %+v, want %+v", found, want)
	}
	named := map[any]any{}
	for _, line := range logged[:len(logged)-1] {
		named[line["order_id"]] = line["status"]
	}
	if named[string(silent.ID)] != "Processing" || named[string(lost.ID)] != "Pending" {
		t.Errorf("names %v", named)
	}
	if last := logged[len(logged)-1]; last["FailedOrders"] != 1.0 || last["CancelledOrders"] != 1.0 || last["PendingOrders"] != 0.0 {
		t.Errorf("logged %v", last)
	}
	// Eight minutes later it is too late for all that wait, and the orders are still of the interval.
	if found, _ := h.checkBy(t, workers, 1000, 24*time.Minute); found.Checked != 8 || found.Overdue != 5 {
		t.Errorf("eight minutes later: found %+v", found)
	}
}

// I4, I13: an order is checked once it should be completed, and by each run until it is as old as the
// oldest order of a run with the longest processing time.
func TestTheRunsOfACheckMissNoOrder(t *testing.T) {
	h := open(t)
	h.create(t)
	const oldest = order.MaxProcessingTime + 10*time.Minute + dynamostore.CheckInterval
	for after, want := range map[time.Duration]int{
		due: 0, due + time.Millisecond: 1, due + dynamostore.CheckInterval: 1, oldest: 1, oldest + time.Millisecond: 0,
	} {
		if found, _ := h.check(t, 1000, after); found.Checked != want {
			t.Errorf("after %s: checked %d orders, want %d", after, found.Checked, want)
		}
	}
}

// I4, I13: an operator may shorten the processing time between two runs.
func TestNoOrderIsMissedWhenTheProcessingTimeIsShortened(t *testing.T) {
	h := open(t)
	h.create(t)
	const before = order.MaxProcessingTime + 10*time.Minute
	if found, _ := h.checkBy(t, order.Timer(order.MaxProcessingTime), 1000, before); found.Checked != 0 {
		t.Fatalf("found %+v before the order should be completed", found)
	}
	if found, _ := h.checkBy(t, order.Timer(order.MinProcessingTime), 1000, before+dynamostore.CheckInterval); found.Overdue != 1 {
		t.Errorf("found %+v after the processing time was shortened", found)
	}
}

// I16: a run is bounded, and says when it has not seen all. It looks at a part of each bucket.
func TestACheckReadsNoMoreThanItsLimit(t *testing.T) {
	h := open(t)
	for range 120 {
		h.create(t)
	}
	h.calls.Take()
	found, _ := h.check(t, 32, due+time.Minute)
	used := h.calls.Take()
	if !found.Partial || found.Checked > 32 || found.Checked < 8 || found.Overdue != found.Checked {
		t.Errorf("found %+v", found)
	}
	if used.Calls["Query"] > 2+16*3 || used.Calls["BatchGetItem"] != 1 {
		t.Errorf("used %+v, want a query of the marker and of the tally, three of each bucket, and one read", used)
	}
	if found, _ := h.check(t, 1600, due+time.Minute); found.Partial || found.Checked != 120 || found.Overdue != 120 {
		t.Errorf("found %+v of 120", found)
	}
}

// I13: in a busy shop a check reads a sample, in which a loss of many messages is found at whatever
// minute it was.
func TestTheSampleOfACheckIsSpreadOverItsInterval(t *testing.T) {
	h := open(t)
	for range 480 { // 30 a bucket, of which a check reads 10
		h.create(t, importedAs(order.Completed))
	}
	h.now = noon.Add(8 * time.Minute)
	for range 16 {
		h.create(t)
	}
	if found, _ := h.check(t, 160, due+9*time.Minute); !found.Partial || found.Overdue == 0 {
		t.Errorf("found %+v", found)
	}
}

// I4, I13: the orders of a table that has needed more buckets are found, too.
func TestACheckReadsAllBucketsThatMayHaveOrders(t *testing.T) {
	h := open(t)
	for range 60 {
		if _, _, err := h.filling(64).Create(t.Context(), draft()); err != nil {
			t.Fatal(err)
		}
	}
	if found, _ := h.check(t, 6400, due+time.Minute); found.Overdue != 60 || found.Unread != 0 {
		t.Errorf("found %+v of 60", found)
	}
}

func TestAnOrderThatCannotBeReadIsAFindingOfACheck(t *testing.T) {
	h := open(t)
	o := h.create(t)
	_, err := h.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &h.table, Key: item{"pk": text("ORDER#" + string(o.ID)), "sk": text("ORDER")},
		UpdateExpression: new("SET #s = :s"), ExpressionAttributeNames: map[string]string{"#s": "status"},
		ExpressionAttributeValues: item{":s": text("Shipped")},
	})
	if err != nil {
		t.Fatal(err)
	}
	found, logged := h.check(t, 1000, due+time.Minute)
	if found.Unread != 1 || logged[len(logged)-1]["OverdueOrders"] != 1.0 {
		t.Errorf("found %+v, logged %v", found, logged)
	}
}

// A throttled table returns a part of what it is asked for.
func TestACheckAsksAgainForWhatTheTableDidNotReturn(t *testing.T) {
	h := open(t)
	for range 3 {
		h.create(t)
	}
	c := dynamostore.Check{
		Client: partial{h.client}, Metrics: h.Store, Table: h.table, Fulfilment: order.Timer(processing), Limit: 1000,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	found, err := c.Handle(t.Context(), dynamostore.CheckEvent{Time: noon.Add(due + time.Minute)})
	if err != nil || found.Checked != 3 {
		t.Errorf("found %+v, error %v", found, err)
	}
}

// partial is a client whose BatchGetItem returns one item.
type partial struct{ *dynamodb.Client }

func (p partial) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	var rest map[string]types.KeysAndAttributes
	for table, of := range in.RequestItems {
		if len(of.Keys) > 1 {
			unread := of
			unread.Keys = of.Keys[1:]
			rest = map[string]types.KeysAndAttributes{table: unread}
		}
		of.Keys = of.Keys[:1]
		in.RequestItems[table] = of
	}
	out, err := p.Client.BatchGetItem(ctx, in)
	if err == nil {
		out.UnprocessedKeys = rest
	}
	return out, err
}

// F1: a table that is down is an error, which Lambda repeats.
func TestACheckOfATableThatIsDownFails(t *testing.T) {
	for _, operation := range []string{"Query", "BatchGetItem"} {
		h := open(t)
		h.create(t)
		end := h.faults.Begin(operation, awstest.Throttled)
		_, err := dynamostore.Check{
			Client: h.client, Metrics: h.Store, Table: h.table, Fulfilment: order.Timer(processing), Limit: 1000,
			Now: time.Now, Log: slog.New(slog.DiscardHandler),
		}.Handle(t.Context(), dynamostore.CheckEvent{Time: noon.Add(due + time.Minute)})
		end()
		if err == nil {
			t.Errorf("%s fails, and there is no error", operation)
		}
	}
}
