package awstest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"orders/test/awstest"
)

func TestASlowCallArrivesUnlessItsContextEndsBefore(t *testing.T) {
	t.Parallel()
	db, table, calls, faults := openTable(t)

	faults.Play("UpdateItem", awstest.Slow(20*time.Millisecond))
	began := time.Now()
	if err := add(t, db, table, "1"); err != nil || time.Since(began) < 20*time.Millisecond {
		t.Errorf("error %v after %s", err, time.Since(began))
	}
	faults.Play("UpdateItem", awstest.Slow(time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := db.UpdateItem(ctx, addition(table, "1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if made, got := calls.Take().Calls["UpdateItem"], counter(t, db, table); made != 2 || got != "1" {
		t.Errorf("%d attempts, and the counter is %s", made, got)
	}
}

// A function that is killed at a call has made this one or not, and makes no other.
func TestAFunctionThatIsKilledMakesNoFurtherCalls(t *testing.T) {
	for name, test := range map[string]struct {
		fault   awstest.Fault
		counter string
	}{
		"before the call took effect": {awstest.KilledBefore, "10"},
		"after the call took effect":  {awstest.KilledAfter, "11"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, table, _, faults := openTable(t)
			function := awstest.Mortal(func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
				for range 3 { // whatever becomes of the calls
					_, _ = db.UpdateItem(ctx, addition(table, "1"))
				}
				_, err := db.UpdateItem(context.WithoutCancel(ctx), addition(table, "1"))
				return []byte("done"), err
			})
			if answer, err := function(t.Context(), "", nil); string(answer) != "done" || err != nil {
				t.Errorf("one that lives answers %s, error %v", answer, err)
			}
			if err := add(t, db, table, "6"); err != nil {
				t.Error(err)
			}
			faults.Play("UpdateItem", test.fault)
			faults.Play("UpdateItem") // is the next invocation's
			faults.Play("UpdateItem", awstest.NeverArrives)
			if answer, err := function(t.Context(), "", nil); answer != nil || err == nil {
				t.Errorf("one that is killed answers %s, error %v", answer, err)
			}
			if got := counter(t, db, table); got != test.counter {
				t.Errorf("the counter is %s, not %s", got, test.counter)
			}
			if err := add(t, db, table, "1"); err != nil || len(faults.Unplayed()) != 1 {
				t.Errorf("the dead have met faults of the living; error %v", err)
			}
		})
	}
}

func TestACallAtWhichNobodyCanBeKilledReturnsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	db, table, _, faults := openTable(t)
	faults.Play("UpdateItem", awstest.KilledAfter)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := db.UpdateItem(ctx, addition(table, "1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if got := counter(t, db, table); got != "1" {
		t.Errorf("the counter is %s", got)
	}
}
