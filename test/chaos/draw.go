package chaos

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"orders/shared/order"
)

// A drawer draws steps for one home. There are few keys and few orders to a history,
// so that steps meet, and every second step meets a fault. What comes first in a
// list is what a failing history shrinks to.
type drawer struct{ home Deployment }

func (d drawer) step(t *rapid.T) Step {
	switch rapid.SampledFrom([]string{tick, tick, work, work, work, work, work, work, Create, Create, Deliver, "step back"}).Draw(t, "do") {
	case Create:
		return Step{Do: Create, Drafts: listOf(t, 4, draft), Fault: d.fault(t, Create)}
	case Deliver:
		return Step{Do: Deliver, Messages: listOf(t, 5, message), Fault: d.fault(t, Deliver)}
	case work:
		worker := d.worker(t)
		return Step{Do: work, Worker: worker, Fault: d.fault(t, worker)}
	case tick:
		return Step{Do: tick, By: d.forward(t)}
	default:
		return Step{Do: tick, By: -amount(t, time.Millisecond, time.Second, 10*time.Second)}
	}
}

// worker is the more often one of the first, without whom the others have nothing to do.
func (d drawer) worker(t *rapid.T) string {
	var weighed []string
	workers := d.home.Workers()
	for i, worker := range workers {
		weighed = append(weighed, slices.Repeat([]string{worker}, len(workers)-i)...)
	}
	return rapid.SampledFrom(weighed).Draw(t, "worker")
}

func (d drawer) fault(t *rapid.T, doing string) string {
	faults := d.home.Faults(doing)
	if len(faults) == 0 || rapid.Bool().Draw(t, "in good order") {
		return ""
	}
	return rapid.SampledFrom(faults).Draw(t, "fault")
}

// forward is often just what an order waits for.
func (d drawer) forward(t *rapid.T) Duration {
	if rapid.Bool().Draw(t, "processing time") {
		return Duration(d.home.ProcessingTime())
	}
	return amount(t, time.Microsecond, time.Millisecond, time.Second)
}

// amount is 1 to 60 of one of the units.
func amount(t *rapid.T, units ...time.Duration) Duration {
	n := rapid.IntRange(1, 60).Draw(t, "amount")
	return Duration(n) * Duration(rapid.SampledFrom(units).Draw(t, "unit"))
}

func listOf[E any](t *rapid.T, most int, draw func(*rapid.T) E) []E {
	return rapid.SliceOfN(rapid.Custom(draw), 1, most).Draw(t, "list")
}

func draft(t *rapid.T) Draft {
	return Draft{
		Key:     rapid.SampledFrom([]string{"", "", "a", "b", "c", "d", "e", "f"}).Draw(t, "key"),
		As:      rapid.SampledFrom(order.Statuses[:]).Draw(t, "as").String(),
		Variant: rapid.IntRange(0, variants-1).Draw(t, "variant"),
	}
}

func message(t *rapid.T) Message {
	switch rapid.IntRange(0, 8).Draw(t, "kind") {
	default:
		return sound(t)
	case 6:
		m := sound(t)
		m.Cut = true
		return m
	case 7:
		return Message{Body: rapid.SampledFrom(junk).Draw(t, "junk")}
	case 8:
		m := sound(t)
		m.More = true
		return m
	}
}

func sound(t *rapid.T) Message {
	return Message{
		Order: rapid.IntRange(0, 8).Draw(t, "order"),
		To:    rapid.SampledFrom(order.Statuses[1:]).Draw(t, "to").String(),
	}
}
