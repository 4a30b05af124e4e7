package conformance

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"orders/shared/order"
)

// transitionTests are about what people and workers ask for, under a timer.
var transitionTests = []test{
	{"I4 I6 I9 a cancelled order stays cancelled, and is counted as that", func(t *tester) {
		o := t.create(keyed("k"))
		t.awaitStatus(o.ID, order.Processing)
		got := t.transition(o.ID, order.TransitionRequest{Transition: order.Cancel, Reason: "changed my mind", By: "anna"})
		if got.Status != order.Cancelled || got.Exception.Reason != "changed my mind" || got.Exception.CancelledAt.IsZero() {
			t.Fatalf("cancelled as %+v", got)
		}
		t.awaitStatus(t.create().ID, order.Completed) // created later, and done
		t.sameOrder(got)
		t.awaitTally(order.Counts{order.Completed: 1, order.Cancelled: 1})
		if again, replayed, err := t.store(t.draft(keyed("k"))); err != nil || !replayed || again.ID != o.ID {
			t.Errorf("its key gives %+v, replayed %v, %v", again, replayed, err)
		}
	}},
	{"I4 a Pending order can be cancelled, and its start has no effect any more", func(t *tester) {
		// The service starts orders at once, so a start may come first. Either is right.
		for range 20 {
			o := t.create()
			got := t.transition(o.ID, order.TransitionRequest{Transition: order.Cancel})
			t.sameOrder(got)
		}
		t.awaitTally(order.Counts{order.Cancelled: 20})
	}},
	{"the same call again finds that it is done", func(t *tester) {
		o := t.create()
		t.awaitStatus(o.ID, order.Processing)
		cancel := order.TransitionRequest{Transition: order.Cancel, Version: 2}
		first := t.transition(o.ID, cancel)
		again := t.transition(o.ID, cancel)
		anyVersion := t.transition(o.ID, order.TransitionRequest{Transition: order.Cancel})
		if first.Version() != 3 || again.Version() != 3 || anyVersion.Version() != 3 {
			t.Errorf("versions %d, %d, %d, not 3", first.Version(), again.Version(), anyVersion.Version())
		}
	}},
	{"a call that the order's status or version does not allow is a conflict, and changes nothing", func(t *tester) {
		o := t.awaitStatus(t.create().ID, order.Completed)
		for _, r := range []order.TransitionRequest{
			{Transition: order.Cancel}, {Transition: order.Cancel, Version: 3}, {Transition: order.Cancel, Version: 2},
			{Transition: order.Fail, Reason: "no stock"}, {Transition: order.Retry, Version: 3}, {Transition: order.Complete, Version: 3},
		} {
			t.conflicts(o, r)
		}
		t.sameOrder(o)
		if got := t.transition(o.ID, order.TransitionRequest{Transition: order.Complete}); got.Status != order.Completed {
			t.Errorf("completed as %+v", got)
		}
	}},
	{"a transition of an unknown order is not found", func(t *tester) {
		for _, id := range []order.ID{order.KeyedID("", "never used"), "ORD00000000000000000000000000"} {
			if _, err := t.ask(id, order.TransitionRequest{Transition: order.Cancel}); !errors.Is(err, order.ErrNotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
	}},
	{"I4 I5 I7 a failed order waits for an operator, and a retry processes it once more", func(t *tester) {
		o := t.create()
		t.awaitStatus(o.ID, order.Processing)
		failed := t.transition(o.ID, order.TransitionRequest{Transition: order.Fail, Reason: "no stock", By: "worker"})
		t.awaitStatus(t.create().ID, order.Completed)
		t.sameOrder(failed)
		retried := t.transition(o.ID, order.TransitionRequest{Transition: order.Retry, Version: failed.Version(), By: "operator"})
		if retried.Status != order.Pending || retried.Version() != 4 || !retried.StartedAt.IsZero() {
			t.Errorf("retried as %+v", retried)
		}
		done := t.awaitVersion(o.ID, 6)
		if done.Status != order.Completed || done.CompletedAt.Sub(done.StartedAt) < t.ProcessingTime || done.StartedAt.Before(failed.StartedAt) {
			t.Errorf("done as %+v", done)
		}
		var history []string
		for _, e := range done.History() {
			history = append(history, strings.TrimSpace(e.Transition.String()+" "+e.By))
		}
		if got, want := strings.Join(history, ", "), "start, fail worker, retry operator, start, complete"; got != want {
			t.Errorf("history %s, not %s", got, want)
		}
		t.awaitTally(order.Counts{order.Completed: 2})
	}},
	{"I5 messages from before a retry have no effect after it", func(t *tester) {
		t.needsDeliver()
		o := t.create()
		t.awaitStatus(o.ID, order.Processing)
		failed := t.transition(o.ID, order.TransitionRequest{Transition: order.Fail, Reason: "no stock"})
		old := [][]byte{message(o.ID, order.Processing), message(o.ID, order.Completed)}
		t.deliver(old...)
		t.sameOrder(failed)
		t.transition(o.ID, order.TransitionRequest{Transition: order.Retry, Version: 3})
		started := t.awaitVersion(o.ID, 5)
		t.deliver(old...)
		if got := t.get(o.ID); got.Version() == 5 && !got.StartedAt.Equal(started.StartedAt) {
			t.Errorf("started at %s, and again as %+v", started.StartedAt, got)
		}
		if done := t.awaitVersion(o.ID, 6); done.Status != order.Completed {
			t.Errorf("done as %+v", done)
		}
		t.awaitTally(order.Counts{order.Completed: 1})
	}},
	{"I5 I9 of a cancel and a completion at the same time, one wins, and both sides are told", func(t *tester) {
		var cancelled atomic.Int64
		races := *racesFlag
		t.concurrently(50, func(client int) error {
			for n := client; n < races; n += 50 {
				o, _, err := t.store(t.draft(keyed(fmt.Sprintf("race %d", n)), imported(order.Processing)))
				if err != nil {
					return err
				}
				// Around the moment of the completion, before and after.
				time.Sleep(time.Until(o.StartedAt.Add(t.ProcessingTime + time.Duration(n%40-20)*time.Millisecond)))
				got, err := t.ask(o.ID, order.TransitionRequest{Transition: order.Cancel})
				conflict, lost := errors.AsType[*order.ConflictError](err)
				switch {
				case err == nil && got.Status == order.Cancelled:
					cancelled.Add(1)
				case !lost || conflict.Status != order.Completed:
					return fmt.Errorf("cancel of %s: %+v, %w", o.ID, got, err)
				}
				if now := t.get(o.ID); err == nil != (now.Status == order.Cancelled) {
					return fmt.Errorf("cancel of %s said %w, and it is %+v", o.ID, err, now)
				}
			}
			return nil
		})
		n := cancelled.Load()
		t.Logf("%d of %d races were won by the cancel", n, races)
		t.awaitTally(order.Counts{order.Completed: int64(races) - n, order.Cancelled: n})
	}},
}

var racesFlag = flag.Int("conformance.races", 200, "how many times a cancel races with a completion")

// workerTests are about workers: orders are completed by nobody else.
var workerTests = []test{
	{"I5 a worker completes the order that it has seen, once", func(t *tester) {
		o := t.awaitStatus(t.create().ID, order.Processing)
		complete := order.TransitionRequest{Transition: order.Complete, Version: 2, By: "worker"}
		done := t.transition(o.ID, complete)
		if done.Status != order.Completed || done.Version() != 3 || done.Exception != nil {
			t.Errorf("completed as %+v", done)
		}
		if again := t.transition(o.ID, complete); !again.CompletedAt.Equal(done.CompletedAt) {
			t.Errorf("again: %+v", again)
		}
		t.awaitTally(order.Counts{order.Completed: 1})
	}},
	{"I4 I16 an order without an answer is restarted, and fails after the last attempt", func(t *tester) {
		o := t.awaitVersion(t.create().ID, 3)
		if o.Status != order.Processing || o.Attempt() != 2 {
			t.Errorf("restarted as %+v", o)
		}
		o = t.awaitVersion(o.ID, 4)
		if o.Status != order.Failed || o.Exception.Reason != "no answer in 2 attempts" || o.Exception.FailedAt.IsZero() {
			t.Errorf("failed as %+v", o)
		}
		t.awaitTally(order.Counts{order.Failed: 1})
	}},
	{"I5 a worker that answers late is told, and changes nothing", func(t *tester) {
		o := t.awaitVersion(t.create().ID, 3)
		for _, late := range []order.TransitionRequest{
			{Transition: order.Complete, Version: 2}, {Transition: order.Fail, Version: 2, Reason: "no stock"},
		} {
			t.conflicts(t.get(o.ID), late)
		}
		o = t.awaitVersion(o.ID, 4)
		t.conflicts(o, order.TransitionRequest{Transition: order.Complete, Version: 3})
		t.sameOrder(o)
	}},
	{"I4 a worker that fails an order, and a retry, begin the attempts anew", func(t *tester) {
		o := t.awaitStatus(t.create().ID, order.Processing)
		t.transition(o.ID, order.TransitionRequest{Transition: order.Fail, Version: 2, Reason: "no stock"})
		t.transition(o.ID, order.TransitionRequest{Transition: order.Retry, Version: 3})
		o = t.awaitVersion(o.ID, 5)
		if o.Status != order.Processing || o.Attempt() != 1 {
			t.Errorf("started as %+v", o)
		}
		t.transition(o.ID, order.TransitionRequest{Transition: order.Complete, Version: 5})
		t.awaitTally(order.Counts{order.Completed: 1})
	}},
	{"I5 I9 of a cancel and a worker's answer at the same time, one wins, and both are told", func(t *tester) {
		var counts [len(order.Statuses)]atomic.Int64
		races := *racesFlag
		t.concurrently(25, func(client int) error {
			for n := client; n < races; n += 25 {
				o, _, err := t.store(t.draft(keyed(fmt.Sprintf("race %d", n)), imported(order.Processing)))
				if err != nil {
					return err
				}
				winners, err := t.race(o.ID, order.TransitionRequest{Transition: order.Complete, Version: 2}, order.TransitionRequest{Transition: order.Cancel})
				if err != nil {
					return err
				}
				now := t.get(o.ID)
				if len(winners) != 1 || winners[0] != now.Status {
					return fmt.Errorf("%s is %s, and the winners are %v", o.ID, now.Status, winners)
				}
				counts[now.Status].Add(1)
			}
			return nil
		})
		t.awaitTally(order.Counts{order.Completed: counts[order.Completed].Load(), order.Cancelled: counts[order.Cancelled].Load()})
	}},
}

// race makes calls at the same time. It returns the statuses that the successful ones were told.
func (t *tester) race(id order.ID, requests ...order.TransitionRequest) (winners []order.Status, err error) {
	type result struct {
		order order.Order
		err   error
	}
	results := make(chan result)
	for _, r := range requests {
		go func() {
			o, err := t.ask(id, r)
			results <- result{o, err}
		}()
	}
	for range requests {
		r := <-results
		if r.err == nil {
			winners = append(winners, r.order.Status)
		} else if _, lost := errors.AsType[*order.ConflictError](r.err); !lost {
			err = r.err
		}
	}
	return winners, err
}

// ask makes a call. While the backend says that it is unavailable, it makes the same call again.
func (t *tester) ask(id order.ID, r order.TransitionRequest) (o order.Order, err error) {
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		o, err = t.Store.Transition(t.Context(), id, r)
		if !errors.Is(err, order.ErrUnavailable) || time.Since(began) > stallTimeout {
			return o, err
		}
	}
}

// transition makes a transition that must succeed.
func (t *tester) transition(id order.ID, r order.TransitionRequest) order.Order {
	t.Helper()
	o, err := t.ask(id, r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Transition, id, err)
	}
	return o
}

// conflicts makes a transition that must be refused because of what the order is.
func (t *tester) conflicts(o order.Order, r order.TransitionRequest) {
	t.Helper()
	_, err := t.ask(o.ID, r)
	if conflict, ok := errors.AsType[*order.ConflictError](err); !ok || conflict.Status != o.Status || conflict.Version != o.Version() {
		t.Errorf("%+v: %v, not a conflict with %s at version %d", r, err, o.Status, o.Version())
	}
}

// sameOrder fails the test unless the order is stored as it was returned.
func (t *tester) sameOrder(want order.Order) {
	t.Helper()
	if got := t.get(want.ID); got.Status != want.Status || got.Version() != want.Version() || !got.StartedAt.Equal(want.StartedAt) ||
		!got.CompletedAt.Equal(want.CompletedAt) || fmt.Sprint(got.History()) != fmt.Sprint(want.History()) {
		t.Errorf("the order is %+v, not %+v", got, want)
	}
}

// awaitVersion waits until the order has reached a version.
func (t *tester) awaitVersion(id order.ID, version int) (o order.Order) {
	t.Helper()
	Eventually(t, func() error {
		if o = t.get(id); o.Version() < version {
			return fmt.Errorf("order %s is %s at version %d, not %d", id, o.Status, o.Version(), version)
		}
		return nil
	})
	return o
}

// awaitTally waits until the metrics have these counts and equal the recount.
func (t *tester) awaitTally(want order.Counts) {
	t.Helper()
	Eventually(t, func() error {
		got := t.metrics()
		if recount := t.recount(); got.ByStatus != want || got != recount {
			return fmt.Errorf("metrics are %+v, a recount gives %+v, want %v", got, recount, want)
		}
		return nil
	})
}
