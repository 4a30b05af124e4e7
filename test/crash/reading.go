package main

import "slices"

// before returns what is known of an order before it is read: the answer may
// not be older than that.
func (l *ledger) before(r *record) sighting {
	l.mu.Lock()
	defer l.mu.Unlock()
	return r.seen
}

// saw notes an order as it was read.
func (l *ledger) saw(before sighting, o *orderAnswer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := askOf(o)
	if !ok || int(a) >= len(l.records) || !a.is(o) || before.id != "" && before.id != o.OrderID {
		return broken(durable, "%s has another content than was asked for: %+v", o.OrderID, o)
	}
	r := l.records[a]
	if err := l.identify(r, o.OrderID); err != nil {
		return err
	}
	now := sightingOf(o)
	if err := now.plausible(a); err != nil {
		return err
	}
	if err := now.follows(before); err != nil {
		return err
	}
	return r.seen.merge(now)
}

// sawStatus notes a status that was read.
func (l *ledger) sawStatus(r *record, before sighting, status string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rank := slices.Index(statuses, status)
	if rank < before.rank {
		return broken(forward, "%s is %s after it was %s", before.id, status, statuses[before.rank])
	}
	r.seen.rank = max(r.seen.rank, rank)
	return nil
}

// known returns the record with that id, nil when no answer has named it.
func (l *ledger) known(id string) *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

// mostAfter is how many orders may have been made after that one: all that were
// sent since, and those that were on their way when it was.
func (l *ledger) mostAfter(r *record) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sends - r.sentAt + l.connections
}

// leastTotal is how many orders metrics must show, and how many of them Completed,
// at the least. One that is there and not yet acknowledged may not be counted yet.
func (l *ledger) leastTotal() (orders, completed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked), l.completed
}

// sawMetrics notes metrics that were read, when at least so many orders were there.
func (l *ledger) sawMetrics(m metricsAnswer, orders, completed int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := m.StatusCounts
	switch {
	case m.TotalOrders != counts.Pending+counts.Processing+counts.Completed,
		counts.Pending < 0, counts.Processing < 0, m.AvgProcessTime < 0:
		return broken(addsUp, "they do not: %+v", m)
	case m.TotalOrders < orders || m.TotalOrders > len(l.records):
		return broken(addsUp, "there are %d to %d orders: %+v", orders, len(l.records), m)
	case counts.Completed < completed:
		return broken(addsUp, "%d orders were Completed before: %+v", completed, m)
	}
	l.completed = max(l.completed, counts.Completed)
	return nil
}

// allListed compares the joined pages with what is known.
func (l *ledger) allListed(ids []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	listed := make(map[string]bool, len(ids))
	for _, id := range ids {
		if listed[id] {
			return broken(listsAll, "%s is listed twice", id)
		}
		listed[id] = true
	}
	for id := range l.byID {
		if !listed[id] {
			return broken(listsAll, "%s is not listed", id)
		}
	}
	return nil
}
