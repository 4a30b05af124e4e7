package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// maxCommit is how long a commit may take before the store reports that it accepts no orders.
const maxCommit = 5 * time.Second

// writeProbe writes as many bytes as the largest order. A smaller commit may succeed on a disk that
// has no room for such an order.
const writeProbe = "INSERT OR REPLACE INTO probe VALUES (1, zeroblob(65536))"

const probeInterval = time.Second

// A health tells whether commits succeed. The writer updates it, and any goroutine may read it.
type health struct {
	mu      sync.Mutex
	began   time.Time // when the present commit began, zero if there is none
	failing bool      // whether the last commit failed
}

func (h *health) begin(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = now
}

func (h *health) end() { h.begin(time.Time{}) }

func (h *health) isFailing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing
}

// failed records that a commit has failed, and reports whether the one before had succeeded.
func (h *health) failed() (first bool) { return h.set(true) }

// succeeded records that a commit as large as an order has succeeded, and reports whether the one
// before had failed.
func (h *health) succeeded() (recovered bool) { return h.set(false) }

func (h *health) set(failing bool) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed = h.failing != failing
	h.failing = failing
	return changed
}

// check returns order.ErrUnavailable with the reason while commits fail or stall.
func (h *health) check(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.failing:
		return fmt.Errorf("%w: the last commit failed", order.ErrUnavailable)
	case !h.began.IsZero() && now.Sub(h.began) >= maxCommit:
		return fmt.Errorf("%w: a commit takes %s or longer", order.ErrUnavailable, maxCommit)
	default:
		return nil
	}
}

// A brokenError says that the file can no longer be relied on: it is not known whether a commit is
// on the disk, or the file is damaged, or it was replaced. An order that is acknowledged now might
// be lost, so the store stops. Opening the file again shows its true state.
type brokenError struct {
	what string
	err  error // may be nil
}

func (e *brokenError) Error() string {
	if e.err == nil {
		return e.what
	}
	return e.what + ": " + e.err.Error()
}

func (e *brokenError) Unwrap() error { return e.err }

// Is makes later calls return order.ErrUnavailable, too.
func (e *brokenError) Is(target error) bool { return target == order.ErrUnavailable }

// failOnDamage stops the store if err says that the file cannot be relied on, and reports whether
// it does.
func (s *Store) failOnDamage(err error) bool {
	broken, ok := errors.AsType[*brokenError](err)
	if !ok && isDamage(sqlite.ErrCode(err)) {
		broken, ok = &brokenError{s.cfg.Path + " is damaged", err}, true
	}
	if ok && s.fail(broken) {
		s.cfg.Log.Error("stopped: open the file again to see what is on the disk", "err", broken)
	}
	return ok
}

// isDamage reports whether a code says that the file does not have the content that SQLite wrote.
func isDamage(code sqlite.ResultCode) bool {
	primary := code.ToPrimary()
	return primary == sqlite.ResultCorrupt || primary == sqlite.ResultNotADB || code == sqlite.ResultIOErrShortRead
}
