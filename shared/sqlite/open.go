package sqlite

import (
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
	// readers is how many reads can go on at a time.
	readers = 4
	// keyGeneration is the size of the key index's generations, in orders.
	keyGeneration = 25_000
	// busyTimeout is how long a commit waits for somebody who looks into the
	// file with another program.
	busyTimeout = 2 * time.Second
	// logLimit is what remains of a log that grew while somebody read the file for long. A log that
	// grows during each backup is not cut each time, because the next commits wait for that: 50 ms.
	logLimit = "journal_size_limit = 67108864"
)

// Open opens the database file, making or migrating it as needed, and begins to
// work off the orders that are not finished.
//
// It returns all that is wrong with cfg; ErrInUse, ErrNewer, ErrDamaged or ErrForeignLog, with the
// path, when the file is not to be touched, or the operating system's reason why it cannot be.
// When the context ends before the file is open, it stops and returns the context's error.
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

// open takes the file and reads what the writer needs to know of it.
func (s *Store) open(ctx context.Context) (*writer, error) {
	if err := s.acquireLock(ctx); err != nil {
		return nil, err
	}
	var err error
	if s.conn, err = openWriter(ctx, s.owner.file); err != nil {
		return nil, err
	}
	if s.owner.lostLog {
		s.cfg.Log.Warn("the service before did not close the database, and its log is gone: another program has brought it into the file, or orders are lost", "log", s.owner.file+"-wal")
	}
	if s.files, err = openWatch(s.owner.file); err != nil {
		return nil, err
	}
	w := &writer{store: s, conn: s.conn, queue: queue{processing: s.cfg.ProcessingTime}, fence: fence{index: s.files.index}}
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
		s.cfg.Log.Warn("the newest order is from the future; new ones get its time until the clock has caught up", "created_at", newest)
	}
	s.readers, err = sqlitex.NewPool(s.owner.file, sqlitex.PoolOptions{
		Flags:       sqlite.OpenReadWrite | sqlite.OpenWAL,
		PoolSize:    readers,
		PrepareConn: func(conn *sqlite.Conn) error { return pragma(conn, "query_only = ON") },
	})
	return w, err
}

// own makes the file if there is none, and this process its owner. It returns
// ErrForeignLog when the log beside it is not its own.
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

// openWriter opens the connection that makes all changes and brings the schema
// up to date. Nothing is written to a file before it is known to be ours. The connection, which
// has to be closed also after an error, fails once the context ends.
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

// writable returns an error when the file cannot be written: better now than
// with the first order. It leaves no trace.
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

// release gives back what open has taken.
func (s *Store) release() (err error) {
	if s.readers != nil {
		err = s.readers.Close()
	}
	if s.conn != nil {
		_ = s.owner.noteClosing() // without it the next start warns
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

// explain says what SQLite's codes mean for someone who wants to open a file.
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

// loadFenced loads within a transaction, so that no commit of another program comes between what
// is loaded and the first look of the fence.
func (w *writer) loadInTransaction() (err error) {
	if err := sqlitex.ExecuteTransient(w.conn, "BEGIN IMMEDIATE", nil); err != nil {
		return err
	}
	defer func() { err = firstError(err, sqlitex.ExecuteTransient(w.conn, "ROLLBACK", nil)) }()
	if err := w.fence.check(w.conn); err != nil {
		return err
	}
	return w.load()
}

// load reads into memory what the process before has left: the tally, the
// recent idempotency keys, and the messages of the orders that are not finished.
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
	if err := w.loadSeqs(); err != nil {
		return err
	}
	return w.loadQueue()
}

// loadSeqs finds the highest seq given so far. The order that had it may be gone; those to
// come must not get a seq at or below a checkpoint.
func (w *writer) loadSeqs() error {
	newest, err := queryInt(w.conn, "SELECT max(seq) FROM orders")
	if err != nil {
		return err
	}
	w.last = max(newest, w.finished, w.store.keys.stored)
	foreign, err := queryInt(w.conn, "SELECT count(*) FROM orders WHERE seq <= 0")
	if err == nil && foreign > 0 {
		w.store.cfg.Log.Error("rows of the table orders are left alone, because no order of this program has a seq below 1", "rows", foreign)
	}
	return err
}

func (w *writer) loadKeys() (err error) {
	k := w.store.keys
	if k.stored, err = checkpoint(w.conn, keysCheckpoint); err != nil {
		return err
	}
	k.through = k.stored
	return eachRow(w.conn, "SELECT seq, id FROM orders WHERE seq > ?", k.stored, func(row *sqlite.Stmt) {
		k.orders++
		seq, id := row.ColumnInt64(0), order.ID(idPrefix+row.ColumnText(1))
		if decodeSeq(id) != seq {
			k.recent[id] = seq
		}
	})
}

// loadQueue asks every order above the checkpoint what it waits for, and those below it
// that could not be advanced.
func (w *writer) loadQueue() error {
	failed, err := loadPostponed(w.conn)
	if err != nil {
		return err
	}
	var fresh, again rangeBuilder
	load := func(row *sqlite.Stmt) {
		seq := row.ColumnInt64(0)
		o := order.Order{CreatedAt: createdAt(seq), StartedAt: decodeTime(row.ColumnInt64(2))}
		// An order whose status is none is loaded as Pending, which advancing it finds out.
		if status := row.ColumnInt64(1); isStatus(status) {
			o.Status = order.Status(status)
		}
		b := &fresh
		if failed[seq] {
			b = &again
		}
		b.add(seq, &o, order.Change{New: &o}.FollowUps(w.queue.processing))
	}
	const query = "SELECT seq, status, started_at FROM orders WHERE seq "
	err = eachRow(w.conn, query+"> ?", w.finished, load)
	for _, seq := range slices.Sorted(maps.Keys(failed)) {
		if seq <= w.finished {
			err = firstError(err, eachRow(w.conn, query+"= ?", seq, load))
		}
	}
	for i := range again.ranges {
		again.ranges[i].failures = 1
	}
	now := w.store.cfg.Now()
	for _, r := range slices.Concat(fresh.ranges, again.ranges) {
		w.queue.push(r, now, w.store.clock.wall(now))
	}
	return err
}
