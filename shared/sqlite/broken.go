package sqlite

import (
	"errors"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

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
func (s *Store) stopIf(err error) bool {
	broken, ok := errors.AsType[*brokenError](err)
	if !ok && isDamage(sqlite.ErrCode(err)) {
		broken, ok = &brokenError{s.cfg.Path + " is damaged", err}, true
	}
	if ok && s.refuse(broken) {
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
