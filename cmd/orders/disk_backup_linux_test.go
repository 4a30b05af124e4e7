package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// F23: the message names the disk that is full, which is not the one with the file that is copied.
func TestABackupAndARestoreNameTheDiskThatIsFull(t *testing.T) {
	source, small := largeFile(t), smallDisk(t, 1)
	backup := filepath.Join(t.TempDir(), "backup.db")
	timed(t, program(t, "backup", backup, "--db", source))
	full := small.path("full.db")
	for _, args := range [][]string{{"backup", full, "--db", source}, {"restore", backup, "--db", full}} {
		cmd := small.run(program(t, args...))
		output, _ := cmd.CombinedOutput()
		const want = "full.db: has no space left on its disk "
		if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(output), want) {
			t.Errorf("%s: %v, output %q; want exit code 1 and %q", args[0], cmd.ProcessState, output, want)
		}
	}
}
