// Package service is the order service as a client and an operator see it: a client of the HTTP
// API, and a launcher of `orders` as a process. It knows no more than the contract says. Tests and
// measurements of the whole system share it; only the load generator has a client of its own.
package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// startTimeout is far more than a service needs to read the file of its predecessor.
	startTimeout = 30 * time.Second
	// shutdownTimeout is far more than the service allows its last requests.
	shutdownTimeout = time.Minute
)

// Build compiles a package of this module as it is released, without cgo, and returns the path of
// the program.
func Build(ctx context.Context, folder, pkg string, flags ...string) (string, error) {
	program := filepath.Join(folder, filepath.Base(pkg))
	args := append([]string{"build", "-o", program}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, output)
	}
	return program, nil
}

// Orders is the command `orders serve` on a database file and any free port, with more flags.
func Orders(ctx context.Context, program, db string, processingTime time.Duration, flags ...string) *exec.Cmd {
	args := []string{"serve", "--addr", "127.0.0.1:0", "--db", db, "--processing-time", processingTime.String()}
	return exec.CommandContext(ctx, program, append(args, flags...)...)
}

// Check runs `orders check`, which reads the whole file of a service that has stopped or crashed.
func Check(ctx context.Context, program, db string) error {
	if output, err := exec.CommandContext(ctx, program, "check", "--db", db).CombinedOutput(); err != nil {
		return fmt.Errorf("orders check: %w\n%s", err, output)
	}
	return nil
}

// A Process is a program that was started.
type Process struct {
	URL string // without a slash at the end; "" after Run

	cmd     *exec.Cmd
	ending  atomic.Bool   // set before Stop or Kill sends its signal
	exited  chan struct{} // closed when the process has exited
	exitErr error         // of exec.Cmd.Wait, to be read after that
}

// Run starts a command and does not wait for its address.
func Run(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.exitErr = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

var addressLine = regexp.MustCompile(`listens on (http://\S+)`)

// Start starts a server and returns when it has printed its address. It uses the command's Stdout.
func Start(cmd *exec.Cmd) (*Process, error) {
	output := make(firstOutput, 1)
	cmd.Stdout = output
	p, err := Run(cmd)
	if err != nil {
		return nil, err
	}
	line := ""
	select {
	case line = <-output:
	case <-p.exited:
	case <-time.After(startTimeout):
	}
	address := addressLine.FindStringSubmatch(line)
	if address == nil {
		_ = p.Close()
		return nil, fmt.Errorf("start %s: it prints %q and not its address, and ends with: %v", cmd.Path, line, cmd.ProcessState)
	}
	p.URL = address[1]
	return p, nil
}

// firstOutput receives what a process writes first, and drops the rest.
type firstOutput chan string

func (w firstOutput) Write(p []byte) (int, error) {
	select {
	case w <- string(p):
	default:
	}
	return len(p), nil
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ending reports whether Stop or Kill was called.
func (p *Process) Ending() bool { return p.ending.Load() }

// Exited is closed when the process has exited.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stop ends the process with SIGTERM. It returns an error unless the process exits with 0, in time.
func (p *Process) Stop() error {
	p.ending.Store(true)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
	case <-time.After(shutdownTimeout):
		_ = p.Close()
		return fmt.Errorf("the process did not end within %s of SIGTERM", shutdownTimeout)
	}
	if p.exitErr != nil {
		return fmt.Errorf("the process ended with: %w", p.exitErr)
	}
	return nil
}

// Kill ends the process with SIGKILL, as a crash would. It returns an error when the process had
// ended before.
func (p *Process) Kill() error {
	_ = p.Close()
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("the process ended by itself: %v", p.cmd.ProcessState)
	}
	return nil
}

// Close kills the process if it still runs.
func (p *Process) Close() error {
	p.ending.Store(true)
	_ = p.cmd.Process.Kill() // fails if the process has ended
	<-p.exited
	return nil
}

// Memory is a line of Linux's /proc/PID/status in megabytes (10^6 bytes): VmRSS is the resident memory
// now, VmHWM the most that there has been.
func Memory(pid int, name string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == name+":" {
			kibibytes, err := strconv.ParseFloat(string(fields[1]), 64)
			return kibibytes * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, name)
}
