package sqlite

import (
	"encoding/binary"
	"fmt"
	"io"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// create makes the order, or finds that its key has made it before. The result
// is in c; the error is one that fails the whole group.
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
		// A violated constraint undoes its own statement only: the order is
		// refused, and its group goes on.
		c.err = fmt.Errorf("store order: %w", err)
		return unlessConstraint(err)
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
func (t *tx) replay(c *creation, seq int64) error {
	o, err := orderAt(t.conn, seq)
	if err != nil {
		return err
	}
	if o.Fingerprint != c.draft.Fingerprint {
		c.err = order.ErrKeyReused
		return nil
	}
	c.order, c.replayed = o, true
	return nil
}

// unlessConstraint drops the error of a violated constraint.
func unlessConstraint(err error) error {
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultConstraint {
		return nil
	}
	return err
}
