package awstest

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel stop the command when the test binary ends,
// also when that is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
