package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"orders/shared/order"
)

// A store whose creates fail ends each sentence with one message about that, not with those that
// follow from it.
func TestATestEndsWithTheFirstCreateThatFails(t *testing.T) {
	for _, tt := range createTests {
		r := &recorder{TB: t}
		r.run(func() {
			tt.run(&tester{TB: r, Harness: Harness{Store: newBrokenStore(errors.New("broken"), math.MaxInt64)}})
		})
		if len(r.messages) != 1 || !strings.Contains(r.messages[0], "broken") {
			t.Errorf("%s: %q", tt.sentence, r.messages)
		}
	}
}

func TestARequestWithAKeyIsSentAgainWhileTheStoreIsUnavailable(t *testing.T) {
	for _, tt := range []struct {
		change []func(*order.Draft)
		stored bool
	}{{[]func(*order.Draft){keyed("k")}, true}, {nil, false}} {
		store := newBrokenStore(fmt.Errorf("%w: busy", order.ErrUnavailable), 2)
		tester := &tester{TB: t, Harness: Harness{Store: store}}
		if _, _, err := tester.store(tester.draft(tt.change...)); (err == nil) != tt.stored {
			t.Errorf("stored %v: %v", tt.stored, err)
		}
	}
}

// A brokenStore fails so many creates.
type brokenStore struct {
	order.Store
	err      error
	failures atomic.Int64
}

func newBrokenStore(err error, failures int64) *brokenStore {
	s := &brokenStore{err: err}
	s.failures.Store(failures)
	return s
}

func (s *brokenStore) Create(context.Context, order.Draft) (order.Order, bool, error) {
	if s.failures.Add(-1) < 0 {
		return order.Order{}, false, nil
	}
	return order.Order{}, false, s.err
}

// A recorder keeps what a test reports. Fatal ends run.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	messages []string
}

func (r *recorder) run(f func()) {
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
	}()
	f()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}
func (r *recorder) Error(args ...any)                 { r.Errorf("%s", fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); panic(r) }
func (r *recorder) Fatal(args ...any)                 { r.Error(args...); panic(r) }
