package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

func TestAnOrderThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, w := openByHand(t, filepath.Join(t.TempDir(), "orders.db"), &now)
	damaged, healthy := &creation{itemIDs: []byte("[]")}, &creation{itemIDs: []byte("[]")}
	w.commit(&group{creations: []*creation{damaged, healthy}, done: make(chan struct{})}, nil, 0, now)
	// Not in the state that its run expects, so that it is read; and not to be read.
	query := "UPDATE orders SET status = 1, started_at = seq >> 15, item_ids = 'x' WHERE id = ?"
	err := sqlitex.Execute(w.conn, query, &sqlitex.ExecOptions{Args: []any{string(damaged.order.ID[len(idPrefix):])}})
	if err != nil {
		t.Fatal(err)
	}

	w.commit(newGroup(0), w.queue.pop(now), 0, now)
	if o, err := s.Get(t.Context(), healthy.order.ID); err != nil || o.Status != order.Processing {
		t.Errorf("the healthy order is %+v, error %v", o, err)
	}
	if got := len(w.queue.waiting); got != 2 {
		t.Errorf("%d runs wait, not the completion of one order and the start of the other", got)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
}

func TestAnIDLeadsToNoOtherOrderThanItsOwn(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s, w := openByHand(t, filepath.Join(t.TempDir(), "orders.db"), &now)
	c := &creation{itemIDs: []byte("[]")}
	w.commit(&group{creations: []*creation{c}, done: make(chan struct{})}, nil, 0, now)
	// What a reader finds that looks while a commit fails whose seq is then given
	// to another order.
	id := order.KeyedID("", "k")
	s.keys.add(id, seqOf(c.order.ID))
	if o, err := s.Get(t.Context(), id); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("Get(%s): %+v, error %v", id, o, err)
	}
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
}
