package main

import (
	"slices"
	"time"
)

// statuses lists the statuses in their order; a status' index is its rank.
var statuses = []string{"Pending", "Processing", "Completed"}

// A record is what the ledger knows of one order.
type record struct {
	ask          ask
	sentAt       int // how many creates were sent before it
	acknowledged bool
	seen         sighting
}

// A sighting is what was seen of an order: nothing of it may be undone.
type sighting struct {
	id   string // "" until an answer names it
	rank int
	// Zero until they are seen.
	created, started, completed time.Time
}

func sightingOf(o *orderAnswer) sighting {
	return sighting{o.OrderID, slices.Index(statuses, o.Status), o.CreatedAt, o.StartedAt, o.CompletedAt}
}

// plausible looks at one sighting by itself.
func (s sighting) plausible(a ask) error {
	started, completed := s.rank >= 1, s.rank == 2
	if a.status() == "Completed" {
		started, completed = false, false // elsewhere
	}
	switch {
	case s.rank < slices.Index(statuses, a.status()):
		return broken(forward, "%s was taken over as %s: %+v", s.id, a.status(), s)
	case s.created.IsZero() || s.started.IsZero() == started || s.completed.IsZero() == completed:
		return broken(inOrder, "%s has other times than its status demands: %+v", s.id, s)
	case started && s.started.Before(s.created):
		return broken(inOrder, "%s was started before it was created: %+v", s.id, s)
	case completed && s.completed.Sub(s.started) < processingTime:
		return broken(takesTime, "%s was completed after %s: %+v", s.id, s.completed.Sub(s.started), s)
	}
	return nil
}

// follows looks whether nothing that was seen before has been undone.
func (s sighting) follows(before sighting) error {
	if s.rank < before.rank {
		return broken(forward, "%s is %s after it was %s", s.id, statuses[s.rank], statuses[before.rank])
	}
	for _, stamp := range []struct{ was, is time.Time }{
		{before.created, s.created}, {before.started, s.started}, {before.completed, s.completed},
	} {
		if !stamp.was.IsZero() && !stamp.was.Equal(stamp.is) {
			return broken(onceOnly, "%s has %s where it had %s", s.id, stamp.is, stamp.was)
		}
	}
	return nil
}

// merge adds another sighting, which may be an earlier one: answers to different
// connections overtake each other.
func (s *sighting) merge(other sighting) error {
	for _, stamp := range []struct {
		was *time.Time
		is  time.Time
	}{{&s.created, other.created}, {&s.started, other.started}, {&s.completed, other.completed}} {
		switch {
		case stamp.was.IsZero():
			*stamp.was = stamp.is
		case !stamp.is.IsZero() && !stamp.was.Equal(stamp.is):
			return broken(onceOnly, "%s has %s where it had %s", s.id, stamp.is, stamp.was)
		}
	}
	s.rank = max(s.rank, other.rank)
	return nil
}
