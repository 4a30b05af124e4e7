package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// A Repaired is the result of Repair.
type Repaired struct {
	// Before and After are the results of Check before and after the repair.
	Before, After Report
	// Backup is the path of the copy that was made before the repair, "" if nothing was changed.
	Backup string
	// Changes has a sentence for each change.
	Changes []string
}

// Repair checks the database file as Check does. If there are findings, it copies the file, and
// recomputes in one transaction what follows from the orders: the tally, the table keys, the
// checkpoints, and which rows there are in exceptions and open_orders. It changes no order, so
// findings about orders remain in After. It changes nothing in a file that SQLite itself finds
// damaged. now is the wall clock.
//
// The process owns the file meanwhile. The errors are those of Check.
func Repair(ctx context.Context, path string, now func() time.Time) (r Repaired, err error) {
	failed := func(err error) (Repaired, error) { return r, fmt.Errorf("%s: %w", path, explain(err)) }
	o, err := acquireLock(ctx, path)
	if err != nil {
		return failed(err)
	}
	defer func() { err = errors.Join(err, o.release()) }()
	if r.Before, err = o.check(ctx); err != nil {
		return failed(err)
	}
	r.After = r.Before
	if len(r.Before.Findings) == 0 || r.Before.Damaged {
		return r, nil
	}
	dest := unusedName(o.file + ".before-repair-" + now().UTC().Format("20060102T150405Z"))
	if _, err := backup(ctx, o.file, false, destination{dest, true}, now, false); err != nil {
		return r, fmt.Errorf("back up before the repair: %w", err)
	}
	r.Backup = dest
	if err := o.noteClosing(); err != nil {
		return failed(err)
	}
	if r.Changes, err = recompute(ctx, o.file, r.Before.Tally); err != nil {
		return failed(err)
	}
	if r.After, err = checkFile(ctx, o.file); err != nil {
		return failed(err)
	}
	return r, nil
}

func unusedName(name string) string {
	unused := name
	for n := 2; ; n++ {
		if _, err := os.Lstat(unused); err != nil {
			return unused
		}
		unused = fmt.Sprintf("%s-%d", name, n)
	}
}

// recompute rewrites what follows from the orders, whose tally is known.
func recompute(ctx context.Context, path string, tally order.Tally) (changes []string, err error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetBusyTimeout(busyTimeout)
	conn.SetInterrupt(ctx.Done())
	if err := pragma(conn, "synchronous = FULL"); err != nil {
		return nil, err
	}
	end, err := sqlitex.ImmediateTransaction(conn)
	if err != nil {
		return nil, err
	}
	defer end(&err)
	r := recomputation{conn: conn}
	for _, step := range []func() error{
		func() error { return r.writeTally(tally) }, r.removeKeys, r.addKeys, r.mendSideTables, r.writeCheckpoints,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r.changes, nil
}

// A recomputation is one transaction, and the list of its changes.
type recomputation struct {
	conn    *sqlite.Conn
	changes []string
}

func (r *recomputation) changed(format string, args ...any) {
	r.changes = append(r.changes, fmt.Sprintf(format, args...))
}

func (r *recomputation) writeTally(tally order.Tally) error {
	stored, err := loadTally(r.conn)
	switch {
	case err == nil && stored == tally:
		return nil
	case errors.Is(err, errNoTally):
		r.changed("tally: missing -> %s", formatTally(tally))
	case err != nil:
		return err
	default:
		r.changed("tally: %s -> %s", formatTally(stored), formatTally(tally))
	}
	// setTally updates the one row, which need not be there.
	const row = "INSERT OR REPLACE INTO tally (one, pending, processing, completed, completed_count, duration_sum_ms) VALUES (1, 0, 0, 0, 0, 0)"
	if err := execute(r.conn, row); err != nil {
		return err
	}
	return setTally(r.conn, tally)
}

func (r *recomputation) removeKeys() error {
	err := execute(r.conn, `DELETE FROM keys WHERE NOT EXISTS
		(SELECT 1 FROM orders WHERE orders.seq = keys.seq AND orders.id = keys.id)`)
	if n := r.conn.Changes(); err == nil && n > 0 {
		r.changed("keys: %d that lead to no order of theirs removed", n)
	}
	return err
}

// addKeys adds the missing ids of keyed orders. If two orders have the same id, it leads to the
// first.
func (r *recomputation) addKeys() error {
	insert, err := r.conn.Prepare("INSERT INTO keys (id, seq) VALUES (?, ?) ON CONFLICT DO NOTHING")
	if err != nil {
		return err
	}
	merged, err := checkpoint(r.conn, keysCheckpoint)
	if err != nil {
		return err
	}
	added, waited := 0, 0
	var failed error
	err = eachRow(r.conn, "SELECT seq, id FROM orders ORDER BY seq", func(row *sqlite.Stmt) {
		seq, id := row.ColumnInt64(0), order.ID(idPrefix+row.ColumnText(1))
		if _, err := order.ParseID(string(id)); err != nil || decodeSeq(id) == seq || failed != nil {
			return
		}
		insert.BindText(1, row.ColumnText(1))
		insert.BindInt64(2, seq)
		failed = exec(insert)
		if seq > merged {
			waited += r.conn.Changes()
		} else {
			added += r.conn.Changes()
		}
	})
	if added > 0 {
		r.changed("keys: %d that were missing added", added)
	}
	if waited > 0 {
		r.changed("keys: %d recent ones added, which a service holds in memory", waited)
	}
	return cmp.Or(err, failed)
}

// mendSideTables removes the rows of the side tables that belong to no order, and writes the status of
// each order into its row of exceptions.
func (r *recomputation) mendSideTables() error {
	for _, table := range sideTables {
		if err := execute(r.conn, fmt.Sprintf("DELETE"+strayRows, table.name, table.orders)); err != nil {
			return err
		}
		if n := r.conn.Changes(); n > 0 {
			r.changed("%s: %d that belong to no such order removed", table.name, n)
		}
	}
	err := execute(r.conn, `UPDATE exceptions SET status = orders.status FROM orders
		WHERE orders.seq = exceptions.seq AND orders.status <> exceptions.status AND orders.status BETWEEN 0 AND 4`)
	if n := r.conn.Changes(); err == nil && n > 0 {
		r.changed("exceptions: %d given the status of their orders", n)
	}
	return err
}

// writeCheckpoints sets the checkpoints as high as the orders allow. All keyed orders are in keys
// now.
func (r *recomputation) writeCheckpoints() error {
	last, err := queryInt(r.conn, "SELECT coalesce(max(seq), 0) FROM orders")
	if err != nil {
		return err
	}
	finished, err := queryInt(r.conn, "SELECT coalesce(min(seq) - 1, (SELECT max(seq) FROM orders), 0) FROM orders WHERE status < 2 AND seq > 0")
	if err != nil {
		return err
	}
	for name, seq := range map[string]int64{finishedCheckpoint: finished, keysCheckpoint: last} {
		stored, err := checkpoint(r.conn, name)
		if err != nil {
			return err
		}
		if stored != seq {
			r.changed("checkpoint %q: %d -> %d", name, stored, seq)
		}
		// As with the tally, the row need not be there.
		if err := execute(r.conn, fmt.Sprintf("INSERT OR REPLACE INTO checkpoints VALUES ('%s', %d)", name, seq)); err != nil {
			return err
		}
	}
	return nil
}
