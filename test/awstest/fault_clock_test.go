package awstest_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"orders/shared/order"
	"orders/test/awstest"
)

// F20, I6, I7, I8, I11: whoever looks at a clock looks at one of two, ten minutes apart. The
// queue does not wait, or this would take ten minutes.
func TestTimesFitWhateverClockAWorkerGoesBy(t *testing.T) {
	h := openFaulty(t, func(s *awstest.Setup) {
		s.Now = func() time.Time { return time.Now().Add(time.Duration(rand.IntN(2)) * 10 * time.Minute) }
	})
	h.faults.Begin("SendMessageBatch", awstest.Hurried)
	h.create(6)
	h.audit()
}

// F20, I4, I7, I8: the clock is set back behind the creation. The start does not wait for
// it; the completion does.
func TestAClockThatStepsBackStartsAnOrderAtItsCreation(t *testing.T) {
	var behind atomic.Bool
	back := make(gate)
	h := openFaulty(t, back.before(awstest.RelayFunction), func(s *awstest.Setup) {
		s.Now = func() time.Time {
			if behind.Load() {
				return time.Now().Add(-10 * time.Minute)
			}
			return time.Now()
		}
	})
	h.create(5)
	behind.Store(true)
	if failed := h.start(); len(failed) > 0 {
		t.Errorf("these have not been started: %v", failed)
	}
	for id := range h.told {
		if o := h.read(id); o.Status != order.Processing || !o.StartedAt.Equal(o.CreatedAt) {
			t.Errorf("the order is %s, created at %s and started at %s", o.Status, o.CreatedAt, o.StartedAt)
		}
	}
	behind.Store(false)
	close(back)
	h.audit()
}
