package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// F23: a lock that ends soon delays the start, no more.
func TestFileThatIsLockedForAMomentAtTheStartIsServed(t *testing.T) {
	t.Parallel()
	db := goodFile(t)
	unlock := lockFor(t, db)
	cmd := program(t, "serve", "--addr", "127.0.0.1:0", "--db", db, "--processing-time", "1ms")
	listening := launch(t, cmd)
	waitFor(t, "the service has the file open", func() bool {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(maps, []byte(db+"-shm"))
	})
	unlock()
	s := listening()
	s.awaitCompleted(t, 1)
	s.end(t)
}
