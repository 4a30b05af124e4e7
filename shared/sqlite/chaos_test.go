package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
	"orders/test/chaos"
)

// TestChaos plays random histories on a real file: creates, replays, calls, ranges twice, early and out of
// order, clocks that step, commits that fail, and crashes before and after every commit (I1 to I14,
// I17; F1 to F4, F8 to F11, F15, F20, F22, F23).
//
// The test calls the writer's steps one by one, without its goroutine, so that a failing history
// can be shrunk to the few steps that matter.
func TestChaos(t *testing.T) { chaos.Play(t, "embedded", openChaosDeployment) }

const historyProcessing = 50 * time.Second

// worker processes what is due.
const worker = "worker"

// A chaosDeployment is a store whose writer the test drives.
type chaosDeployment struct {
	chaos.T
	*Store
	writer *writer
	works  order.Fulfilment
	path   string
	now    time.Time
	ids    []order.ID // all orders, in the order of commits
	met    map[string]int
}

func openChaosDeployment(t chaos.T, f order.Fulfilment) chaos.Deployment {
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	h := &chaosDeployment{T: t, works: f, path: filepath.Join(dir, "orders.db"), now: epoch, met: map[string]int{}}
	t.Cleanup(func() { h.check(os.RemoveAll(dir)) })
	t.Cleanup(h.close)
	h.open()
	return h
}

func (h *chaosDeployment) check(err error) {
	h.Helper()
	if err != nil {
		h.Fatalf("%v", err)
	}
}

// open opens the file as a process does, without the goroutines.
func (h *chaosDeployment) open() {
	cfg := byHand(h.path, &h.now)
	cfg.Fulfilment = h.works
	s := newStore(cfg)
	s.keys.size = 5
	w, err := s.open(context.Background())
	if err != nil {
		h.Fatalf("open: %v", errors.Join(err, s.release()))
	}
	for _, r := range w.queue.waiting {
		if wait := r.due.Sub(h.now); wait > h.works.Wait() {
			h.Fatalf("after a restart an order waits for %s", wait)
		}
	}
	w.conn.SetBusyTimeout(0)
	h.Store, h.writer = s, w
}

// close closes the file, and fails unless a check of it has no findings.
func (h *chaosDeployment) close() {
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
func (h *chaosDeployment) Create(drafts []order.Draft, fault string) []chaos.Created {
	g := newGroup(0)
	for _, d := range drafts {
		g.creates = append(g.creates, &createRequest{draft: d, itemIDs: encodeItems(d.ItemIDs)})
	}
	h.commit(chaos.Create, g, nil, fault)
	answers := make([]chaos.Created, len(drafts))
	var made []order.ID
	for i, c := range g.creates {
		answers[i] = chaos.Created{Order: c.order, Replayed: c.replayed, Err: c.err}
		if c.err == nil && !c.replayed {
			made = append(made, c.order.ID)
		}
	}
	h.appended(made)
	return answers
}

// appended fails unless the list has grown at its end only, by the created orders, in order. Orders
// that were created before a crash after the commit were not acknowledged.
func (h *chaosDeployment) appended(made []order.ID) {
	page, err := h.List(context.Background(), 1_000, "")
	h.check(err)
	slices.Reverse(page.IDs)
	before := len(h.ids)
	if len(page.IDs) < before || !slices.Equal(page.IDs[:before], h.ids) || len(made) > 0 && !slices.Equal(page.IDs[before:], made) {
		h.Fatalf("the orders were %s, made were %s, and are %s", h.ids, made, page.IDs)
	}
	h.ids = page.IDs
}

// TakesForeign is false: the store reads no bodies, and its worker gets ranges only.
func (h *chaosDeployment) TakesForeign() bool { return false }

// Call commits the calls as one group. With race, the same commit has what is due.
func (h *chaosDeployment) Call(requests []chaos.CallRequest, race bool, fault string) []chaos.Called {
	g := newGroup(0)
	for _, r := range requests {
		g.transitions = append(g.transitions, &transitionRequest{id: r.ID, request: r.TransitionRequest})
	}
	if race && fault == "" {
		finished := h.writer.nextCheckpoint(h.now)
		h.writer.commit(g, h.writer.queue.pop(h.now), finished, h.now)
	} else {
		h.commit(chaos.Calling, g, nil, fault)
	}
	responses := make([]chaos.Called, len(requests))
	for i, r := range g.transitions {
		responses[i] = chaos.Called{Order: r.order, Err: r.err}
	}
	return responses
}

// Deliver gives the worker the messages as ranges, beside those in the queue.
func (h *chaosDeployment) Deliver(bodies [][]byte, fault string) {
	var ranges []seqRange
	for _, body := range bodies {
		m, err := order.ParseMessage(body)
		h.check(err)
		seq, o, err := find(h.writer.conn, h.keys, m.OrderID)
		h.check(err)
		r := seqRange{to: m.To, version: m.Version, first: seq, last: seq, notBefore: o.CreatedAt}
		// A range of the main path never has an order that has left it: it is a hole. Nor does
		// such a range complete orders if workers do.
		if r.version == 0 && (o.Exception != nil || h.works.External && m.To == order.Completed) {
			r.version = int(m.To)
		}
		// A completion that is early, or of an order in another state, does not match the row.
		if end := o.StartedAt.Add(historyProcessing); r.version == 0 && m.To == order.Completed && !h.now.Before(end) {
			r.startedAt, r.notBefore = o.StartedAt, end
		}
		ranges = append(ranges, r)
	}
	h.commit(chaos.Deliver, newGroup(0), ranges, fault)
}

// Work makes the transitions that are due.
func (h *chaosDeployment) Work(_, fault string) {
	if fault == "" {
		work(h.writer, h.now)
	} else {
		h.commit(worker, newGroup(0), nil, fault)
	}
}

// Tick moves the clock.
func (h *chaosDeployment) Tick(d time.Duration) { h.now = h.now.Add(d) }

func (h *chaosDeployment) Workers() []string            { return []string{worker} }
func (h *chaosDeployment) Met() map[string]int          { return maps.Clone(h.met) }
func (h *chaosDeployment) Now() time.Time               { return h.now }
func (h *chaosDeployment) Fulfilment() order.Fulfilment { return h.works }
func (h *chaosDeployment) Counted() bool                { return true }

// Metrics returns the tally in memory, and fails unless the file has the same.
func (h *chaosDeployment) Metrics(ctx context.Context) (order.Tally, error) {
	inFile, err := loadTally(h.writer.conn)
	h.check(err)
	tally, err := h.Store.Metrics(ctx)
	if err == nil && tally != inFile {
		h.Fatalf("the tally is %+v, and %+v in the file", tally, inFile)
	}
	return tally, err
}

// Waits reports whether a range has the message that the order waits for.
func (h *chaosDeployment) Waits(id order.ID) bool {
	seq, o, err := find(h.writer.conn, h.keys, id)
	h.check(err)
	_, left := h.writer.queue.left[seq]
	unfinished := o.Status == order.Pending || o.Status == order.Processing
	return slices.ContainsFunc(h.writer.queue.waiting, func(r seqRange) bool {
		expected := r.version
		if expected == 0 {
			expected = int(r.to)
		}
		covers := r.first <= seq && seq <= r.last && (!left || r.version != 0)
		return covers && (!unfinished || expected == o.Version())
	})
}

// DeadLetters reads the table.
func (h *chaosDeployment) DeadLetters() (bodies [][]byte) {
	for _, entry := range entries(h, h.writer.conn) {
		bodies = append(bodies, []byte(entry))
	}
	return bodies
}

// meet counts a fault that has occurred.
func (h *chaosDeployment) meet(doing, fault string) { h.met[fmt.Sprintf("%s: %s", doing, fault)]++ }

// The faults of a commit.
const (
	diskFull     = "disk full"
	diskNearFull = "disk full but for one page"
	locked       = "file locked by another process"
	crashBefore  = "crash before the commit"
	crashBehind  = "crash behind the commit"
	restart      = "restart in good order"
)

// Faults returns the faults of Create, Deliver, Calling and the worker.
func (h *chaosDeployment) Faults(doing string) []string {
	faults := []string{diskFull, locked, crashBefore, crashBehind}
	switch doing {
	case chaos.Create:
		faults = append(faults, diskNearFull)
	case worker:
		faults = append(faults, restart)
	}
	return faults
}

// commit runs one transaction of a group and ranges. Under a fault it has also what is due, as
// under load, so that it may fail at any of its statements.
func (h *chaosDeployment) commit(doing string, g *group, ranges []seqRange, fault string) {
	switch fault {
	case "":
		h.writer.commit(g, ranges, h.writer.nextCheckpoint(h.now), h.now)
	case diskFull:
		h.withoutSpace(0, func() { h.fails(doing, g, ranges, fault) })
	case diskNearFull:
		h.withoutSpace(1, func() { h.fails(doing, g, ranges, fault) })
	case locked:
		h.whileLocked(func() { h.fails(doing, g, ranges, fault) })
	case crashBefore, crashBehind:
		h.crash(g, ranges, fault == crashBehind)
		h.meet(doing, fault)
	case restart:
		h.writer.commit(g, nil, h.writer.queue.finishedBelow(h.writer.last+1)-1, h.now)
		h.close()
		h.open()
		h.meet(doing, fault)
	}
}

// fails commits, and counts the fault if the commit failed.
func (h *chaosDeployment) fails(doing string, g *group, ranges []seqRange, fault string) {
	h.health.set(false)
	finished := h.writer.nextCheckpoint(h.now)
	h.writer.commit(g, append(ranges, h.writer.queue.pop(h.now)...), finished, h.now)
	if h.health.check(h.now) != nil {
		h.meet(doing, fault)
	}
}

// withoutSpace lets the file grow by so many pages and no further.
func (h *chaosDeployment) withoutSpace(left int64, do func()) {
	pages, err := queryInt(h.writer.conn, "PRAGMA page_count")
	h.check(err)
	h.check(pragma(h.writer.conn, fmt.Sprintf("max_page_count = %d", pages+left)))
	do()
	h.check(pragma(h.writer.conn, "max_page_count = 1000000"))
}

// whileLocked calls do while another connection holds the write lock.
func (h *chaosDeployment) whileLocked(do func()) {
	other, err := sqlite.OpenConn(h.path, sqlite.OpenReadWrite|sqlite.OpenWAL)
	h.check(err)
	stmt, _, err := other.PrepareTransient("BEGIN IMMEDIATE")
	h.check(err)
	h.check(exec(stmt))
	h.check(stmt.Finalize())
	do()
	h.check(other.Close())
}

// crash ends the process before the commit of a group, so that nothing of it may remain, or after
// it, so that all of it must. No client gets a result.
func (h *chaosDeployment) crash(g *group, ranges []seqRange, behind bool) {
	tx := h.writer.begin(h.writer.nextCheckpoint(h.now), h.now)
	h.check(execute(tx.conn, "BEGIN IMMEDIATE"))
	h.check(tx.write(g, append(ranges, h.writer.queue.pop(h.now)...)))
	if behind {
		h.check(execute(tx.conn, "COMMIT"))
	}
	h.killed()
	g.fail(fmt.Errorf("%w: the process is gone", order.ErrUnavailable))
}

// killed opens the file as a killed process leaves it: with its log.
func (h *chaosDeployment) killed() {
	left := map[string][]byte{}
	for _, name := range []string{h.path, h.path + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.Fatalf("%v", err)
		}
		left[name] = b
	}
	h.check(h.release())
	for name, b := range left {
		h.check(os.WriteFile(name, b, 0o600))
	}
	h.open()
}
