package sqlite

import (
	"container/heap"
	"time"

	"orders/shared/order"
)

// A run is messages that say the same of orders whose seqs follow one another
// without a gap: one transition, due at one time. Orders of one group commit share
// their fate, so most runs hold hundreds under load, and a run costs one UPDATE.
// No other order can lie between the first and the last.
type seqRange struct {
	to          order.Status
	first, last int64
	// startedAt is when the orders were started, zero for Pending ones.
	startedAt time.Time
	// notBefore is order.Message.NotBefore, by the clock on the wall.
	notBefore time.Time
	// due is when to hand the run out: a reading of the process's own clock,
	// which a step of the clock on the wall does not touch.
	due time.Time
	// failures is how often the orders could not be advanced. From the first time on they
	// are in dead_letters.
	failures int
}

// A queue holds the messages that wait, in memory: the process owns its file, so
// nobody else can take them, and what a crash forgets is read off the orders.
// Only the writer uses it.
type queue struct {
	waiting    rangeHeap
	processing time.Duration
}

// push queues a run at the time now, which is wall on the clock that dates the orders. No
// wait is longer than the processing time, though that clock may have been set back.
func (q *queue) push(r seqRange, now, wall time.Time) {
	r.due = now.Add(min(max(r.notBefore.Sub(wall), 0), q.processing))
	heap.Push(&q.waiting, r)
}

// retry puts back a run whose commit has failed, or whose order could not be advanced:
// the more often, the later.
func (q *queue) retry(r seqRange, now time.Time) {
	r.due = now.Add(min(retryDelay<<min(r.failures, 6), maxRetryDelay))
	heap.Push(&q.waiting, r)
}

const (
	retryDelay    = time.Second
	maxRetryDelay = time.Minute
)

// maxAdvances is about how many transitions one commit makes, so that a backlog
// does not hold up new orders.
const maxAdvances = 5_000

// pop takes runs that are due.
func (q *queue) pop(now time.Time) (due []seqRange) {
	for n := 0; n < maxAdvances && len(q.waiting) > 0 && !now.Before(q.waiting[0].due); {
		r := heap.Pop(&q.waiting).(seqRange)
		n += r.len()
		due = append(due, r)
	}
	return due
}

// wait is how long it is until a run is due; ok is false when none waits.
func (q *queue) wait(now time.Time) (d time.Duration, ok bool) {
	if len(q.waiting) == 0 {
		return 0, false
	}
	return q.waiting[0].due.Sub(now), true
}

// finishedBelow is the seq below which no order waits for anything, but for those that a
// restart finds in dead_letters.
func (q *queue) finishedBelow(next int64) int64 {
	for _, r := range q.waiting {
		if r.failures == 0 {
			next = min(next, r.first)
		}
	}
	return next
}

// runHeap is a heap.Interface of runs by due time.
type rangeHeap []seqRange

func (h rangeHeap) Len() int           { return len(h) }
func (h rangeHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h rangeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *rangeHeap) Push(r any)        { *h = append(*h, r.(seqRange)) }
func (h *rangeHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

// len is the number of messages.
func (r seqRange) len() int { return int(r.last - r.first + 1) }

// A runBuilder gathers messages into runs.
type rangeBuilder struct {
	ranges []seqRange
	// open is one more than the index in runs of the run that grows, for each
	// transition; 0 when none does.
	open [len(order.Statuses)]int
}

const maxRangeLen = 1_000

// add gathers what the order at seq waits for.
func (b *rangeBuilder) add(seq int64, o *order.Order, messages []order.Message) {
	for _, m := range messages {
		if i := b.open[m.To] - 1; i >= 0 && b.ranges[i].extendedBy(seq, m) {
			b.ranges[i].last = seq
			continue
		}
		b.ranges = append(b.ranges, seqRange{to: m.To, first: seq, last: seq, startedAt: o.StartedAt, notBefore: m.NotBefore})
		b.open[m.To] = len(b.ranges)
	}
}

// takes reports whether the message of the order at seq carries the run on.
func (r seqRange) extendedBy(seq int64, m order.Message) bool {
	return seq == r.last+1 && r.len() < maxRangeLen && r.notBefore.Equal(m.NotBefore)
}
