package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// processingTime is how long an order of the trial stays in Processing: so
// short that an order's life goes over several rounds, and not too many.
const processingTime = 300 * time.Millisecond

// startLimit bounds the start of the service: far more than it needs to read what
// its predecessor has left.
const startLimit = 30 * time.Second

// A home is where the service and its database are.
type home struct {
	folder string
	db     string
	log    *os.File // what the service has to say
}

func newHome() (*home, error) {
	folder, err := os.MkdirTemp("", "orders-crash-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(folder, "orders.log"))
	return &home{folder, filepath.Join(folder, "orders.db"), log}, err
}

func (h *home) binary() string { return filepath.Join(h.folder, "orders") }

func (h *home) build(ctx context.Context) error {
	output, err := exec.CommandContext(ctx, "go", "build", "-o", h.binary(), "orders/cmd/orders").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the service: %w\n%s", err, output)
	}
	return nil
}

// command is `orders serve` on the one database file and any free port.
func (h *home) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, h.binary(), "serve", "--addr", "127.0.0.1:0", "--db", h.db,
		"--processing-time", processingTime.String())
	cmd.Stderr = h.log
	return cmd
}

// A service is one process of the service.
type service struct {
	cmd    *exec.Cmd
	url    string
	killed atomic.Bool   // set before it is
	exited chan struct{} // closed when it has ended
	result error         // of Wait, once it has
}

func newService(cmd *exec.Cmd, url string) *service {
	s := &service{cmd: cmd, url: url, exited: make(chan struct{})}
	go func() {
		s.result = cmd.Wait()
		close(s.exited)
	}()
	return s
}

// start returns when the service listens.
func (h *home) start(ctx context.Context) (*service, error) {
	cmd := h.command(ctx)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	tooLate := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	defer tooLate.Stop()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, rest, _ := strings.Cut(line, "listens on ")
	url, _, ok := strings.Cut(rest, " ")
	if err != nil || !ok {
		_ = cmd.Process.Kill()
		return nil, broken(recovers, "the service says %q and not its address, and ends with: %v", line, cmd.Wait())
	}
	return newService(cmd, url), nil
}

// startAndKill kills the service so long after its start, whatever it is doing.
func (h *home) startAndKill(ctx context.Context, after time.Duration) error {
	cmd := h.command(ctx)
	if err := cmd.Start(); err != nil {
		return err
	}
	time.Sleep(after)
	return newService(cmd, "").kill()
}

// kill ends the service with SIGKILL. It is a violation when the service has
// ended before.
func (s *service) kill() error {
	s.killed.Store(true)
	_ = s.cmd.Process.Kill() // which fails when it has ended
	<-s.exited
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		return broken(recovers, "the service ended by itself: %v", s.cmd.ProcessState)
	}
	return nil
}

// terminate ends the service with SIGTERM.
func (s *service) terminate() error {
	s.killed.Store(true)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-s.exited
	if s.result != nil {
		return broken(recovers, "after SIGTERM the service ended with: %v", s.result)
	}
	return nil
}

// check has the service's own command read the whole file, which a dead or
// stopped service has left.
func (h *home) check(ctx context.Context) error {
	output, err := exec.CommandContext(ctx, h.binary(), "check", "--db", h.db).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return broken(consistent, "orders check: %v\n%s", exit, output)
	}
	return err
}
