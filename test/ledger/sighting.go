package ledger

import (
	"slices"
	"time"

	"orders/test/service"
)

// statuses lists the statuses in their order; a status' index is its rank.
var statuses = []string{"Pending", "Processing", "Completed"}

// A Sighting is what was seen of an order: nothing of it may be undone.
type Sighting struct {
	ID   string // "" until a response names it
	rank int
	// Zero until they are seen.
	created, started, completed time.Time
}

func sightingOf(o *service.Order) Sighting {
	return Sighting{o.OrderID, slices.Index(statuses, o.Status), o.CreatedAt, o.StartedAt, o.CompletedAt}
}

// check looks at one sighting by itself; initial is the status in which the order was created.
func (s Sighting) check(initial string, processingTime time.Duration) error {
	started, completed := s.rank >= 1, s.rank == 2
	if initial == "Completed" {
		started, completed = false, false // elsewhere
	}
	switch {
	case s.rank < slices.Index(statuses, initial):
		return Broken(Forward, "%s was imported as %s: %+v", s.ID, initial, s)
	case s.created.IsZero() || s.started.IsZero() == started || s.completed.IsZero() == completed:
		return Broken(InOrder, "%s has other times than its status demands: %+v", s.ID, s)
	case started && s.started.Before(s.created):
		return Broken(InOrder, "%s was started before it was created: %+v", s.ID, s)
	case completed && s.completed.Sub(s.started) < processingTime:
		return Broken(TakesTime, "%s was completed after %s: %+v", s.ID, s.completed.Sub(s.started), s)
	}
	return nil
}

// follows returns an error when something that was seen before has been undone.
func (s Sighting) follows(before Sighting) error {
	if s.rank < before.rank {
		return Broken(Forward, "%s is %s after it was %s", s.ID, statuses[s.rank], statuses[before.rank])
	}
	return before.merge(s)
}

// merge adds another sighting, which may be an earlier one: responses on different connections
// overtake each other.
func (s *Sighting) merge(other Sighting) error {
	for _, stamp := range []struct {
		was *time.Time
		is  time.Time
	}{{&s.created, other.created}, {&s.started, other.started}, {&s.completed, other.completed}} {
		switch {
		case stamp.was.IsZero():
			*stamp.was = stamp.is
		case !stamp.is.IsZero() && !stamp.was.Equal(stamp.is):
			return Broken(OnceOnly, "%s has %s where it had %s", s.ID, stamp.is, stamp.was)
		}
	}
	s.rank = max(s.rank, other.rank)
	return nil
}
