package sqlite

import (
	"maps"
	"slices"
	"sync"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// A keyIndex finds the order that an idempotency key names.
//
// Such ids are hashes: each lands on a page of its own in the table keys, and a
// commit of hundreds would rewrite hundreds of pages. So new ones wait in memory
// until there are many, and are then put into the table in their sorted order,
// where neighbours share pages, a part with each commit. Nothing is lost with
// the memory: the orders themselves hold the ids, and a restart reads those above
// the checkpoint "keys".
//
// There are two generations: recent, which grows, and frozen, which is being
// put into the table. The writer changes them; readers look things up.
type keyIndex struct {
	mu     sync.RWMutex
	recent map[order.ID]int64
	frozen map[order.ID]int64

	// size is after how many orders recent is frozen. It bounds the memory, and
	// what a restart reads again.
	size int

	// For the writer alone:
	orders   int        // orders, keyed or not, since recent began
	unmerged []order.ID // what of frozen is not yet in the table, sorted
	through  int64      // every keyed order up to this seq is in frozen or in the table
	stored   int64      // the checkpoint "keys"
}

func newKeyIndex(size int) *keyIndex {
	return &keyIndex{size: size, recent: map[order.ID]int64{}}
}

// find returns the seq of the order with that id, 0 when there is none. An id
// leaves the memory only when it is in the table for good, so looking in that order
// misses none.
func (k *keyIndex) find(conn *sqlite.Conn, id order.ID) (seq int64, err error) {
	k.mu.RLock()
	seq, ok := k.recent[id]
	if !ok {
		seq, ok = k.frozen[id]
	}
	k.mu.RUnlock()
	if ok {
		return seq, nil
	}
	stmt, err := conn.Prepare("SELECT seq FROM keys WHERE id = ?")
	if err != nil {
		return 0, err
	}
	stmt.BindText(1, string(id[len(idPrefix):]))
	return optionalInt(stmt)
}

// add notes an order that is being written.
func (k *keyIndex) add(id order.ID, seq int64) {
	k.mu.Lock()
	k.recent[id] = seq
	k.mu.Unlock()
}

// forget takes back an order whose commit failed.
func (k *keyIndex) forget(id order.ID) {
	k.mu.Lock()
	delete(k.recent, id)
	k.mu.Unlock()
}

// merge puts a part of the frozen generation into the table, within the
// transaction that conn is in: rather more than came in with it, so that a
// generation is done before the next is full. It returns how many it has put
// there, for merged to be told once they are committed.
func (k *keyIndex) merge(conn *sqlite.Conn, creates int) (n int, err error) {
	if k.stored == k.through {
		return 0, nil
	}
	// After a crash, a part of these may be in the table already.
	stmt, err := conn.Prepare("INSERT INTO keys (id, seq) VALUES (?, ?) ON CONFLICT DO NOTHING")
	if err != nil {
		return 0, err
	}
	n = min(len(k.unmerged), creates+creates/2+1)
	for _, id := range k.unmerged[:n] {
		stmt.BindText(1, string(id[len(idPrefix):]))
		stmt.BindInt64(2, k.frozen[id])
		if err := exec(stmt); err != nil {
			return 0, err
		}
	}
	if n == len(k.unmerged) {
		err = setCheckpoint(conn, keysCheckpoint, k.through)
	}
	return n, err
}

// merged notes that n more ids are in the table for good, and that creates more
// orders are committed, up to the seq last.
func (k *keyIndex) merged(n, creates int, last int64) {
	k.unmerged = k.unmerged[n:]
	if len(k.unmerged) == 0 {
		k.stored = k.through
	}
	k.orders += creates
	if k.orders >= k.size && k.stored == k.through {
		k.freeze(last)
	}
}

// freeze begins a new generation. The old one holds all keyed orders from the
// one before it up to the seq last.
func (k *keyIndex) freeze(last int64) {
	k.mu.Lock()
	k.frozen, k.recent = k.recent, make(map[order.ID]int64, len(k.recent))
	k.mu.Unlock()
	k.unmerged = slices.Sorted(maps.Keys(k.frozen))
	k.through, k.orders = last, 0
}
