package sqlite

import (
	"context"
	"fmt"
	"strconv"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// Get implements order.Store.
func (s *Store) Get(ctx context.Context, id order.ID) (o order.Order, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		_, o, err = find(conn, s.keys, id)
		return err
	})
	return o, err
}

// List implements order.Store. A position is the seq of the last id given.
func (s *Store) List(ctx context.Context, limit int, after string) (page order.Page, err error) {
	before := int64(1<<63 - 1)
	if after != "" {
		before, err = strconv.ParseInt(after, 10, 64)
		if err != nil || before <= 0 {
			return order.Page{}, order.ErrInvalidCursor
		}
	}
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		page, err = list(conn, limit, before)
		return err
	})
	return page, err
}

// list reads one row beyond the limit, to know whether there is more.
func list(conn *sqlite.Conn, limit int, before int64) (page order.Page, err error) {
	stmt, err := conn.Prepare("SELECT seq, id FROM orders WHERE seq < ? AND seq > 0 ORDER BY seq DESC LIMIT ?")
	if err != nil {
		return page, err
	}
	stmt.BindInt64(1, before)
	stmt.BindInt64(2, int64(limit)+1)
	defer func() { err = firstError(err, stmt.Reset()) }()
	page.IDs = make([]order.ID, 0, limit)
	for last := int64(0); ; last = stmt.ColumnInt64(0) {
		row, err := stmt.Step()
		if err != nil || !row {
			return page, err
		}
		if len(page.IDs) == limit {
			page.Next = strconv.FormatInt(last, 10)
			return page, nil
		}
		page.IDs = append(page.IDs, order.ID(idPrefix+stmt.ColumnText(1)))
	}
}

// Metrics implements order.MetricsReader: the tally as of the last commit, which
// is in memory.
func (s *Store) Metrics(context.Context) (order.Tally, error) { return *s.tally.Load(), nil }

// Ping reports whether the store takes orders: that it has not been stopped, that commits
// neither fail nor stall, and that the file can be read. It returns ErrUnavailable, with the reason.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.reason(); err != nil {
		return err
	}
	if err := s.health.check(s.cfg.Now()); err != nil {
		return err
	}
	return s.read(ctx, func(conn *sqlite.Conn) error {
		_, err := checkpoint(conn, finishedMark)
		return err
	})
}

// read lends a connection to do. What is not an answer of the domain's becomes
// ErrUnavailable.
func (s *Store) read(ctx context.Context, do func(*sqlite.Conn) error) error {
	conn, err := s.readers.Take(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	defer s.readers.Put(conn)
	err = do(conn)
	if isSQLite(err) {
		s.stopIf(err)
		return fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	return err
}

// find returns the order of that id and where it is, or ErrNotFound. The key index
// may know of an order whose commit has failed since, so the row decides.
func find(conn *sqlite.Conn, keys *keyIndex, id order.ID) (int64, order.Order, error) {
	seq, err := locate(conn, keys, id)
	if err != nil {
		return 0, order.Order{}, err
	}
	o, err := orderAt(conn, seq)
	if err == nil && o.ID != id {
		err = order.ErrNotFound
	}
	return seq, o, err
}

// locate returns the seq at which the order of that id would be: by the time in
// the id, or by the key index. It returns ErrNotFound when there is none.
func locate(conn *sqlite.Conn, keys *keyIndex, id order.ID) (int64, error) {
	stmt, err := conn.Prepare("SELECT seq FROM orders WHERE seq = ? AND id = ?")
	if err != nil {
		return 0, err
	}
	stmt.BindInt64(1, seqOf(id))
	stmt.BindText(2, string(id[len(idPrefix):]))
	seq, err := optionalInt(stmt)
	if err == nil && seq == 0 {
		seq, err = keys.find(conn, id)
	}
	if err == nil && seq == 0 {
		err = order.ErrNotFound
	}
	return seq, err
}

// orderAt returns the order at that seq, or ErrNotFound.
func orderAt(conn *sqlite.Conn, seq int64) (o order.Order, err error) {
	stmt, err := conn.Prepare(selectOrder)
	if err != nil {
		return o, err
	}
	stmt.BindInt64(1, seq)
	defer func() { err = firstError(err, stmt.Reset()) }()
	row, err := stmt.Step()
	if err != nil {
		return o, err
	}
	if !row {
		return o, order.ErrNotFound
	}
	return scanOrder(stmt)
}
