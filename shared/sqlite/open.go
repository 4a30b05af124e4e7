package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// Why a file is refused.
var (
	// ErrInUse: another process has the file open.
	ErrInUse = errors.New("is in use by another process")
	// ErrNewer: a newer release of this program has written the file.
	ErrNewer = errors.New("was written by a newer version of this program")
	// ErrDamaged: the file is damaged, or is not a database of orders.
	ErrDamaged = errors.New("is damaged, or is not a database of orders: restore a backup (orders restore), or name another file")
)

const (
	// readers is the number of concurrent reads.
	readers = 4
	// keyGeneration is the number of orders after which the key index freezes its memtable.
	keyGeneration = 25_000
	// busyTimeout is how long a commit waits for another program that uses the file.
	busyTimeout = 2 * time.Second
	// logLimit is the size to which a log is cut that grew during a long read. The log grows during
	// each backup. It is not cut each time, because the next commits would wait for that: 50 ms.
	logLimit = "journal_size_limit = 67108864"
)

// Open opens the database file and begins to process its unfinished orders. It creates or migrates
// the file if necessary.
//
// It returns all problems of cfg together. If the file cannot be used, the error has the path and
// is ErrInUse, ErrNewer, ErrDamaged, ErrForeignLog or an error of the operating system. If the
// context ends before the file is open, Open stops and returns the context's error.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := newStore(cfg)
	w, err := s.open(ctx)
	if sqlite.ErrCode(err) == sqlite.ResultInterrupt {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", cfg.Path, explain(err)), s.release())
	}
	s.conn.SetInterrupt(nil)
	go w.run()
	go s.watchFiles()
	return s, nil
}

func newStore(cfg Config) *Store {
	return &Store{
		cfg: cfg, waiting: newGroup(0), keys: newKeyIndex(keyGeneration),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), watchDone: make(chan struct{}),
		clock: newClock(cfg),
	}
}

func (s *Store) open(ctx context.Context) (*writer, error) {
	if err := s.acquireLock(ctx); err != nil {
		return nil, err
	}
	var err error
	if s.conn, err = openWriter(ctx, s.owner.file); err != nil {
		return nil, err
	}
	if s.owner.lostLog {
		s.cfg.Log.Warn("the last service did not close the database, and its log is gone: another program has written it into the file, or orders are lost", "log", s.owner.file+"-wal")
	}
	if s.files, err = openWatch(s.owner.file); err != nil {
		return nil, err
	}
	w := &writer{store: s, conn: s.conn, queue: queue{fulfilment: s.cfg.Fulfilment, left: map[int64]struct{}{}}, fence: fence{index: s.files.index}}
	if err := w.loadInTransaction(); err != nil {
		return nil, err
	}
	if s.files.generation, err = w.renewGeneration(s.owner, s.files.database); err != nil {
		return nil, err
	}
	w.fence.committed = true
	w.buffer = s.files.newBuffer()
	if now := s.cfg.Now(); !isPlausible(now) {
		return nil, fmt.Errorf("cannot be served while the machine's clock says %s: set the clock", now.UTC().Format(time.RFC3339))
	}
	if newest := createdAt(w.last); newest.After(s.cfg.Now().Add(time.Minute)) {
		s.cfg.Log.Warn("the newest order is from the future: new orders get its time until the clock reaches it", "created_at", newest)
	}
	s.readers, err = sqlitex.NewPool(s.owner.file, sqlitex.PoolOptions{
		Flags:       sqlite.OpenReadWrite | sqlite.OpenWAL,
		PoolSize:    readers,
		PrepareConn: func(conn *sqlite.Conn) error { return pragma(conn, "query_only = ON") },
	})
	return w, err
}

// acquireLock creates the file if there is none, and makes this process its owner. It returns
// ErrForeignLog if the log beside the file was written for another file.
func (s *Store) acquireLock(ctx context.Context) (err error) {
	if err := checkOrphanedLog(s.cfg.Path); err != nil {
		return err
	}
	if err := makeFile(s.cfg.Path); err != nil {
		return err
	}
	if s.owner, err = acquireLock(ctx, s.cfg.Path); err != nil {
		return err
	}
	return s.owner.checkLog()
}

// openWriter opens the connection that makes all changes, and migrates the schema. It writes
// nothing to a file that is not a database of orders. The connection fails when the context ends,
// and must be closed also after an error.
func openWriter(ctx context.Context, path string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, err
	}
	conn.SetInterrupt(ctx.Done())
	return conn, prepareWriter(ctx, conn)
}

func prepareWriter(ctx context.Context, conn *sqlite.Conn) error {
	conn.SetBusyTimeout(busyTimeout)
	version, err := schemaVersion(conn)
	if err != nil {
		return err
	}
	for _, setting := range []string{"journal_mode = WAL", "synchronous = FULL", "cache_size = -8000", logLimit} {
		if err := pragma(conn, setting); err != nil {
			return err
		}
	}
	if version < len(migrations) {
		return sqlitemigration.Migrate(ctx, conn, schema)
	}
	return writable(conn)
}

// writable returns an error if the file cannot be written, so that a start fails and not the first
// order. It changes nothing, but SQLite creates the log that openWatch opens.
func writable(conn *sqlite.Conn) error {
	for _, statement := range []string{"BEGIN IMMEDIATE", "UPDATE checkpoints SET seq = seq", "ROLLBACK"} {
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			return err
		}
	}
	return nil
}

func pragma(conn *sqlite.Conn, setting string) error {
	return sqlitex.ExecuteTransient(conn, "PRAGMA "+setting, nil)
}

func (s *Store) release() (err error) {
	if s.readers != nil {
		err = s.readers.Close()
	}
	if s.conn != nil {
		_ = s.owner.noteClosing() // if it fails, the next start only warns
		err = errors.Join(err, s.conn.Close())
	}
	if s.files != nil {
		err = errors.Join(err, s.files.close())
	}
	if s.owner != nil {
		err = errors.Join(err, s.owner.release())
	}
	return err
}

// explain describes an error of SQLite's to a person who wants to open a file.
func explain(err error) error {
	code := sqlite.ErrCode(err)
	switch primary := code.ToPrimary(); {
	case primary == sqlite.ResultInterrupt, errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted (%w)", err)
	case primary == sqlite.ResultNotADB, primary == sqlite.ResultCorrupt, primary == sqlite.ResultError && isSQLite(err):
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	case primary == sqlite.ResultBusy, primary == sqlite.ResultLocked:
		return fmt.Errorf("%w (%w)", ErrInUse, err)
	case primary == sqlite.ResultFull, code == sqlite.ResultIOErrSHMSize:
		return fmt.Errorf("has no space left on its disk (%w)", err)
	case primary == sqlite.ResultReadOnly:
		return fmt.Errorf("cannot be written: the file or its disk is read-only (%w)", err)
	case primary == sqlite.ResultCantOpen:
		return fmt.Errorf("cannot be opened, or no files made beside it: look at the permissions of its folder and at its disk (%w)", err)
	case isSQLite(err):
		return fmt.Errorf("cannot be read or written (%w)", err)
	default:
		return err
	}
}

// loadInTransaction loads the writer's state in a transaction, so that no commit of another program
// comes between the load and the first check of the fence.
func (w *writer) loadInTransaction() (err error) {
	if err := sqlitex.ExecuteTransient(w.conn, "BEGIN IMMEDIATE", nil); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, sqlitex.ExecuteTransient(w.conn, "ROLLBACK", nil)) }()
	if err := w.fence.check(w.conn); err != nil {
		return err
	}
	return w.load()
}

// load reads the tally, the recent idempotency keys and the messages of the unfinished orders into
// memory.
func (w *writer) load() (err error) {
	tally, err := loadTally(w.conn)
	if err != nil {
		return err
	}
	w.store.tally.Store(&tally)
	if w.finished, err = checkpoint(w.conn, finishedCheckpoint); err != nil {
		return err
	}
	if err := w.loadKeys(); err != nil {
		return err
	}
	if err := w.loadLastSeq(); err != nil {
		return err
	}
	return w.loadQueue()
}

// loadLastSeq finds the highest seq so far. The order that had it may have been deleted, but new
// orders must not get a seq at or below a checkpoint.
func (w *writer) loadLastSeq() error {
	newest, err := queryInt(w.conn, "SELECT max(seq) FROM orders")
	if err != nil {
		return err
	}
	w.last = max(newest, w.finished, w.store.keys.stored)
	foreign, err := queryInt(w.conn, "SELECT count(*) FROM orders WHERE seq <= 0")
	if err == nil && foreign > 0 {
		w.store.cfg.Log.Error("ignoring rows of the table orders: no order of this program has a seq below 1", "rows", foreign)
	}
	return err
}

func (w *writer) loadKeys() (err error) {
	k := w.store.keys
	if k.stored, err = checkpoint(w.conn, keysCheckpoint); err != nil {
		return err
	}
	k.through = k.stored
	return eachRow(w.conn, "SELECT seq, id FROM orders WHERE seq > ?", func(row *sqlite.Stmt) {
		k.orders++
		seq, id := row.ColumnInt64(0), order.ID(idPrefix+row.ColumnText(1))
		if decodeSeq(id) != seq {
			k.recent[id] = seq
		}
	}, k.stored)
}

// loadQueue queues the messages of the orders above the checkpoint "finished", and of those below it
// that are in open_orders or could not be advanced.
func (w *writer) loadQueue() error {
	postponed, err := loadPostponed(w.conn)
	if err != nil {
		return err
	}
	open := map[int64]bool{}
	if err := loadOpen(w.conn, open); err != nil {
		return err
	}
	var holding, opened, retry rangeBuilder
	load := func(row *sqlite.Stmt) {
		seq, o := row.ColumnInt64(0), decodeWaiting(row)
		b := &holding
		switch {
		case postponed[seq]:
			b = &retry
		case open[seq]:
			b = &opened
		}
		b.add(seq, &o, order.Change{New: &o}.FollowUps(w.queue.fulfilment))
	}
	err = eachRow(w.conn, selectWaiting+"orders.seq > ?", load, w.finished)
	maps.Copy(open, postponed)
	for _, seq := range slices.Sorted(maps.Keys(open)) {
		if seq <= w.finished {
			err = cmp.Or(err, eachRow(w.conn, selectWaiting+"orders.seq = ?", load, seq))
		}
	}
	now := w.store.cfg.Now()
	push := func(b rangeBuilder, open bool, failures int) {
		for _, r := range b.ranges {
			r.open, r.failures = open, failures
			w.queue.push(r, now, w.store.clock.wall(now))
		}
	}
	push(holding, false, 0) // the table decides, also for an order that has left the main path
	push(opened, true, 0)
	push(retry, true, 1) // they may be in open_orders, too
	return err
}

// loadOpen adds the orders of open_orders to a set.
func loadOpen(conn *sqlite.Conn, open map[int64]bool) error {
	return eachRow(conn, "SELECT seq FROM open_orders", func(row *sqlite.Stmt) { open[row.ColumnInt64(0)] = true })
}

const selectWaiting = `SELECT orders.seq, orders.status, started_at, version, attempt
	FROM orders LEFT JOIN exceptions USING (seq) WHERE `

// decodeWaiting decodes from a row of selectWaiting what an order waits for. An order of unknown
// status is read as Pending. Advancing it will fail and report the status.
func decodeWaiting(row *sqlite.Stmt) order.Order {
	o := order.Order{CreatedAt: createdAt(row.ColumnInt64(0)), StartedAt: decodeTime(row.ColumnInt64(2))}
	if status := row.ColumnInt64(1); isStatus(status) {
		o.Status = order.Status(status)
	}
	if row.ColumnType(3) != sqlite.TypeNull {
		o.Exception = &order.Exception{Version: int(row.ColumnInt64(3)), Attempt: int(row.ColumnInt64(4))}
	}
	return o
}
