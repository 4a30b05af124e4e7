package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
	"orders/test/chaos"
)

const historyProcessing = 50 * time.Second

// worker is the one that works off what is due.
const worker = "worker"

// A chaosHome is a store whose writer is driven by hand.
type chaosHome struct {
	chaos.T
	*Store
	writer *writer
	path   string
	now    time.Time
	ids    []order.ID // all orders, in the order of commits
	met    map[string]int
}

func openChaosHome(t chaos.T) chaos.Deployment {
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	h := &chaosHome{T: t, path: filepath.Join(dir, "orders.db"), now: time.UnixMilli(1_800_000_000_000), met: map[string]int{}}
	t.Cleanup(func() { h.check(os.RemoveAll(dir)) })
	t.Cleanup(h.close)
	h.open()
	return h
}

func (h *chaosHome) check(err error) {
	h.Helper()
	if err != nil {
		h.Fatalf("%v", err)
	}
}

// open opens the file as a process does, but for the goroutine.
func (h *chaosHome) open() {
	s := newStore(byHand(h.path, &h.now))
	s.keys.size = 5
	w, err := s.open(context.Background())
	if err != nil {
		h.Fatalf("open: %v", errors.Join(err, s.release()))
	}
	for _, r := range w.queue.waiting {
		if wait := r.due.Sub(h.now); wait > historyProcessing {
			h.Fatalf("after a restart an order waits for %s", wait)
		}
	}
	w.conn.SetBusyTimeout(0)
	h.Store, h.writer = s, w
}

// close closes the file, and holds all in it to fit together.
func (h *chaosHome) close() {
	if h.Store == nil {
		return
	}
	s := h.Store
	h.Store = nil
	h.check(s.release())
	report, err := Check(context.Background(), h.path)
	if err != nil || len(report.Findings) > 0 {
		h.Fatalf("the file holds %q, error %v", report.Findings, err)
	}
}

// Create commits the drafts as one group.
func (h *chaosHome) Create(drafts []order.Draft, fault string) []chaos.Created {
	g := newGroup(0)
	for _, d := range drafts {
		g.creations = append(g.creations, &creation{draft: d, itemIDs: itemsColumn(d.ItemIDs)})
	}
	h.commit(chaos.Create, g, fault)
	answers := make([]chaos.Created, len(drafts))
	var made []order.ID
	for i, c := range g.creations {
		answers[i] = chaos.Created{Order: c.order, Replayed: c.replayed, Err: c.err}
		if c.err == nil && !c.replayed {
			made = append(made, c.order.ID)
		}
	}
	h.appended(made)
	return answers
}

// appended holds the list to have grown at its end alone, by what was made, in order.
// What a crash behind the commit has made nobody was told.
func (h *chaosHome) appended(made []order.ID) {
	page, err := h.List(context.Background(), 1_000, "")
	h.check(err)
	slices.Reverse(page.IDs)
	before := len(h.ids)
	if len(page.IDs) < before || !slices.Equal(page.IDs[:before], h.ids) || len(made) > 0 && !slices.Equal(page.IDs[before:], made) {
		h.Fatalf("the orders were %s, made were %s, and are %s", h.ids, made, page.IDs)
	}
	h.ids = page.IDs
}

// Deliver has one group of the bodies.
func (h *chaosHome) Deliver(bodies [][]byte, fault string) {
	g := newGroup(0)
	for _, body := range bodies {
		g.deliveries = append(g.deliveries, &delivery{body: body})
	}
	h.commit(chaos.Deliver, g, fault)
	for _, d := range g.deliveries {
		if fault == "" {
			h.check(d.err)
		}
	}
}

// Work makes the transitions that are due.
func (h *chaosHome) Work(_, fault string) {
	if fault != "" {
		h.commit(worker, newGroup(0), fault)
		return
	}
	mark := h.writer.mark(h.now)
	h.writer.commit(newGroup(0), h.writer.queue.pop(h.now), mark, h.now)
}

// Tick moves the clock.
func (h *chaosHome) Tick(d time.Duration) { h.now = h.now.Add(d) }

func (h *chaosHome) Workers() []string             { return []string{worker} }
func (h *chaosHome) Met() map[string]int           { return maps.Clone(h.met) }
func (h *chaosHome) Now() time.Time                { return h.now }
func (h *chaosHome) ProcessingTime() time.Duration { return historyProcessing }
func (h *chaosHome) Counted() bool                 { return true }

// Metrics are those in memory, which must be those in the file.
func (h *chaosHome) Metrics(ctx context.Context) (order.Tally, error) {
	inFile, err := loadTally(h.writer.conn)
	h.check(err)
	tally, err := h.Store.Metrics(ctx)
	if err == nil && tally != inFile {
		h.Fatalf("the tally is %+v, and %+v in the file", tally, inFile)
	}
	return tally, err
}

// Waits reports whether a run holds what the order waits for.
func (h *chaosHome) Waits(id order.ID) bool {
	seq, o, err := find(h.writer.conn, h.keys, id)
	h.check(err)
	return slices.ContainsFunc(h.writer.queue.waiting, func(r run) bool {
		return r.first <= seq && seq <= r.last && (o.Status == order.Completed || r.to == o.Status+1)
	})
}

// DeadLetters reads the table.
func (h *chaosHome) DeadLetters() (bodies [][]byte) {
	h.check(eachRow(h.writer.conn, "SELECT body FROM dead_letters WHERE number > ?", 0, func(row *sqlite.Stmt) {
		body := make([]byte, row.ColumnLen(0))
		row.ColumnBytes(0, body)
		bodies = append(bodies, body)
	}))
	return bodies
}

// meet counts a fault that has come about.
func (h *chaosHome) meet(doing, fault string) { h.met[fmt.Sprintf("%s: %s", doing, fault)]++ }
