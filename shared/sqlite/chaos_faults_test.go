package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"zombiezen.com/go/sqlite"

	"orders/shared/order"
	"orders/test/chaos"
)

// What may stand in the way of a commit.
const (
	diskFull     = "disk full"
	diskNearFull = "disk full but for one page"
	locked       = "file locked by another process"
	crashBefore  = "crash before the commit"
	crashBehind  = "crash behind the commit"
	restart      = "restart in good order"
)

// Faults are those that Create, Deliver and the worker can meet.
func (h *chaosHome) Faults(doing string) []string {
	faults := []string{diskFull, locked, crashBefore, crashBehind}
	switch doing {
	case chaos.Create:
		faults = append(faults, diskNearFull)
	case worker:
		faults = append(faults, restart)
	}
	return faults
}

// commit makes one transaction of a group under a fault; with one, together with what
// is due, as under load, so that it may fail at any of its statements.
func (h *chaosHome) commit(doing string, g *group, fault string) {
	switch fault {
	case "":
		h.writer.commit(g, nil, h.writer.mark(h.now), h.now)
	case diskFull:
		h.withoutSpace(0, func() { h.fails(doing, g, fault) })
	case diskNearFull:
		h.withoutSpace(1, func() { h.fails(doing, g, fault) })
	case locked:
		h.whileLocked(func() { h.fails(doing, g, fault) })
	case crashBefore, crashBehind:
		h.crash(g, fault == crashBehind)
		h.meet(doing, fault)
	case restart:
		h.writer.commit(g, nil, h.writer.queue.finishedBelow(h.writer.last+1)-1, h.now)
		h.close()
		h.open()
		h.meet(doing, fault)
	}
}

// fails commits, and counts the fault if it was met: nothing of it may show then.
func (h *chaosHome) fails(doing string, g *group, fault string) {
	h.health.set(false)
	mark := h.writer.mark(h.now)
	h.writer.commit(g, h.writer.queue.pop(h.now), mark, h.now)
	if h.health.check(h.now) != nil {
		h.meet(doing, fault)
	}
}

// withoutSpace lets the file grow by so many pages and no further.
func (h *chaosHome) withoutSpace(left int64, do func()) {
	pages, err := queryInt(h.writer.conn, "PRAGMA page_count")
	h.check(err)
	h.check(pragma(h.writer.conn, fmt.Sprintf("max_page_count = %d", pages+left)))
	do()
	h.check(pragma(h.writer.conn, "max_page_count = 1000000"))
}

// whileLocked has another connection write to the file, as another program might.
func (h *chaosHome) whileLocked(do func()) {
	other, err := sqlite.OpenConn(h.path, sqlite.OpenReadWrite|sqlite.OpenWAL)
	h.check(err)
	stmt, _, err := other.PrepareTransient("BEGIN IMMEDIATE")
	h.check(err)
	h.check(exec(stmt))
	h.check(stmt.Finalize())
	do()
	h.check(other.Close())
}

// crash drops the process at a group: before its commit, when nothing of it may
// remain, or behind it, when all of it must. Nobody is told either way.
func (h *chaosHome) crash(g *group, behind bool) {
	tx := h.writer.begin(h.writer.mark(h.now), h.now)
	h.check(tx.exec("BEGIN IMMEDIATE"))
	h.check(tx.write(g, h.writer.queue.pop(h.now)))
	if behind {
		h.check(tx.exec("COMMIT"))
	}
	h.killed()
	g.fail(fmt.Errorf("%w: the process is gone", order.ErrUnavailable))
}

// killed opens the file as a process finds it whose predecessor was killed: with the
// log that nobody has brought into the file.
func (h *chaosHome) killed() {
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
