package sqlite

import (
	"container/heap"
	"time"

	"orders/shared/order"
)

// A run is messages that say the same of orders created side by side: one
// transition, due at one time. Orders of one group commit share their fate, so
// most runs hold hundreds, and a run costs one UPDATE.
//
// Between the first and the last seq of a run there may be other orders; they
// are told apart by status and start.
type run struct {
	to   order.Status
	seqs []int64 // ascending
	// startedAt is when the orders were started, zero for Pending ones.
	startedAt time.Time
	// notBefore is order.Message.NotBefore, by the clock on the wall.
	notBefore time.Time
	// due is when to hand the run out: a reading of the process's own clock,
	// which a step of the clock on the wall does not touch.
	due time.Time
}

// A queue holds the messages that wait, in memory: the process owns its file, so
// nobody else can take them, and what a crash forgets is read off the orders.
// Only the writer uses it.
type queue struct {
	waiting    runHeap
	processing time.Duration
}

// push queues a run at the time now. No wait is longer than the processing
// time, though the clock on the wall may have been set back.
func (q *queue) push(r run, now time.Time) {
	r.due = now.Add(min(max(r.notBefore.Sub(now), 0), q.processing))
	heap.Push(&q.waiting, r)
}

// retry puts back a run whose commit has failed.
func (q *queue) retry(r run, now time.Time) {
	r.due = now.Add(retryDelay)
	heap.Push(&q.waiting, r)
}

const retryDelay = time.Second

// maxAdvances is about how many transitions one commit makes, so that a backlog
// does not hold up new orders.
const maxAdvances = 5_000

// pop takes runs that are due.
func (q *queue) pop(now time.Time) (due []run) {
	for n := 0; n < maxAdvances && len(q.waiting) > 0 && !now.Before(q.waiting[0].due); {
		r := heap.Pop(&q.waiting).(run)
		n += len(r.seqs)
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

// finishedBelow is the seq below which no order waits for anything.
func (q *queue) finishedBelow(next int64) int64 {
	for _, r := range q.waiting {
		next = min(next, r.seqs[0])
	}
	return next
}

// runHeap is a heap.Interface of runs by due time.
type runHeap []run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(r any)        { *h = append(*h, r.(run)) }
func (h *runHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = run{} // let go of its seqs
	*h = (*h)[:last]
	return r
}

// A runBuilder gathers messages into runs, in the order of their seqs.
type runBuilder struct {
	runs []run
	// open is the index in runs of the run that is growing for each transition.
	open [len(order.Statuses)]int
}

// add gathers what follows from a change of the order at seq.
func (b *runBuilder) add(seq int64, o *order.Order, messages []order.Message) {
	for _, m := range messages {
		if i := b.open[m.To] - 1; i >= 0 && b.runs[i].takes(seq, m) {
			b.runs[i].seqs = append(b.runs[i].seqs, seq)
			continue
		}
		b.runs = append(b.runs, run{to: m.To, seqs: []int64{seq}, startedAt: o.StartedAt, notBefore: m.NotBefore})
		b.open[m.To] = len(b.runs)
	}
}

// takes reports whether the message of the order at seq says the same as the run,
// and keeps its seqs ascending.
func (r *run) takes(seq int64, m order.Message) bool {
	return seq > r.seqs[len(r.seqs)-1] && len(r.seqs) < maxRun && r.notBefore.Equal(m.NotBefore)
}

const maxRun = 1_000

// split closes the open runs: the next message begins a new one, because orders
// that wait for nothing lie in between.
func (b *runBuilder) split() { b.open = [len(order.Statuses)]int{} }
