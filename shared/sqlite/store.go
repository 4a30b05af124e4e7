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

// Config is what a Store needs. All fields are required but for Elapsed.
type Config struct {
	// Path of the database file, made if there is none. Beside it lie SQLite's
	// own -wal and -shm, and a .lock that shows that a process owns the file.
	Path string
	// ProcessingTime is how long an order stays in Processing.
	ProcessingTime time.Duration
	// Now is the clock. With a monotonic reading, as time.Now gives, a step of
	// the wall clock does not disturb the orders under way.
	Now func() time.Time
	// Elapsed, which may be nil, is the time since some fixed moment, by a clock that nobody sets
	// and that counts the machine's sleep. With it, a step of the wall clock does not date orders
	// before it has held for 10 s.
	Elapsed func() time.Duration
	// Random makes ids impossible to guess, and generations different.
	Random io.Reader
	Log    *slog.Logger
}

// validate returns all that is wrong with a configuration.
func (c Config) validate() error {
	var problems []error
	check := func(holds bool, problem string) {
		if !holds {
			problems = append(problems, errors.New("sqlite: "+problem))
		}
	}
	check(c.Path != "", "Path is missing")
	check(c.ProcessingTime > 0, "ProcessingTime must be positive")
	check(c.Now != nil, "Now is missing")
	check(c.Random != nil, "Random is missing")
	check(c.Log != nil, "Log is missing")
	return errors.Join(problems...)
}

// A Store is an open database file. It implements order.Store and
// order.MetricsReader, and works orders off in the background until Close.
type Store struct {
	cfg     Config
	owner   *owner
	files   *watch
	clock   *clock
	health  health
	conn    *sqlite.Conn // the writer's
	readers *sqlitex.Pool
	keys    *keyIndex
	tally   atomic.Pointer[order.Tally]

	mu         sync.Mutex
	waiting    *group // what the next commit will take
	overloaded bool   // whether orders have been refused because too many wait
	err        error  // why nothing is taken any more

	wake      chan struct{} // tells the writer that something waits
	stopped   chan struct{} // closed when the writer has ended
	watchDone chan struct{} // closed when watch has ended
}

// A group is what one transaction is to commit of what came from outside.
type group struct {
	creates    []*createRequest
	deliveries []*delivery
	done       chan struct{} // closed when each has its result
}

func newGroup(size int) *group {
	return &group{creates: make([]*createRequest, 0, size), done: make(chan struct{})}
}

func (g *group) empty() bool { return len(g.creates) == 0 && len(g.deliveries) == 0 }

// fail gives everything in the group the same error.
func (g *group) fail(err error) {
	for _, c := range g.creates {
		c.err = err
	}
	for _, d := range g.deliveries {
		d.err = err
	}
}

// A creation is one call of Create on its way through the writer.
type createRequest struct {
	draft   order.Draft
	itemIDs []byte // draft.ItemIDs as JSON

	order    order.Order
	replayed bool
	err      error
}

// A delivery is one message's body on its way through the writer.
type delivery struct {
	body []byte
	err  error
}

// maxWaiting bounds the orders that wait for a commit, and so the memory they
// take while the disk stalls. More are refused as unavailable.
const maxWaiting = 50_000

var errOverloaded = fmt.Errorf("%w: too many orders wait for the disk", order.ErrUnavailable)

// Create implements order.Store. It does not return before the commit, also if
// the context ends meanwhile: the order is on its way, and the commit is a matter of
// milliseconds.
func (s *Store) Create(ctx context.Context, d order.Draft) (order.Order, bool, error) {
	if err := ctx.Err(); err != nil {
		return order.Order{}, false, err
	}
	c := &createRequest{draft: d, itemIDs: encodeItems(d.ItemIDs)}
	err := s.submit(func(g *group) { g.creates = append(g.creates, c) })
	if err != nil {
		return order.Order{}, false, err
	}
	return c.order, c.replayed, c.err
}

// Deliver processes the bodies of messages that the store has not made itself, and
// returns when each has been worked on once. Orders need none: it is the queue's
// door for tests, through which the conformance suite sends duplicates and nonsense.
func (s *Store) Deliver(ctx context.Context, bodies ...[]byte) error {
	deliveries := make([]*delivery, len(bodies))
	for i, body := range bodies {
		deliveries[i] = &delivery{body: body}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.submit(func(g *group) { g.deliveries = append(g.deliveries, deliveries...) })
	for _, d := range deliveries {
		if err == nil {
			err = d.err
		}
	}
	return err
}

// submit adds to the next group and waits until that is committed.
func (s *Store) submit(add func(*group)) error {
	s.mu.Lock()
	g := s.waiting
	if s.err != nil || len(g.creates) >= maxWaiting {
		err := s.err
		overloaded := s.overloaded
		s.overloaded = overloaded || err == nil
		s.mu.Unlock()
		if err == nil {
			err = errOverloaded
			if !overloaded {
				s.cfg.Log.Error("orders are refused until the disk is faster", "err", err)
			}
		}
		return err
	}
	first := g.empty()
	add(g)
	s.mu.Unlock()
	if first {
		s.signal()
	}
	<-g.done
	return nil
}

// signal wakes the writer. It never blocks: one signal waiting is enough.
func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take hands what waits to the writer and begins a new group. An error says that
// it is the last one.
func (s *Store) swapGroup() (*group, error) {
	s.mu.Lock()
	g, err := s.waiting, s.err
	s.waiting = newGroup(len(g.creates))
	over := s.overloaded && len(g.creates) < maxWaiting
	s.overloaded = s.overloaded && !over
	s.mu.Unlock()
	if over {
		s.cfg.Log.Info("orders are no longer refused: the disk keeps up again")
	}
	return g, err
}

// refuse makes all calls from now on fail with err. The first reason stays, but for
// a commit that fails while the store is being closed. It reports whether err is the
// reason now.
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

// reason is why nothing is taken any more, nil while all is well.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Done is closed when the store has stopped taking orders: after Close, or
// because nobody can rely on the file any more. See Close.
func (s *Store) Done() <-chan struct{} { return s.stopped }

var errClosed = fmt.Errorf("%w: the store is closed", order.ErrUnavailable)

// Close commits what waits, stops the background work and closes the file. It
// returns the error that had stopped the store before, if one had. Orders that are not
// finished go on when the file is opened again. It is to be called once.
//
// A file that nobody can rely on is left as a crash would leave it: SQLite's connections
// stay open, because the last to be closed would write the log into the file.
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
		s.failOnDamage(err)
		return fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	return err
}
