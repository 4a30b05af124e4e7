package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// F23, I1, I2, I3, I4, I9: while the disk is full, creates are refused and leave
// nothing, reads go on, and so does the process. Once there is space, what was refused
// is taken, and what was taken is worked off.
func TestFullDiskUnderLoadIsSurvived(t *testing.T) {
	d := smallDisk(t, 8)
	d.fill("ballast", 600<<10)
	s := startOn(t, d.run(program(t, "serve", "--addr", "127.0.0.1:0", "--db", d.db(), "--processing-time", "500ms")))

	const clients = 8
	taken := make([]*ledger, clients)
	var full, spaceAgain sync.WaitGroup
	for i := range taken {
		taken[i] = &ledger{service: s, prefix: fmt.Sprint("client-", i, "-")}
		full.Go(taken[i].createUntilRefused)
	}
	full.Wait()
	for _, l := range taken {
		l.checkReadable(t)
	}
	if res, err := s.get("/healthz"); err != nil || res.status != http.StatusServiceUnavailable {
		t.Errorf("healthz: %d, %v; want 503 while creates are refused", res.status, err)
	}
	before := s.metrics(t)
	if unfinished := before.TotalOrders - before.StatusCounts.Completed; unfinished == 0 {
		t.Error("no order waits for the disk: nothing is proved of the background")
	}

	d.remove("ballast")
	waitFor(t, "the service finds out by itself that there is space", func() bool {
		res, err := s.get("/healthz")
		return err == nil && res.status == http.StatusOK
	})
	for _, l := range taken {
		spaceAgain.Go(func() { l.createRefusedOne(t) })
	}
	spaceAgain.Wait()
	total := 0
	for _, l := range taken {
		total += len(l.ids)
	}
	s.awaitCompleted(t, total)
	for _, l := range taken {
		l.checkReadable(t)
	}
	s.end(t)
	checkFile(t, d.run(program(t, "check", "--db", d.db())), total)
}

// A ledger is what a client has been promised.
type ledger struct {
	service *serviceProcess
	prefix  string // of idempotency keys
	ids     []string
	err     error // an answer that is neither 201 nor 503
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

// create asks for the next order, which keeps its key until it is taken.
func (l *ledger) create() (answer, error) {
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
	return res, fmt.Errorf("answered %d %v %s", res.status, res.header, res.body)
}

func (l *ledger) createRefusedOne(t *testing.T) {
	waitFor(t, "the order that was refused is taken", func() bool {
		res, err := l.create()
		if err != nil {
			t.Error(err)
		}
		return err != nil || res.status == http.StatusCreated
	})
}

// checkReadable makes sure that no promise is broken.
func (l *ledger) checkReadable(t *testing.T) {
	t.Helper()
	if l.err != nil {
		t.Fatal(l.err)
	}
	for _, id := range l.ids {
		res, err := l.service.get("/api/orders/" + id + "/")
		if err != nil || res.status != http.StatusOK || !strings.Contains(res.body, id) {
			t.Errorf("order %s: %d %s, %v", id, res.status, res.body, err)
		}
	}
}

// F23, I1, I4: a disk that is full when the service starts is said to be, an order that
// was there is still there, and is worked off by a service that starts when there is
// space.
func TestFullDiskAtTheStartIsSaid(t *testing.T) {
	d := smallDisk(t, 4)
	checkNoSpace(t, d) // for a new file
	serve := func() *serviceProcess {
		return startOn(t, d.run(program(t, "serve", "--addr", "127.0.0.1:0", "--db", d.db(), "--processing-time", "1s")))
	}
	s := serve()
	if res, err := s.create("a-key"); err != nil || res.status != http.StatusCreated {
		t.Fatal(res, err)
	}
	s.end(t)
	before := fingerprint(d.path("orders.db"))
	checkNoSpace(t, d)
	if after := fingerprint(d.path("orders.db")); after != before {
		t.Errorf("the file was %s and is %s", before, after)
	}
	s = serve()
	s.awaitCompleted(t, 1)
	s.end(t)
	checkFile(t, d.run(program(t, "check", "--db", d.db())), 1)
}

// checkNoSpace makes sure that no service starts on a full disk, and that the reason is
// told.
func checkNoSpace(t *testing.T, d *disk) {
	t.Helper()
	d.fill("ballast", 0)
	cmd := d.run(program(t, "serve", "--addr", "127.0.0.1:0", "--db", d.db()))
	output, _ := cmd.CombinedOutput()
	want := "orders: " + d.db() + ": has no space left on its disk "
	if text := string(output); cmd.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(text, want) || strings.Count(text, "\n") != 1 {
		t.Errorf("%v, output %q; want exit code 1 and one line: %q", cmd.ProcessState, text, want)
	}
	d.remove("ballast")
}
