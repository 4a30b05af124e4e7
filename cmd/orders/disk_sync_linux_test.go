package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// I1: what is acknowledged survives a power failure. Between the moment at which an order
// comes and its 201, the write-ahead log is written, and then synced.
func TestAnOrderIsOnTheDiskBeforeItIsAcknowledged(t *testing.T) {
	trace, db := filepath.Join(t.TempDir(), "trace"), filepath.Join(t.TempDir(), "orders.db")
	s := startOn(t, traced(t, trace, program(t, "serve", "--addr", "127.0.0.1:0", "--db", db)))
	const orders = 20
	for range orders {
		// Completed, so that nothing is written in the background.
		const body = `{"user_id":645,"item_ids":[1,2],"total_amount":1650.78,"status":"Completed"}`
		res, err := s.client.Post(s.url+"/api/orders/create/", "application/json", strings.NewReader(body))
		if err != nil || res.StatusCode != http.StatusCreated {
			t.Fatal(res, err)
		}
		_ = res.Body.Close()
	}
	s.end(t)
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}

	if acknowledged := checkSynced(t, string(calls)); acknowledged != orders {
		t.Errorf("strace saw %d orders acknowledged, not %d", acknowledged, orders)
	}
}

// checkSynced goes through the system calls of a service with one client, and returns how
// many orders were acknowledged.
func checkSynced(t *testing.T, calls string) (acknowledged int) {
	t.Helper()
	written, unsynced := false, false
	syncing := map[string]bool{} // the threads in a call that syncs the log
	for line := range strings.Lines(calls) {
		thread, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		switch {
		case strings.HasPrefix(call, "pwrite64(") && strings.Contains(call, "-wal>"):
			written, unsynced = true, true
		case startsSync.MatchString(call):
			syncing[thread] = true
		case strings.HasPrefix(call, "write(") && strings.Contains(call, `"HTTP/1.1 201 `):
			acknowledged++
			if !written || unsynced {
				t.Errorf("order %d is acknowledged; log written before: %t, and not synced: %t", acknowledged, written, unsynced)
			}
			written = false
		}
		if syncing[thread] && endsSync.MatchString(call) {
			syncing[thread], unsynced = false, false
		}
	}
	return acknowledged
}

// A call is on one line of strace's, or on two when another thread comes in between.
var (
	startsSync = regexp.MustCompile(`^f(data)?sync\(\d+<.*-wal>`)
	endsSync   = regexp.MustCompile(`f(data)?sync(\(| resumed>).*\) += 0$`)
)

// traced makes a command one whose writes and syncs strace lists in a file. Where strace
// is missing or may not trace, the test is skipped, and fails where CI is set.
func traced(t *testing.T, file string, cmd *exec.Cmd, options ...string) *exec.Cmd {
	t.Helper()
	// With -D the process is not strace's child but ours, which gets signals itself.
	strace := []string{"strace", "-D", "-f", "-y", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", file}
	strace = append(strace, options...)
	try := exec.CommandContext(t.Context(), strace[0], append(strace[1:], "true")...)
	var said bytes.Buffer
	try.Stdout, try.Stderr = &said, &said // Run returns when strace has ended, too
	err := try.Run()
	calls, _ := os.ReadFile(file)
	switch works := err == nil && bytes.Contains(calls, []byte("+++ exited with 0 +++")); {
	case !works && os.Getenv("CI") == "":
		t.Skipf("*** SKIPPED: strace cannot trace: %v %s ***", err, &said)
	case !works:
		t.Fatalf("strace cannot trace: %v %s", err, &said)
	}
	cmd.Args = append(append(strace, "--", cmd.Path), cmd.Args[1:]...)
	cmd.Path = try.Path
	return cmd
}
