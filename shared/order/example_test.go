package order_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orders/shared/order"
)

// An order goes from Pending to Processing to Completed. Each change tells which message follows.
func ExampleOrder_Advance() {
	created := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	draft := order.Draft{Details: order.Details{UserID: "anna", ItemIDs: []string{"tea", "tea"}, TotalAmount: 9_90}}
	o := order.New(draft, order.KeyedID("", "cart-1138"), created)
	timer := order.Timer(50 * time.Second)
	start := order.Change{New: &o}.FollowUps(timer)[0]
	fmt.Println(o.Status, "->", start.To)

	o, _ = o.Advance(start, created.Add(time.Second), timer)
	complete := order.Change{New: &o}.FollowUps(timer)[0]
	_, err := o.Advance(complete, created.Add(2*time.Second), timer)
	fmt.Println(o.Status, "->", complete.To, err)

	_, err = o.Advance(start, created.Add(2*time.Second), timer)
	fmt.Println(errors.Is(err, order.ErrAlreadyDone))
	// Output:
	// Pending -> Processing
	// Processing -> Completed too early until 2026-11-22T12:00:51Z
	// true
}

func ExampleParseAmount() {
	amount, err := order.ParseAmount("1650.780")
	fmt.Println(int64(amount), amount, err)
	_, err = order.ParseAmount("1650.785")
	fmt.Println(err)
	// Output:
	// 165078 1650.78 <nil>
	// must have at most 2 decimal places
}

// A Tally is the sum of what changes add, or of what orders count.
func ExampleTally() {
	pending := order.New(order.Draft{}, "ORD00000000000000000000000001", time.Now())
	started, _ := pending.Advance(order.Message{To: order.Processing}, time.Now(), order.Timer(50*time.Second))
	var tally order.Tally
	tally.Add(order.Change{New: &pending}.Tally())
	tally.Add(order.Change{Old: &pending, New: &started}.Tally())
	fmt.Println(tally.Total(), tally.ByStatus[order.Pending], tally.ByStatus[order.Processing])
	// Output: 1 0 1
}

// A store that knows no orders sends the message to the dead-letter queue.
func ExampleProcessor_Process() {
	processor := order.Processor{
		Orders: advance(func(order.Message, time.Time) error { return order.ErrNotFound }),
		Queue:  printingQueue{},
	}
	m := order.Message{OrderID: order.KeyedID("", "cart-1138"), To: order.Processing}
	fmt.Println(processor.Process(context.Background(), m.Body(), time.Now()))
	// Output:
	// dead letter {"order_id":"ORDXPNXAYDVDHVEBNEVVWXMQTVVE8","to":"Processing"}: order not found
	// <nil>
}

type printingQueue struct{ order.Queue }

func (printingQueue) DeadLetter(_ context.Context, body []byte, reason error) error {
	fmt.Printf("dead letter %s: %v\n", body, reason)
	return nil
}
