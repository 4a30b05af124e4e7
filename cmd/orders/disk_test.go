package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite/sqlitex"
)

// A ledger has the acknowledged orders of one client.
type ledger struct {
	service *service
	prefix  string // of idempotency keys
	ids     []string
	err     error // a response that is neither 201 nor 503
}

func (l *ledger) createUntilRefused() {
	for {
		res, err := l.create()
		if err != nil || res.status == http.StatusServiceUnavailable {
			l.err = err
			return
		}
	}
}

// create sends the next order. A retry of a refused order has the same key.
func (l *ledger) create() (response, error) {
	res, err := l.service.create(l.prefix + fmt.Sprint(len(l.ids)))
	switch {
	case err != nil:
		return res, err
	case res.status == http.StatusCreated && res.header.Get("Idempotency-Replayed") == "":
		l.ids = append(l.ids, res.id)
		return res, nil
	case res.status == http.StatusServiceUnavailable && res.header.Get("Retry-After") == "1":
		return res, nil
	}
	return res, fmt.Errorf("response %d %v %s", res.status, res.header, res.body)
}

func (l *ledger) createRefusedOne(t *testing.T) {
	waitFor(t, "the refused order is accepted", func() bool {
		res, err := l.create()
		if err != nil {
			t.Error(err)
		}
		return err != nil || res.status == http.StatusCreated
	})
}

// checkReadable fails the test unless the service has all acknowledged orders.
func (l *ledger) checkReadable(t *testing.T) {
	t.Helper()
	if l.err != nil {
		t.Fatal(l.err)
	}
	for _, id := range l.ids {
		l.service.checkOrder(t, id)
	}
}

// damages are ways to damage the files of a running service, and what `orders check` prints later.
// Nobody can know what a damaged log has lost: for SQLite it ends where it is not valid any more, as
// after a crash.
var damages = []struct {
	name  string
	do    func(t *testing.T, db string)
	check string
}{
	{"noise in all pages but the first", func(t *testing.T, db string) { rewrite(t, db, noiseAfterFirstPage) }, foreignLog},
	{"noise in all pages", func(t *testing.T, db string) { rewrite(t, db, allNoise) }, damaged},
	{"half of the file", func(t *testing.T, db string) { rewrite(t, db, half) }, foreignLog},
	{"an empty file", func(t *testing.T, db string) { rewrite(t, db, nothing) }, "orders.db: "},
	{"noise in the log", func(t *testing.T, db string) { rewrite(t, db+"-wal", allNoise) }, "\nok\n"},
	{"half of the log", func(t *testing.T, db string) { rewrite(t, db+"-wal", half) }, "\nok\n"},
	{"an empty log", func(t *testing.T, db string) { rewrite(t, db+"-wal", nothing) }, "\nok\n"},
}

const foreignLog = "is not the file that its log was written for"

// F23, I15: while a file is damaged, the response for an order is that order or a 503, never another
// order or a 404, and the list is complete or a 503. The service stops, because orders that it
// acknowledges might be lost. Its file is then refused, or has the orders that the log has not lost.
func TestDamageWhileServingIsNeverAnsweredAsRight(t *testing.T) {
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			t.Parallel()
			db := newPath(t)
			s, l := serveOldAndNew(t, db)
			damage.do(t, db)
			if l.readThrough(t) == 0 {
				t.Error("everything can be read: nothing is proved")
			}
			s.awaitFailure(t)
			if output, _ := program(t, "check", "--db", db).CombinedOutput(); !strings.Contains(string(output), damage.check) {
				t.Errorf("check: %s; want %q", output, damage.check)
			}
		})
	}
}

// serveOldAndNew returns a service with a hundred orders of an earlier service, and as many of its
// own, which are still in the log.
func serveOldAndNew(t *testing.T, db string) (*service, *ledger) {
	t.Helper()
	l := &ledger{prefix: "damage-"}
	for {
		l.service = start(t, db)
		for range 100 {
			if _, err := l.create(); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.ids) == 200 {
			return l.service, l
		}
		l.service.stop(t)
	}
}

// readThrough reads everything, and returns how many responses are a 503.
func (l *ledger) readThrough(t *testing.T) (unavailable int) {
	t.Helper()
	right := func(path string, contents ...string) {
		t.Helper()
		res, err := l.service.get(path)
		if err != nil || res.status == http.StatusServiceUnavailable {
			unavailable++ // or the service has stopped
			return
		}
		if res.status != http.StatusOK {
			t.Errorf("%s: %d %s, %v", path, res.status, res.body, err)
		}
		for _, want := range contents {
			if !strings.Contains(res.body, want) {
				t.Errorf("%s: %s, without %s", path, res.body, want)
			}
		}
	}
	for _, id := range l.ids {
		right("/api/orders/"+id+"/", id, `"user_id":"645","item_ids":["1","2"],"total_amount":"1650.78"`)
	}
	right("/api/orders/ids/?limit=1000", l.ids...)
	return unavailable
}

// F23, I1: orders in a deleted file are lost with the process, so the service stops, also while no
// orders come.
func TestTheServiceStopsWhenItsFileIsDeleted(t *testing.T) {
	t.Parallel()
	db := newPath(t)
	s := start(t, db)
	s.mustCreate(t)
	if err := os.Remove(db); err != nil {
		t.Fatal(err)
	}
	s.awaitFailure(t)
}

// lockScript locks a file against all other connections, until the connection is closed.
const lockScript = "PRAGMA locking_mode = EXCLUSIVE; UPDATE tally SET pending = pending"

// lockFor locks the file against writes until unlock is called, like a program with an open
// transaction.
func lockFor(t *testing.T, db string) (unlock func()) {
	t.Helper()
	conn := connect(t, db)
	if err := sqlitex.ExecuteTransient(conn, "BEGIN IMMEDIATE", nil); err != nil {
		t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() { _ = conn.Close() }) // which rolls back
	t.Cleanup(unlock)
	return unlock
}

// F23, I1, I2, I4: while another process has locked the file, creates are refused and store nothing,
// and reads work. Afterwards creates work again, in the same process.
func TestFileThatIsLockedForAWhileIsServedOn(t *testing.T) {
	t.Parallel()
	db := newPath(t)
	s := start(t, db, "--processing-time", "2s")
	l := &ledger{service: s, prefix: "locked-"}
	if _, err := l.create(); err != nil {
		t.Fatal(err)
	}
	unlock := lockFor(t, db)
	l.createUntilRefused()
	if len(l.ids) != 1 {
		t.Errorf("%d orders are accepted, want only the first", len(l.ids))
	}
	l.checkReadable(t)
	if m := s.metrics(t); m.TotalOrders != 1 || m.StatusCounts.Completed != 0 {
		t.Errorf("metrics %+v, want 1 order that is not Completed", m)
	}
	unlock()
	l.createRefusedOne(t)
	s.awaitCompleted(t, 2)
	s.stop(t)
	checkCompleted(t, program(t, "check", "--db", db), 2)
}

// F23: a short lock only delays an order, and reads work.
func TestFileThatIsLockedForAMomentCostsNoOrder(t *testing.T) {
	t.Parallel()
	db := newPath(t)
	s := start(t, db)
	unlock := lockFor(t, db)
	half := s.sendHalf(t)
	if _, err := io.WriteString(half, goodOrder); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s.metrics(t)
	}
	unlock()
	if status, _ := half.send(t, ""); status != http.StatusCreated {
		t.Errorf("status %d, want 201", status)
	}
	s.stop(t)
}
