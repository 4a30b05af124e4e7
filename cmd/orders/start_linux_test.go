package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orders/test/conformance"
)

// F25: whoever stops a service that is starting on a slow disk does not have to kill it.
func TestASignalAtTheStartOnASlowDiskEndsTheProcessWell(t *testing.T) {
	t.Parallel()
	db := goodFile(t)
	cmd := traced(t, filepath.Join(t.TempDir(), "trace"), program(t, "serve", "--addr", "127.0.0.1:0", "--db", db),
		"-e", "inject=fsync,fdatasync:delay_enter=1000000") // microseconds
	logs := &conformance.LogBuffer{}
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the service has the file open", func() bool {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(maps, []byte(db+"-shm"))
	})
	terminate(t, cmd)
	if err := cmd.Wait(); err != nil || stdout.Len() > 0 || !strings.Contains(string(logs.Bytes()), "stopping before the database is open") {
		t.Errorf("the process ended with %v, want exit code 0; it has printed %q and logged\n%s", err, &stdout, logs.Bytes())
	}
	if code, _, stderr := invoke(t, nil, "check", "--db", db); code != exitOK {
		t.Errorf("check: exit code %d\n%s", code, stderr)
	}
}
