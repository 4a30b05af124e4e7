package order_test

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orders/shared/order"
)

var external = order.Fulfilment{External: true, AttemptTimeout: time.Minute, MaxAttempts: 2}

// table is the transition table a second time, as a reader of the documentation knows it.
var table = map[order.Status]map[order.Transition]order.Status{
	order.Pending:    {order.Start: order.Processing, order.Cancel: order.Cancelled},
	order.Processing: {order.Complete: order.Completed, order.Restart: order.Processing, order.Fail: order.Failed, order.Cancel: order.Cancelled},
	order.Failed:     {order.Retry: order.Pending, order.Cancel: order.Cancelled},
}

// orderIn returns an order in that status, and of version version() in that status.
func orderIn(t *testing.T, s order.Status) order.Order {
	t.Helper()
	paths := map[order.Status][]order.Transition{
		order.Pending: nil, order.Processing: {order.Start}, order.Completed: {order.Start, order.Complete},
		order.Failed: {order.Start, order.Fail}, order.Cancelled: {order.Cancel},
	}
	o := order.New(order.Draft{}, "ORD", noon)
	for i, transition := range paths[s] {
		var err error
		if o, err = o.Transition(order.TransitionRequest{Transition: transition}, noon.Add(time.Duration(i+1)*time.Hour), external); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// I5, I6: what a request gets in each status, at each version.
func TestRequestsFollowTheTransitionTable(t *testing.T) {
	now := noon.Add(24 * time.Hour)
	for _, from := range order.Statuses {
		for _, transition := range []order.Transition{order.Complete, order.Fail, order.Retry, order.Cancel} {
			o := orderIn(t, from)
			to, allowed := table[from][transition]
			for _, version := range []int{0, o.Version() - 1, o.Version(), o.Version() + 1} {
				r := order.TransitionRequest{Transition: transition, Version: version, Reason: "why", By: "anna"}
				got, err := o.Transition(r, now, external)
				conflict, isConflict := errors.AsType[*order.ConflictError](err)
				switch name := fmt.Sprintf("%s a %s order at version %d of %d", transition, from, version, o.Version()); {
				case from == transition.To() && (version == 0 || version == o.Version()-1):
					if !errors.Is(err, order.ErrAlreadyDone) || !reflect.DeepEqual(got, o) {
						t.Errorf("%s: %+v, %v, want that it is done already", name, got, err)
					}
				case allowed && (version == 0 || version == o.Version()):
					if err != nil || got.Status != to || got.Version() != o.Version()+1 || got.Validate() != nil {
						t.Errorf("%s: %+v, %v, want %s (Validate: %v)", name, got, err, to, got.Validate())
					}
				default:
					if !isConflict || conflict.Status != from || conflict.Version != o.Version() || !reflect.DeepEqual(got, o) {
						t.Errorf("%s: %+v, %v, want a conflict", name, got, err)
					}
				}
			}
		}
	}
}

// I7: a worker's complete is not needed under a timer, and shortens no processing time.
func TestUnderATimerNoRequestCompletesAnOrderEarly(t *testing.T) {
	o := orderIn(t, order.Processing)
	due := o.StartedAt.Add(processing)
	complete := order.TransitionRequest{Transition: order.Complete}
	if _, err := o.Transition(complete, due.Add(-time.Millisecond), order.Timer(processing)); err == nil || !strings.Contains(err.Error(), "until") {
		t.Errorf("a millisecond early: %v", err)
	}
	if got, err := o.Transition(complete, due, order.Timer(processing)); err != nil || got.Status != order.Completed {
		t.Errorf("on time: %+v, %v", got, err)
	}
	if got, err := o.Transition(order.TransitionRequest{Transition: order.Cancel}, o.StartedAt, order.Timer(processing)); err != nil || got.Status != order.Cancelled {
		t.Errorf("cancelled early: %+v, %v", got, err)
	}
	workers := external
	workers.ProcessingTime = processing
	if got, err := o.Transition(complete, o.StartedAt, workers); err != nil || got.Status != order.Completed {
		t.Errorf("by a worker: %+v, %v", got, err)
	}
}

// F20: a clock that lies behind delays no start, and dates none before the order or its retry.
func TestAStartIsNeverEarly(t *testing.T) {
	pending := orderIn(t, order.Pending)
	retried, err := orderIn(t, order.Failed).Transition(order.TransitionRequest{Transition: order.Retry}, noon.Add(24*time.Hour), external)
	if err != nil {
		t.Fatal(err)
	}
	for want, o := range map[time.Time]order.Order{noon: pending, noon.Add(24 * time.Hour): retried} {
		m := (order.Change{New: &o}).FollowUps(external)[0]
		if got, err := o.Advance(m, noon.Add(-time.Hour), external); err != nil || !got.StartedAt.Equal(want) {
			t.Errorf("started as %+v, %v, not at %s", got, err, want)
		}
	}
}

// I5, I6: a message can be for a version of which the service makes no transition.
func TestAMessageForAnOrderThatWaitsForNoneIsDone(t *testing.T) {
	for _, s := range []order.Status{order.Completed, order.Failed, order.Cancelled} {
		o := orderIn(t, s)
		m := order.Message{To: order.Processing, Version: o.Version()}
		if got, err := o.Advance(m, noon.Add(24*time.Hour), external); !errors.Is(err, order.ErrAlreadyDone) || !reflect.DeepEqual(got, o) {
			t.Errorf("a %s order: %+v, %v", s, got, err)
		}
	}
}

// I4: a message that was sent under a timer finds an order of workers, and the other way round.
func TestMessagesOutliveAChangeOfTheFulfilment(t *testing.T) {
	o := orderIn(t, order.Processing)
	now := o.StartedAt.Add(time.Hour)
	for _, tt := range []struct {
		sent, now order.Fulfilment
		want      order.Status
		attempt   int
	}{
		{order.Timer(processing), external, order.Processing, 2},
		{external, order.Timer(processing), order.Completed, 1},
	} {
		m := (order.Change{New: &o}).FollowUps(tt.sent)[0]
		if got, err := o.Advance(m, now, tt.now); err != nil || got.Status != tt.want || got.Attempt() != tt.attempt {
			t.Errorf("%+v became %+v, %v, not %s in attempt %d", m, got, err, tt.want, tt.attempt)
		}
	}
}

// The history of an order that a transition was made of belongs to that order.
func TestATransitionLeavesTheOrderBeforeUnchanged(t *testing.T) {
	o := orderIn(t, order.Failed)
	for range 5 { // so that the history has room for one more, at times
		cancelled, _ := o.Transition(order.TransitionRequest{Transition: order.Cancel}, noon.Add(24*time.Hour), external)
		retried, _ := o.Transition(order.TransitionRequest{Transition: order.Retry}, noon.Add(24*time.Hour), external)
		if h := cancelled.History(); h[len(h)-1].Transition != order.Cancel {
			t.Fatalf("after %d events a retry changes the history of a cancelled order", len(h)-1)
		}
		started, _ := retried.Advance((order.Change{New: &retried}).FollowUps(external)[0], noon.Add(24*time.Hour), external)
		o, _ = started.Transition(order.TransitionRequest{Transition: order.Fail}, noon.Add(24*time.Hour), external)
	}
}

// I16: without an answer the service restarts an order, and fails it after the last attempt.
func TestAnOrderWithoutAnAnswerIsRestartedAndThenFails(t *testing.T) {
	o := order.New(order.Draft{}, "ORD", noon)
	now := noon
	for i, want := range []struct {
		to      order.Status
		attempt int
	}{{order.Processing, 1}, {order.Processing, 2}, {order.Failed, 2}} {
		message := (order.Change{New: &o}).FollowUps(external)[0]
		if i > 0 {
			if _, err := o.Advance(message, now.Add(time.Minute-time.Millisecond), external); err == nil {
				t.Errorf("step %d is made too early", i)
			}
			now = now.Add(time.Minute)
		}
		after, err := o.Advance(message, now, external)
		if err != nil || after.Status != want.to || after.Attempt() != want.attempt || after.Version() != o.Version()+1 {
			t.Fatalf("step %d: %+v, %v", i, after, err)
		}
		if again, err := after.Advance(message, now.Add(time.Hour), external); !errors.Is(err, order.ErrAlreadyDone) {
			t.Errorf("step %d again: %+v, %v", i, again, err)
		}
		o = after
	}
	if o.Exception.Reason != "no answer in 2 attempts" || len((order.Change{New: &o}).FollowUps(external)) > 0 {
		t.Errorf("failed as %+v", o.Exception)
	}
	o, err := o.Transition(order.TransitionRequest{Transition: order.Retry, Version: o.Version()}, now, external)
	if err != nil || o.Attempt() != 0 || o.Exception.Reason != "" || !o.Exception.FailedAt.IsZero() {
		t.Errorf("retried as %+v, %v", o, err)
	}
}

// I4, I6: for any history, an order's version grows by one with each transition, the order stays
// valid, and an order that is not final and not Failed has one message, which leads on.
func TestAnyHistoryOfTransitions(t *testing.T) {
	// Final orders stay as they are, so that few histories shall end in one soon.
	drawn := []order.Transition{order.Start, order.Start, order.Restart, order.Fail, order.Fail, order.Retry, order.Retry, order.Complete, order.Cancel}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom([]order.Fulfilment{external, order.Timer(processing)}).Draw(t, "fulfilment")
		o := order.New(order.Draft{InitialStatus: rapid.SampledFrom(order.InitialStatuses).Draw(t, "initial")}, "ORD", noon)
		now, steps := noon, 0
		var tally order.Tally
		tally.Add(order.Change{New: &o}.Tally())
		for range 40 {
			now = now.Add(rapid.SampledFrom([]time.Duration{-time.Minute, -time.Millisecond, 0, time.Millisecond, time.Minute, 2 * time.Minute}).Draw(t, "passes"))
			before := o
			var err error
			transition := rapid.SampledFrom(drawn).Draw(t, "transition")
			if transition == order.Start || transition == order.Restart {
				for _, m := range (order.Change{New: &o}).FollowUps(f) {
					o, err = o.Advance(m, now, f)
				}
			} else {
				o, err = o.Transition(order.TransitionRequest{Transition: transition, By: "anna"}, now, f)
			}
			if !reflect.DeepEqual(o, before) {
				steps++
				if o.Version() != before.Version()+1 {
					t.Fatalf("%+v became %+v", before, o)
				}
				if _, ok := table[before.Status][o.History()[len(o.History())-1].Transition]; !ok || err != nil {
					t.Fatalf("from %s to %s, %v", before.Status, o.Status, err)
				}
			}
			tally.Add(order.Change{Old: &before, New: &o}.Tally())
			waits := len((order.Change{New: &o}).FollowUps(f)) == 1
			inOrder := slices.IsSortedFunc(o.History(), func(a, b order.Event) int { return a.At.Compare(b.At) })
			if !inOrder || o.Version() < before.Version() || o.Validate() != nil || waits != (o.Status < order.Completed) {
				t.Fatalf("%+v became %+v (Validate: %v)", before, o, o.Validate())
			}
		}
		if o.Version() != order.New(order.Draft{InitialStatus: o.Status}, "ORD", noon).Version() && o.Exception == nil {
			t.Fatalf("%+v is at version %d", o, o.Version())
		}
		if recount := (order.Change{New: &o}).Tally(); tally != recount {
			t.Fatalf("counted as %+v, is %+v after %d steps", tally, recount, steps)
		}
	})
}

func TestTheHistoryOfTheMainPath(t *testing.T) {
	started, completed := order.Event{Transition: order.Start, At: noon.Add(time.Hour)}, order.Event{Transition: order.Complete, At: noon.Add(2 * time.Hour)}
	for s, want := range map[order.Status][]order.Event{
		order.Pending: nil, order.Processing: {started}, order.Completed: {started, completed},
	} {
		if got := orderIn(t, s).History(); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, not %+v", s, got, want)
		}
	}
}

func TestAnOrderThatIsNotStartedHasNoAttempt(t *testing.T) {
	for s, want := range map[order.Status]int{order.Pending: 0, order.Processing: 1, order.Completed: 1, order.Cancelled: 0} {
		if got := orderIn(t, s).Attempt(); got != want {
			t.Errorf("a %s order is in attempt %d, not %d", s, got, want)
		}
	}
}

// The history keeps the main path and the last transitions.
func TestTheHistoryIsBounded(t *testing.T) {
	o := orderIn(t, order.Processing)
	now := noon
	for range order.MaxHistory {
		now = now.Add(time.Hour)
		o, _ = o.Transition(order.TransitionRequest{Transition: order.Fail, Reason: "no stock", By: "worker"}, now, external)
		o, _ = o.Transition(order.TransitionRequest{Transition: order.Retry, Version: o.Version()}, now, external)
		o, _ = o.Advance((order.Change{New: &o}).FollowUps(external)[0], now, external)
	}
	last := o.History()[len(o.History())-1]
	if n := len(o.History()); n != order.MaxHistory || last.Transition != order.Start || !last.At.Equal(now) || o.Version() != 2+3*order.MaxHistory {
		t.Errorf("%d events, the last %+v, version %d", n, last, o.Version())
	}
}

// Stores keep histories forever, so that their bytes must stay readable.
func TestBytesOfAnExceptionNeverChange(t *testing.T) {
	o := orderIn(t, order.Failed)
	o, _ = o.Transition(order.TransitionRequest{Transition: order.Cancel, Reason: "too late", By: "anna"}, noon.Add(3*time.Hour), external)
	const want = `{"version":4,"attempt":1,"reason":"too late","failed_at":"2026-11-22T14:00:00Z","cancelled_at":"2026-11-22T15:00:00Z",` +
		`"history":[{"transition":"start","at":"2026-11-22T13:00:00Z"},{"transition":"fail","at":"2026-11-22T14:00:00Z"},` +
		`{"transition":"cancel","at":"2026-11-22T15:00:00Z","by":"anna","reason":"too late"}]}`
	got, err := json.Marshal(o.Exception)
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	var back order.Exception
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, *o.Exception) {
		t.Errorf("read as %+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"history":[{"transition":"explode"}]}`), &back); err == nil {
		t.Error("an unknown transition is read")
	}
}

func TestValidateRefusesAnExceptionThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*order.Order){
		"Failed without an exception":      func(o *order.Order) { o.Exception = nil },
		"Failed at the version of a start": func(o *order.Order) { o.Exception.Version = 2 },
		"Failed without its time":          func(o *order.Order) { o.Exception.FailedAt = time.Time{} },
		"Failed and cancelled":             func(o *order.Order) { o.Exception.CancelledAt = noon },
		"Failed before its start":          func(o *order.Order) { o.StartedAt = time.Time{} },
		"Cancelled and completed": func(o *order.Order) {
			o.Status, o.Exception.CancelledAt, o.CompletedAt = order.Cancelled, noon.Add(9*time.Hour), noon.Add(9*time.Hour)
		},
		"Failed and completed":       func(o *order.Order) { o.CompletedAt = noon.Add(9 * time.Hour) },
		"Cancelled without its time": func(o *order.Order) { o.Status = order.Cancelled },
		"Processing with a failure":  func(o *order.Order) { o.Status = order.Processing },
		"a negative attempt":         func(o *order.Order) { o.Exception.Attempt = -1 },
		"an unknown status":          func(o *order.Order) { o.Status = order.Cancelled + 1 },
	} {
		o := orderIn(t, order.Failed)
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		if change(&o); o.Validate() == nil {
			t.Errorf("%s is valid: %+v", name, o)
		}
	}
}

// I6: the version of an order off the main path is at least that of the shortest way to its status.
func TestValidateKnowsTheLeastVersionOfEachStatus(t *testing.T) {
	at := noon.Add(time.Hour)
	for s, o := range map[order.Status]order.Order{
		order.Pending:    {Exception: &order.Exception{Version: 4}},                                             // start, fail, retry
		order.Processing: {Exception: &order.Exception{Version: 3, Attempt: 2}, StartedAt: at},                  // start, restart
		order.Completed:  {Exception: &order.Exception{Version: 4, Attempt: 2}, StartedAt: at, CompletedAt: at}, // start, restart, complete
		order.Failed:     {Exception: &order.Exception{Version: 3, Attempt: 1, FailedAt: at}, StartedAt: at},    // start, fail
		order.Cancelled:  {Exception: &order.Exception{Version: 2, CancelledAt: at}},                            // cancel
	} {
		o.Status, o.CreatedAt = s, noon
		if err := o.Validate(); err != nil {
			t.Errorf("%s at version %d: %v", s, o.Version(), err)
		}
		if o.Exception.Version--; o.Validate() == nil {
			t.Errorf("%s is valid at version %d", s, o.Version())
		}
	}
}

func TestAFulfilmentOutsideItsBoundsIsRefused(t *testing.T) {
	for want, f := range map[string]order.Fulfilment{
		"ProcessingTime must be from 1ms to 15m0s":                                     {},
		"AttemptTimeout must be from 1ms to 15m0s\nMaxAttempts must be from 1 to 100":  {External: true},
		"AttemptTimeout must be from 1ms to 15m0s\nMaxAttempts must be from 1 to 100 ": {External: true, AttemptTimeout: time.Hour, MaxAttempts: 101},
	} {
		if err := f.Validate(); err == nil || err.Error() != strings.TrimSpace(want) {
			t.Errorf("%+v: %v, want %s", f, err, want)
		}
	}
	for _, f := range []order.Fulfilment{order.Timer(processing), external} {
		if err := f.Validate(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
