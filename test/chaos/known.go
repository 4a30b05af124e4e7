package chaos

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"orders/shared/order"
)

// A known order is there, and is never to go again.
type known struct {
	draft order.Draft
	last  order.Order // as last read
	// begun is how much time had passed when it was seen to be started in good order,
	// negative when that was not seen.
	begun time.Duration
}

// String names the order for a person who knows the steps.
func (k *known) String() string {
	if k == nil {
		return "nobody's"
	}
	return "the order " + show(k.last)
}

// show is an order as a failure tells of it.
func show(o order.Order) string {
	return fmt.Sprintf("of request %q (%s, %s, created %s, started %s, completed %s)",
		o.ClientReference, o.ID, o.Status, clock(o.CreatedAt), clock(o.StartedAt), clock(o.CompletedAt))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("15:04:05.000")
}

// sameOrder reports whether two readings show the order of one request.
func sameOrder(a, b order.Order) bool {
	return a.ID == b.ID && a.CreatedAt.Equal(b.CreatedAt) && reflect.DeepEqual(a.Details, b.Details)
}

// became says what is wrong with an order that is read again (I1, I5, I6).
func (k *known) became(o order.Order, processing time.Duration) error {
	switch {
	case !sameOrder(o, k.last):
		return errors.New("is another order than before")
	case o.Status < k.last.Status || o.Status < k.draft.InitialStatus:
		return errors.New("went back")
	case !kept(k.last.StartedAt, o.StartedAt) || !kept(k.last.CompletedAt, o.CompletedAt):
		return errors.New("was started or completed a second time")
	case k.draft.InitialStatus == order.Processing && !o.StartedAt.Equal(o.CreatedAt):
		return errors.New("was taken over as started, and not at its creation")
	default:
		return timed(o, k.draft.InitialStatus != order.Completed, processing)
	}
}

// kept reports whether a time that was set is the same still.
func kept(before, now time.Time) bool { return before.IsZero() || before.Equal(now) }

// timed says what is wrong with the times of an order, which is the system's own to
// process or was taken over when that was done (I7, I8).
func timed(o order.Order, own bool, processing time.Duration) error {
	started, completed := !o.StartedAt.IsZero(), !o.CompletedAt.IsZero()
	switch {
	case started != (own && o.Status >= order.Processing) || completed != (own && o.Status == order.Completed):
		return errors.New("has not the times of its status")
	case started && o.StartedAt.Before(o.CreatedAt):
		return errors.New("was started before it was created")
	case completed && o.CompletedAt.Sub(o.StartedAt) < processing:
		return errors.New("was not processed for its time")
	default:
		return nil
	}
}
