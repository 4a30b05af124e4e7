package main

import (
	"encoding/json/v2"
	"fmt"
	"slices"
)

// An ask is one order that the trial asks for. All of it follows from its
// number, which the order carries as the client's reference: so an order can be
// compared with what was asked, though the answer may have been lost.
type ask int

const referencePrefix = "crash-"

func (a ask) reference() string { return fmt.Sprintf("%s%d", referencePrefix, a) }
func (a ask) userID() string    { return fmt.Sprintf("user %d", a%1009) }
func (a ask) amount() string    { return fmt.Sprintf("%d.%02d", a%1_000_003, a%100) }
func (a ask) keyed() bool       { return a%5 < 2 }

func (a ask) itemIDs() []string {
	items := make([]string, 1+a%4)
	for i := range items {
		items[i] = fmt.Sprintf("item-%d-%d", a, i)
	}
	return items
}

// status is the one in which the order is taken over; most are new.
func (a ask) status() string {
	switch a % 21 { // no multiple of keyed's 5, so that both meet
	case 19:
		return "Processing"
	case 20:
		return "Completed"
	default:
		return "Pending"
	}
}

// body is the request that asks for the order, or for another one under the
// same key.
func (a ask) body(amount string) []byte {
	body, err := json.Marshal(map[string]any{
		"order_id": a.reference(), "user_id": a.userID(), "item_ids": a.itemIDs(),
		"total_amount": amount, "status": a.status(),
	})
	if err != nil {
		panic(err) // texts always have a JSON form
	}
	return body
}

// is reports whether the order has the content that was asked for.
func (a ask) is(o *orderAnswer) bool {
	return o.ClientReference == a.reference() && o.UserID == a.userID() && o.TotalAmount == a.amount() &&
		slices.Equal(o.ItemIDs, a.itemIDs())
}

// askOf returns what asked for the order; ok is false when nothing has.
func askOf(o *orderAnswer) (a ask, ok bool) {
	n, err := fmt.Sscanf(o.ClientReference, referencePrefix+"%d", (*int)(&a))
	return a, n == 1 && err == nil && a >= 0
}
