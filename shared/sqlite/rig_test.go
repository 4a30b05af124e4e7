package sqlite

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
)

// byHand configures a store that a test drives, at the time that *now says.
func byHand(path string, now *time.Time) Config {
	cfg := storeConfig(path, historyProcessing)
	cfg.Now, cfg.Random = func() time.Time { return *now }, bufio.NewReader(rand.Reader)
	return cfg
}

// A rig is a store without its goroutine, which a test drives, at the time that the test sets.
type rig struct {
	*testing.T
	store *Store
	w     *writer
	path  string
	now   time.Time
	works order.Fulfilment // of the next open
}

// newRig makes a rig with a new file, which is closed at the end of the test.
func newRig(t *testing.T) *rig { return newRigWith(t, order.Timer(historyProcessing)) }

func newRigWith(t *testing.T, f order.Fulfilment) *rig {
	r := &rig{T: t, path: newPath(t), now: epoch, works: f}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	r.Helper()
	cfg := byHand(r.path, &r.now)
	cfg.Fulfilment = r.works
	r.store = newStore(cfg)
	var err error
	if r.w, err = r.store.open(context.Background()); err != nil {
		r.Fatal(err)
	}
}

// close closes the file, unless it is closed.
func (r *rig) close() {
	r.Helper()
	if r.store == nil {
		return
	}
	if err := r.store.release(); err != nil {
		r.Error(err)
	}
	r.store = nil
}

// reopen closes the file, and opens it for a store with that fulfilment.
func (r *rig) reopen(f order.Fulfilment) {
	r.Helper()
	r.close()
	r.works = f
	r.open()
}

// edit closes the store, runs a script, in which n is the seq of an order, and opens the file again.
func (r *rig) edit(script string, n int64) {
	r.Helper()
	r.close()
	conn := connect(r.T, r.path)
	alter(r.T, conn, script, n)
	if err := conn.Close(); err != nil {
		r.Fatal(err)
	}
	r.open()
}

// create commits the drafts as one group.
func (r *rig) create(drafts ...order.Draft) []*createRequest {
	g := newGroup(len(drafts))
	for _, d := range drafts {
		g.creates = append(g.creates, &createRequest{draft: d, itemIDs: encodeItems(d.ItemIDs)})
	}
	r.w.commit(g, nil, r.w.finished, r.now)
	return g.creates
}

// createOne commits an order without a key, and returns its id.
func (r *rig) createOne() order.ID { return r.create(keyed(""))[0].order.ID }

// ask commits one call, and returns its result.
func (r *rig) ask(id order.ID, transition order.Transition, version int) (order.Order, error) {
	g := newGroup(0)
	request := &transitionRequest{id: id, request: order.TransitionRequest{Transition: transition, Version: version, Reason: "by a test"}}
	g.transitions = append(g.transitions, request)
	r.w.commit(g, nil, r.w.finished, r.now)
	return request.order, request.err
}

// make makes a transition that must succeed.
func (r *rig) make(id order.ID, transitions ...order.Transition) {
	r.Helper()
	for _, transition := range transitions {
		if _, err := r.ask(id, transition, 0); err != nil {
			r.Fatalf("%s: %v", transition, err)
		}
	}
}

// opened fails the test unless open_orders has exactly these orders.
func (r *rig) opened(want ...order.ID) {
	r.Helper()
	var got []order.ID
	if err := eachRow(r.w.conn, "SELECT id FROM open_orders JOIN orders USING (seq) ORDER BY seq", func(row *sqlite.Stmt) {
		got = append(got, order.ID(idPrefix+row.ColumnText(0)))
	}); err != nil || !slices.Equal(got, want) {
		r.Errorf("open_orders has %s, error %v, not %s", got, err, want)
	}
}

// sized commits completed orders whose items take so many bytes, and returns the error of the last.
func (r *rig) sized(sizes ...int) error {
	g := newGroup(len(sizes))
	for _, size := range sizes {
		g.creates = append(g.creates, &createRequest{draft: completed, itemIDs: fmt.Appendf(nil, "[%*d]", size, 1)})
	}
	r.w.commit(g, nil, r.w.finished, r.now)
	return g.creates[len(sizes)-1].err
}

// work commits what is due so many times, each a processing time after the one before.
func (r *rig) work(times int) {
	for range times {
		work(r.w, r.now)
		r.now = r.now.Add(historyProcessing)
	}
}

// has fails the test unless the order has that status.
func (r *rig) has(id order.ID, status order.Status) {
	r.Helper()
	if o, err := r.store.Get(r.Context(), id); err != nil || o.Status != status {
		r.Errorf("the order is %+v, error %v, not %s", o, err, status)
	}
}

// waits fails the test unless so many ranges wait, and dead_letters has so many entries.
func (r *rig) waits(ranges, deadLetters int) {
	r.Helper()
	if got := entries(r, r.w.conn); len(r.w.queue.waiting) != ranges || len(got) != deadLetters {
		r.Errorf("%+v wait and dead_letters has %q, not %d and %d", r.w.queue.waiting, got, ranges, deadLetters)
	}
}

// keyed is a Pending order with that key, without one if it is empty.
func keyed(key string) order.Draft {
	d := order.Draft{Details: order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: 165078}}
	if key != "" {
		d.Key = order.KeyedID("", key)
	}
	d.SetFingerprint()
	return d
}

// work commits what is due at a time.
func work(w *writer, now time.Time) {
	finished := w.nextCheckpoint(now)
	w.commit(newGroup(0), w.queue.pop(now), finished, now)
}
