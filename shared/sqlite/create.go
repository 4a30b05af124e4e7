package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"orders/shared/order"
)

// create makes the order, or finds that its key has made it before. After an error
// nothing of it is in the transaction.
func (t *tx) create(c *creation) error {
	if c.draft.Key != "" {
		seq, err := t.w.store.keys.find(t.conn, c.draft.Key)
		if err != nil {
			return err
		}
		if seq != 0 {
			return t.replay(c, seq)
		}
	}
	seq := max(t.now.UnixMilli()<<counterBits, t.last+1)
	id, err := t.newID(c.draft.Key, seq)
	if err != nil {
		return err
	}
	o := order.New(c.draft, id, createdAt(seq))
	stmt, err := t.conn.Prepare(insertOrder)
	if err != nil {
		return err
	}
	bindOrder(stmt, seq, &o, c.itemIDs)
	if err := exec(stmt); err != nil {
		return fmt.Errorf("store order: %w", err)
	}
	c.order, t.last = o, seq
	if c.draft.Key != "" {
		t.w.store.keys.add(id, seq)
		t.keyed = append(t.keyed, id)
	}
	t.did(seq, order.Change{New: &c.order})
	return nil
}

func (t *tx) newID(key order.ID, seq int64) (order.ID, error) {
	if key != "" {
		return key, nil
	}
	var random [8]byte
	if _, err := io.ReadFull(t.w.store.cfg.Random, random[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return newID(seq, binary.NativeEndian.Uint64(random[:])), nil
}

// replay answers a creation with the order that its key names.
//
// If that order is no longer where the key leads, somebody has deleted or changed its row.
// The key made an order that was acknowledged, so it does not make a second one.
func (t *tx) replay(c *creation, seq int64) error {
	o, err := orderAt(t.conn, seq)
	switch {
	case errors.Is(err, order.ErrNotFound), err == nil && o.ID != c.draft.Key:
		return fmt.Errorf("the order of the idempotency key is gone: its row was at seq %d", seq)
	case err != nil:
		return err
	case o.Fingerprint != c.draft.Fingerprint:
		return order.ErrKeyReused
	}
	c.order, c.replayed = o, true
	return nil
}
