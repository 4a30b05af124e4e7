package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// shutdownTimeout is the time that a process has between SIGTERM and SIGKILL.
const shutdownTimeout = 30 * time.Second

// processes are the child processes of a command. Each leads a process group of its own: Ctrl-C in a
// terminal reaches only this program, which stops them in order.
type processes struct {
	folder string // of the log files
	env    []string

	// serving ends when a served process ends, with the reason as its cause, and when all must stop.
	serving     context.Context
	stopServing context.CancelCauseFunc
	served      sync.WaitGroup
	groups      sync.Map // ids of the running process groups
}

func newProcesses(folder string, env []string) *processes {
	p := &processes{folder: folder, env: env}
	p.serving, p.stopServing = context.WithCancelCause(context.Background())
	return p
}

// start starts a process, and returns a function that waits for its end. When ctx ends, the process
// group gets SIGTERM. What the process leaves in its group is killed.
func (p *processes) start(ctx context.Context, command []string, stdout, stderr io.Writer) (wait func() error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = shutdownTimeout
	if err := cmd.Start(); err != nil {
		return func() error { return err }
	}
	group := cmd.Process.Pid
	p.groups.Store(group, nil)
	return func() error {
		err := cmd.Wait()
		_ = syscall.Kill(-group, syscall.SIGKILL)
		p.groups.Delete(group)
		return err
	}
}

// startLogged starts a process that writes to NAME.log. The error of wait has the end of the log.
func (p *processes) startLogged(ctx context.Context, name string, command []string) (wait func() error) {
	log, err := os.Create(filepath.Join(p.folder, name+".log"))
	if err != nil {
		return func() error { return err }
	}
	end := p.start(ctx, command, log, log)
	return func() error {
		err := end()
		_ = log.Close()
		if err != nil {
			const lines = 30
			text, _ := os.ReadFile(log.Name()) // an unreadable log is not shown
			last := strings.Split(strings.TrimSpace(string(text)), "\n")
			last = last[max(0, len(last)-lines):]
			return fmt.Errorf("%s: %w; the end of %s:\n\t%s", name, err, log.Name(), strings.Join(last, "\n\t"))
		}
		return nil
	}
}

// serve starts a process that runs until stop. If it ends before, all others stop, too.
func (p *processes) serve(name string, command ...string) {
	wait := p.startLogged(p.serving, name, command)
	p.served.Go(func() {
		p.stopServing(cmp.Or(wait(), fmt.Errorf("%s ended by itself", name)))
	})
}

// run runs a process to its end.
func (p *processes) run(ctx context.Context, name string, command ...string) error {
	return p.startLogged(ctx, name, command)()
}

// output runs a process to its end and returns its standard output.
func (p *processes) output(ctx context.Context, command ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	if err := p.start(ctx, command, &stdout, &stderr)(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", strings.Join(command, " "), err, &stdout, &stderr)
	}
	return stdout.Bytes(), nil
}

// stop stops the served processes and waits for their end.
func (p *processes) stop() {
	p.stopServing(nil)
	p.served.Wait()
}

// kill ends all processes at once, with everything that they have started.
func (p *processes) kill() {
	p.groups.Range(func(group, _ any) bool {
		_ = syscall.Kill(-group.(int), syscall.SIGKILL)
		return true
	})
}
