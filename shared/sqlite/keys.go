package sqlite

import (
	"maps"
	"slices"
	"sync"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// A keyIndex finds the order of an idempotency key. As in an LSM tree, it is a memtable and an
// immutable memtable above the table keys.
//
// The ids of such orders are hashes, so each belongs to another page of the table, and a commit of
// hundreds would rewrite hundreds of pages. Therefore new ids wait in memory until there are many.
// Then they are inserted in sorted order, where neighbours share pages, a part with each commit. A
// crash loses nothing: the rows of the orders have the ids, and a restart reads those above the
// checkpoint "keys".
//
// The writer changes the index; readers only look ids up.
type keyIndex struct {
	mu     sync.RWMutex
	recent map[order.ID]int64 // the memtable
	frozen map[order.ID]int64 // the immutable memtable, which is being inserted into the table

	// size is the number of orders after which recent is frozen. It bounds the memory, and the
	// orders that a restart reads again.
	size int

	// For the writer alone:
	orders   int        // orders, with or without a key, since recent is in use
	unmerged []order.ID // ids in frozen that are not in the table yet, sorted
	through  int64      // every keyed order up to this seq is in frozen or in the table
	stored   int64      // the checkpoint "keys"
}

func newKeyIndex(size int) *keyIndex {
	return &keyIndex{size: size, recent: map[order.ID]int64{}}
}

// find returns the seq of the order with that id, 0 if there is none. An id leaves the memory after
// it was committed to the table, so the memory is searched first.
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
	return lookUpKey(conn, id)
}

// add adds an order that is being committed.
func (k *keyIndex) add(id order.ID, seq int64) {
	k.mu.Lock()
	k.recent[id] = seq
	k.mu.Unlock()
}

// forget removes an order whose commit has failed.
func (k *keyIndex) forget(id order.ID) {
	k.mu.Lock()
	delete(k.recent, id)
	k.mu.Unlock()
}

// merge inserts a part of frozen into the table, within the transaction of conn: more ids than the
// transaction creates, so that frozen is empty before recent is full. It returns the number of ids,
// for merged.
func (k *keyIndex) merge(conn *sqlite.Conn, creates int) (n int, err error) {
	if k.stored == k.through {
		return 0, nil
	}
	// After a crash, a part of these ids may be in the table already.
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

// merged is called after the commit of n merged ids and of so many new orders, up to the seq last.
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

// freeze replaces frozen, which is in the table, by recent. It has all keyed orders up to the seq
// last.
func (k *keyIndex) freeze(last int64) {
	k.mu.Lock()
	k.frozen, k.recent = k.recent, make(map[order.ID]int64, len(k.recent))
	k.mu.Unlock()
	k.unmerged = slices.Sorted(maps.Keys(k.frozen))
	k.through, k.orders = last, 0
}
