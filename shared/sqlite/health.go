package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// maxCommit is for how long a commit may be under way before the store no longer counts as
// one that takes orders.
const maxCommit = 5 * time.Second

// writeProbe writes as much as the largest order takes. A commit that is smaller may succeed
// on a disk that has no room for an order.
const writeProbe = "INSERT OR REPLACE INTO probe VALUES (1, zeroblob(65536))"

const probeInterval = time.Second

// A health tells whether commits succeed. The writer keeps it, anybody may ask.
type health struct {
	mu      sync.Mutex
	began   time.Time // the commit under way, zero when there is none
	failing bool      // whether the last commit failed
}

func (h *health) begin(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = now
}

func (h *health) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = time.Time{}
}

func (h *health) isFailing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing
}

// failed notes that a commit has failed, and reports whether it is the first to.
func (h *health) failed() (first bool) { return h.set(true) }

// succeeded notes that a commit has succeeded that was as large as an order, and reports whether the one before had failed.
func (h *health) succeeded() (again bool) { return h.set(false) }

func (h *health) set(failing bool) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed = h.failing != failing
	h.failing = failing
	return changed
}

// check returns ErrUnavailable, with the reason, while orders are not taken.
func (h *health) check(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.failing:
		return fmt.Errorf("%w: the last commit failed", order.ErrUnavailable)
	case !h.began.IsZero() && now.Sub(h.began) >= maxCommit:
		return fmt.Errorf("%w: a commit has been under way for %s or longer", order.ErrUnavailable, maxCommit)
	default:
		return nil
	}
}

// A brokenError says that nobody can rely on the file: a commit failed and may be on the
// disk or not, or the file is damaged, or no longer there. An order acknowledged now
// might be lost, so the store stops. Opening the file again tells what there is.
type brokenError struct {
	what string
	err  error // nil if what says it all
}

func (e *brokenError) Error() string {
	if e.err == nil {
		return e.what
	}
	return e.what + ": " + e.err.Error()
}

func (e *brokenError) Unwrap() error { return e.err }

// Is makes calls that come after the failure answer as unavailable, too.
func (e *brokenError) Is(target error) bool { return target == order.ErrUnavailable }

// stopIf stops the store for good if err says that the file cannot be relied on, and
// reports whether it does.
func (s *Store) failOnDamage(err error) bool {
	broken, ok := errors.AsType[*brokenError](err)
	if !ok && isDamage(sqlite.ErrCode(err)) {
		broken, ok = &brokenError{s.cfg.Path + " is damaged", err}, true
	}
	if ok && s.fail(broken) {
		s.cfg.Log.Error("the store has stopped: only opening the file again can tell what is on the disk", "err", broken)
	}
	return ok
}

// isDamage reports whether a code says that the file holds what SQLite has not written,
// or not all of it.
func isDamage(code sqlite.ResultCode) bool {
	primary := code.ToPrimary()
	return primary == sqlite.ResultCorrupt || primary == sqlite.ResultNotADB || code == sqlite.ResultIOErrShortRead
}
