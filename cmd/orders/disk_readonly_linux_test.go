package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// F23, I1, I4: nothing starts on a disk that is mounted to be read only; its file can be
// checked. What is on it is worked off by a service that starts when it can be written.
func TestReadOnlyDiskAtTheStartIsRefused(t *testing.T) {
	t.Parallel()
	d := smallDisk(t, 4)
	serve := func() *serviceProcess {
		return startOn(t, d.run(program(t, "serve", "--addr", "127.0.0.1:0", "--db", d.db(), "--processing-time", "1s")))
	}
	s := serve()
	if res, err := s.create("a-key"); err != nil || res.status != http.StatusCreated {
		t.Fatal(res, err)
	}
	s.end(t)
	d.remount("ro")
	cmd := d.run(program(t, "serve", "--db", d.db()))
	output, _ := cmd.CombinedOutput()
	want := "orders: " + d.db() + ": cannot be "
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(string(output), want) || strings.Count(string(output), "\n") != 1 {
		t.Errorf("orders serve: %v, %q; want exit code 1 and one line that begins with %q", cmd.ProcessState, output, want)
	}
	output, err := d.run(program(t, "check", "--db", d.db())).CombinedOutput()
	if err != nil || !strings.Contains(string(output), "orders        1 (0 Pending, 1 Processing, 0 Completed)") {
		t.Errorf("orders check: %v, %q; want a report of one order", err, output)
	}
	d.remount("rw")
	s = serve()
	s.awaitCompleted(t, 1)
	s.end(t)
	checkFile(t, d.run(program(t, "check", "--db", d.db())), 1)
}

// F23, I1, I4: Linux makes a disk read only under a program that writes to it only when
// the disk has failed. Nobody knows then what of a commit is there: the service ends,
// says why, and one that starts on a disk that is well has all that was acknowledged.
func TestDiskThatBecomesReadOnlyEndsTheService(t *testing.T) {
	db := filepath.Join(t.TempDir(), "orders.db")
	s := startService(t, "--addr", "127.0.0.1:0", "--db", db, "--processing-time", "10s")
	id, err := post(s.client, s.url)
	if err != nil {
		t.Fatal(err)
	}
	outside := &serviceProcess{url: s.url, client: s.client}
	waitFor(t, "the writer has nothing to do", func() bool { return outside.metrics(t).StatusCounts.Processing == 1 })
	makeReadOnly(t, db+"-wal")
	if _, err := post(s.client, s.url); err == nil || !strings.Contains(err.Error(), "503 Service Unavailable") {
		t.Errorf("a create: %v, want 503", err)
	}
	select {
	case err := <-s.ended:
		if err == nil || !strings.Contains(err.Error(), "the disk failed during a commit: ") {
			t.Errorf("the service ended with %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("the service goes on")
	}
	s.client.CloseIdleConnections()

	again := startOn(t, program(t, "serve", "--addr", "127.0.0.1:0", "--db", db, "--processing-time", "10ms"))
	again.awaitCompleted(t, 1)
	if res, err := again.get("/api/orders/" + id + "/"); err != nil || res.id != id {
		t.Errorf("the order that was acknowledged: %+v, %v", res, err)
	}
	again.end(t)
}

// makeReadOnly puts a descriptor that is for reading in the place of each by which
// this process has the file open.
func makeReadOnly(t *testing.T, path string) {
	t.Helper()
	readOnly, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	replaced := 0
	for _, e := range entries {
		var fd int
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if _, scanErr := fmt.Sscan(e.Name(), &fd); errors.Join(err, scanErr) != nil || target != path || fd == int(readOnly.Fd()) {
			continue
		}
		if err := syscall.Dup3(int(readOnly.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		replaced++
	}
	if replaced == 0 {
		t.Fatalf("%s is not open", path)
	}
}
