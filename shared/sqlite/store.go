package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"orders/shared/order"
)

// Config is the configuration of a Store. All fields except Elapsed are required.
type Config struct {
	// Path of the database file, which is created if it does not exist. SQLite keeps its own files
	// beside it, -wal and -shm. A file .lock shows that a process owns the database.
	Path string
	// Fulfilment says how orders in Processing are completed.
	Fulfilment order.Fulfilment
	// Now is the wall clock. If it has a monotonic reading, as time.Now has, a step of the wall
	// clock does not change when unfinished orders are due.
	Now func() time.Time
	// Elapsed is optional: the time since some fixed moment, by a clock that cannot be set and
	// that counts the machine's sleep. With it, a step of the wall clock changes the times of
	// orders only after it has lasted for 10 s.
	Elapsed func() time.Duration
	// Random is the source of ids that cannot be guessed, and of generation numbers.
	Random io.Reader
	Log    *slog.Logger
}

func (c Config) validate() error {
	var problems []error
	check := func(holds bool, problem string) {
		if !holds {
			problems = append(problems, errors.New("sqlite: "+problem))
		}
	}
	check(c.Path != "", "Path is missing")
	if err := c.Fulfilment.Validate(); err != nil {
		check(false, err.Error())
	}
	check(c.Now != nil, "Now is missing")
	check(c.Random != nil, "Random is missing")
	check(c.Log != nil, "Log is missing")
	return errors.Join(problems...)
}

// A Store is an open database file. It implements order.Store and order.MetricsReader, and
// processes orders in the background until Close. Its methods may be called concurrently.
type Store struct {
	cfg     Config
	owner   *owner
	files   *fileWatch
	clock   *clock
	health  health
	conn    *sqlite.Conn // the writer's
	readers *sqlitex.Pool
	keys    *keyIndex
	tally   atomic.Pointer[order.Tally]

	mu         sync.Mutex
	waiting    *group // the next group to commit
	overloaded bool   // whether orders have been refused because too many wait
	err        error  // why the store has stopped

	wake      chan struct{} // tells the writer that the group is not empty
	stopped   chan struct{} // closed when the writer has ended
	watchDone chan struct{} // closed when watchFiles has ended
}

// A group is the requests that one transaction commits.
type group struct {
	creates     []*createRequest
	transitions []*transitionRequest
	done        chan struct{} // closed when each request has its result
}

func newGroup(size int) *group {
	return &group{creates: make([]*createRequest, 0, size), done: make(chan struct{})}
}

// len is the number of requests.
func (g *group) len() int { return len(g.creates) + len(g.transitions) }

func (g *group) fail(err error) {
	for _, c := range g.creates {
		c.err = err
	}
	for _, r := range g.transitions {
		r.err = err
	}
}

// A createRequest is one call of Create on its way through the writer, and its result.
type createRequest struct {
	draft   order.Draft
	itemIDs []byte // draft.ItemIDs as JSON

	order    order.Order
	replayed bool
	err      error
}

// A transitionRequest is one call of Transition on its way through the writer, and its result.
type transitionRequest struct {
	id      order.ID
	request order.TransitionRequest

	order order.Order
	err   error
}

// maxWaiting bounds the requests that wait for a commit, and so the memory that they take while the
// disk stalls. Further requests are refused as unavailable.
const maxWaiting = 50_000

var errOverloaded = fmt.Errorf("%w: too many orders wait for the disk", order.ErrUnavailable)

// Create implements order.Store. It returns after the commit, also if the context ends meanwhile:
// the writer has the order already, and a commit takes milliseconds.
func (s *Store) Create(ctx context.Context, d order.Draft) (order.Order, bool, error) {
	if err := ctx.Err(); err != nil {
		return order.Order{}, false, err
	}
	c := &createRequest{draft: d, itemIDs: encodeItems(d.ItemIDs)}
	if err := s.submit(c, nil); err != nil {
		return order.Order{}, false, err
	}
	return c.order, c.replayed, c.err
}

// Transition implements order.Store. Like Create, it waits for the commit in any case.
func (s *Store) Transition(ctx context.Context, id order.ID, request order.TransitionRequest) (order.Order, error) {
	if err := ctx.Err(); err != nil {
		return order.Order{}, err
	}
	r := &transitionRequest{id: id, request: request}
	if err := s.submit(nil, r); err != nil {
		return order.Order{}, err
	}
	return r.order, r.err
}

// submit adds one of two requests, the other is nil, to the next group, and waits until the group is
// committed.
func (s *Store) submit(c *createRequest, r *transitionRequest) error {
	s.mu.Lock()
	g := s.waiting
	if s.err != nil || g.len() >= maxWaiting {
		err, overloaded := s.err, s.overloaded
		s.overloaded = overloaded || err == nil
		s.mu.Unlock()
		if err == nil {
			err = errOverloaded
			if !overloaded {
				s.cfg.Log.Error("refusing orders until the disk is faster", "err", err)
			}
		}
		return err
	}
	first := g.len() == 0
	if c != nil {
		g.creates = append(g.creates, c)
	} else {
		g.transitions = append(g.transitions, r)
	}
	s.mu.Unlock()
	if first {
		s.signal()
	}
	<-g.done
	return nil
}

// signal wakes the writer. It never blocks: one pending signal is enough.
func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// swapGroup gives the waiting group to the writer and begins a new one. If it returns an error, the
// store has stopped and this is the last group.
func (s *Store) swapGroup() (*group, error) {
	s.mu.Lock()
	g, err := s.waiting, s.err
	s.waiting = newGroup(len(g.creates))
	over := s.overloaded && g.len() < maxWaiting
	s.overloaded = s.overloaded && !over
	s.mu.Unlock()
	if over {
		s.cfg.Log.Info("accepting orders again: the disk keeps up")
	}
	return g, err
}

// fail stops the store: all later calls return err. The first error stays, except that an error
// while the store is being closed replaces errClosed. It reports whether err is the store's error
// now.
func (s *Store) fail(err error) bool {
	s.mu.Lock()
	first := s.err == nil || errors.Is(s.err, errClosed)
	if first {
		s.err = err
	}
	s.mu.Unlock()
	s.signal()
	return first
}

// Done is closed when the store has stopped accepting orders: after Close, or because the file can
// no longer be relied on. Err tells which.
func (s *Store) Done() <-chan struct{} { return s.stopped }

// Err returns why the store has stopped, nil while it accepts orders.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

var errClosed = fmt.Errorf("%w: the store is closed", order.ErrUnavailable)

// Close commits the orders that wait, stops the background work and closes the file. It returns
// the error that had stopped the store before, if any. Unfinished orders continue when the file is
// opened again. Close must be called once.
//
// A file that cannot be relied on is left as a crash would leave it: SQLite's connections stay
// open, because the last one to be closed would write the log into the file.
func (s *Store) Close() error {
	s.fail(errClosed)
	<-s.stopped
	<-s.watchDone
	if err := s.Err(); !errors.Is(err, errClosed) {
		return errors.Join(err, s.owner.release())
	}
	return s.release()
}

// Get implements order.Store.
func (s *Store) Get(ctx context.Context, id order.ID) (o order.Order, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		_, o, err = find(conn, s.keys, id)
		return err
	})
	return o, err
}

// List implements order.Store. A position is the seq of the last id on the page before.
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

// list reads one row more than the limit, to find out whether there is another page.
func list(conn *sqlite.Conn, limit int, before int64) (page order.Page, err error) {
	const query = "SELECT seq, id FROM orders WHERE seq < ? AND seq > 0 ORDER BY seq DESC LIMIT ?"
	page.IDs = make([]order.ID, 0, limit)
	last := int64(0)
	err = eachRow(conn, query, func(row *sqlite.Stmt) {
		if len(page.IDs) == limit {
			page.Next = strconv.FormatInt(last, 10)
			return
		}
		page.IDs = append(page.IDs, order.ID(idPrefix+row.ColumnText(1)))
		last = row.ColumnInt64(0)
	}, before, int64(limit)+1)
	return page, err
}

// Metrics implements order.MetricsReader. It returns the tally of the last commit, from memory.
func (s *Store) Metrics(context.Context) (order.Tally, error) { return *s.tally.Load(), nil }

// Ping reports whether the store accepts orders: it has not stopped, commits neither fail nor
// stall, and the file can be read. It returns order.ErrUnavailable with the reason.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.Err(); err != nil {
		return err
	}
	if err := s.health.check(s.cfg.Now()); err != nil {
		return err
	}
	return s.read(ctx, func(conn *sqlite.Conn) error {
		_, err := checkpoint(conn, finishedCheckpoint)
		return err
	})
}

// read calls fn with a connection for reading. Errors of SQLite become order.ErrUnavailable.
func (s *Store) read(ctx context.Context, fn func(*sqlite.Conn) error) error {
	conn, err := s.readers.Take(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	defer s.readers.Put(conn)
	err = fn(conn)
	if isSQLite(err) {
		s.failOnDamage(err)
		return fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	return err
}

// maxCommit is how long a commit may take before the store reports that it accepts no orders.
const maxCommit = 5 * time.Second

// writeProbe writes as many bytes as the largest order. A smaller commit may succeed on a disk that
// has no room for such an order.
const writeProbe = "INSERT OR REPLACE INTO probe VALUES (1, zeroblob(65536))"

const probeInterval = time.Second

// A health tells whether commits succeed. The writer updates it, and any goroutine may read it.
type health struct {
	mu      sync.Mutex
	began   time.Time // when the present commit began, zero if there is none
	failing bool      // whether the last commit failed
}

func (h *health) begin(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = now
}

func (h *health) end() { h.begin(time.Time{}) }

func (h *health) isFailing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing
}

// set records whether the last commit failed, and reports whether that has changed. After a failure
// only a commit as large as an order counts as a success.
func (h *health) set(failing bool) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed = h.failing != failing
	h.failing = failing
	return changed
}

func (h *health) check(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.failing:
		return fmt.Errorf("%w: the last commit failed", order.ErrUnavailable)
	case !h.began.IsZero() && now.Sub(h.began) >= maxCommit:
		return fmt.Errorf("%w: a commit takes %s or longer", order.ErrUnavailable, maxCommit)
	default:
		return nil
	}
}

// A brokenError says that the file can no longer be relied on: it is not known whether a commit is
// on the disk, or the file is damaged, or it was replaced. An order that is acknowledged now might
// be lost, so the store stops. Opening the file again shows its true state.
type brokenError struct {
	what string
	err  error // may be nil
}

func (e *brokenError) Error() string {
	if e.err == nil {
		return e.what
	}
	return e.what + ": " + e.err.Error()
}

func (e *brokenError) Unwrap() error { return e.err }

// Is makes later calls return order.ErrUnavailable, too.
func (e *brokenError) Is(target error) bool { return target == order.ErrUnavailable }

// failOnDamage stops the store if err says that the file cannot be relied on, and reports whether
// it does.
func (s *Store) failOnDamage(err error) bool {
	broken, ok := errors.AsType[*brokenError](err)
	if !ok && isDamage(sqlite.ErrCode(err)) {
		broken, ok = &brokenError{s.cfg.Path + " is damaged", err}, true
	}
	if ok && s.fail(broken) {
		s.cfg.Log.Error("stopped: open the file again to see what is on the disk", "err", broken)
	}
	return ok
}

// isDamage reports whether a code says that the file does not have the content that SQLite wrote.
func isDamage(code sqlite.ResultCode) bool {
	primary := code.ToPrimary()
	return primary == sqlite.ResultCorrupt || primary == sqlite.ResultNotADB || code == sqlite.ResultIOErrShortRead
}
