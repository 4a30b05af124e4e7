package sqlite

import (
	"container/heap"
	"encoding/json/v2"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// A seqRange is the messages of all orders from seq first to seq last: the same transition of each,
// due at the same time. No other order lies between them. Orders of one group commit are due
// together, so under load most ranges hold hundreds of orders, and one UPDATE advances them all.
type seqRange struct {
	to order.Status
	// version is order.Message.Version: 0 for the main path.
	version     int
	first, last int64
	// startedAt is when the orders were started, zero for Pending orders.
	startedAt time.Time
	// notBefore is order.Message.NotBefore, in wall-clock time.
	notBefore time.Time
	// due is when to process the range: a monotonic time, which a step of the wall clock does not
	// change.
	due time.Time
	// queuedAt is when the range was queued first, a monotonic time.
	queuedAt time.Time
	// open means that the orders are in open_orders, so that they do not hold the checkpoint.
	open bool
	// failures is how often the orders could not be advanced. They are in dead_letters since the
	// first failure.
	failures int
}

func (r seqRange) len() int { return int(r.last - r.first + 1) }

// transition is the transition of a range on the main path.
func (r seqRange) transition() order.Transition {
	if r.to == order.Processing {
		return order.Start
	}
	return order.Complete
}

// A queue holds the waiting messages in memory, for the writer alone. The process owns its file, so
// no other process can process them, and after a crash they are computed from the orders again.
type queue struct {
	waiting    rangeHeap
	fulfilment order.Fulfilment
	// left are orders whose message on the main path still waits in a range, though a request has
	// made a transition of them. They are removed from the range when it is due.
	left map[int64]struct{}
}

// push queues a range. now is the monotonic time, and wall the time by the clock that dates the
// orders. No range waits longer than the processing time, even if that clock was set back.
func (q *queue) push(r seqRange, now, wall time.Time) {
	r.due, r.queuedAt = now.Add(min(max(r.notBefore.Sub(wall), 0), q.fulfilment.Wait())), now
	heap.Push(&q.waiting, r)
}

// retry queues a range again: a second after its commit has failed, or after a delay that doubles
// with each failure if its order could not be advanced.
func (q *queue) retry(r seqRange, now time.Time) {
	r.due = now.Add(min(retryDelay<<min(r.failures, 6), maxRetryDelay))
	heap.Push(&q.waiting, r)
}

const (
	retryDelay    = time.Second
	maxRetryDelay = time.Minute
)

// maxAdvances is about how many transitions one commit makes, so that a backlog does not delay new
// orders.
const maxAdvances = 5_000

func (q *queue) pop(now time.Time) (due []seqRange) {
	for n := 0; n < maxAdvances && len(q.waiting) > 0 && !now.Before(q.waiting[0].due); {
		r := heap.Pop(&q.waiting).(seqRange)
		n += r.len()
		due = q.appendWithoutLeft(due, r)
	}
	return due
}

// leave notes orders whose message on the main path they wait for no longer.
func (q *queue) leave(seqs []int64) {
	for _, seq := range seqs {
		q.left[seq] = struct{}{}
	}
}

// appendWithoutLeft appends a range, or its parts between the orders that have left it.
func (q *queue) appendWithoutLeft(ranges []seqRange, r seqRange) []seqRange {
	if len(q.left) == 0 || r.version != 0 {
		return append(ranges, r)
	}
	part := r
	for seq := r.first; seq <= r.last; seq++ {
		if _, ok := q.left[seq]; !ok {
			continue
		}
		delete(q.left, seq)
		if part.last = seq - 1; part.len() > 0 {
			ranges = append(ranges, part)
		}
		part.first = seq + 1
	}
	if part.last = r.last; part.len() > 0 {
		ranges = append(ranges, part)
	}
	return ranges
}

// openAfter is how long a range may hold the checkpoint, if its orders wait for a worker.
const openAfter = time.Minute

// toOpen returns the ranges that were queued before that time and whose orders must be moved to
// open_orders; the zero time is before all. Under a timer, orders on the main path hold the checkpoint
// instead, for the processing time at most, and others are in open_orders already.
func (q *queue) toOpen(before time.Time) (ranges []*seqRange) {
	if before.IsZero() || !q.fulfilment.External {
		return nil
	}
	for i := range q.waiting {
		if r := &q.waiting[i]; r.version != 0 && !r.open && r.failures == 0 && r.queuedAt.Before(before) {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

// wait returns the time until a range is due; ok is false if none waits.
func (q *queue) wait(now time.Time) (d time.Duration, ok bool) {
	if len(q.waiting) == 0 {
		return 0, false
	}
	return q.waiting[0].due.Sub(now), true
}

// finishedBelow returns the seq, at most next, below which no order waits for a transition. Orders
// in open_orders do not count, and neither do those that could not be advanced: a restart finds them
// in dead_letters.
func (q *queue) finishedBelow(next int64) int64 {
	for _, r := range q.waiting {
		if r.failures == 0 && !r.open {
			next = min(next, r.first)
		}
	}
	return next
}

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

// A rangeBuilder gathers messages into ranges.
type rangeBuilder struct {
	ranges []seqRange
	// open is the index in ranges plus one of the range that can still grow, for each transition;
	// 0 if there is none.
	open [len(order.Statuses)]int
}

const maxRangeLen = 1_000

// add adds the messages of the order at seq.
func (b *rangeBuilder) add(seq int64, o *order.Order, messages []order.Message) {
	for _, m := range messages {
		if i := b.open[m.To] - 1; i >= 0 && b.ranges[i].extendedBy(seq, m) {
			b.ranges[i].last = seq
			continue
		}
		b.ranges = append(b.ranges, seqRange{
			to: m.To, version: m.Version, first: seq, last: seq, startedAt: o.StartedAt, notBefore: m.NotBefore,
			open: o.Exception != nil,
		})
		b.open[m.To] = len(b.ranges)
	}
}

// extendedBy reports whether the message of the order at seq can be added at the end of the range.
func (r seqRange) extendedBy(seq int64, m order.Message) bool {
	return seq == r.last+1 && r.len() < maxRangeLen && r.version == m.Version && r.notBefore.Equal(m.NotBefore)
}

// A deadLetter is the body in dead_letters of the message of an order that cannot be read, so that
// its id is not known.
type deadLetter struct {
	Seq int64  `json:"seq"`
	To  string `json:"to"`
}

func (r seqRange) deadLetter() []byte {
	body, err := json.Marshal(deadLetter{r.first, r.to.String()})
	if err != nil {
		panic(err) // a number and a plain string always have a JSON form
	}
	return body
}

// loadPostponed returns the seqs in dead_letters: of orders that could not be advanced.
func loadPostponed(conn *sqlite.Conn) (map[int64]bool, error) {
	seqs := map[int64]bool{}
	err := eachRow(conn, "SELECT body FROM dead_letters", func(row *sqlite.Stmt) {
		var entry deadLetter
		if json.UnmarshalRead(row.ColumnReader(0), &entry) == nil && entry.Seq > 0 {
			seqs[entry.Seq] = true
		}
	})
	return seqs, err
}
