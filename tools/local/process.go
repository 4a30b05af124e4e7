package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a process may take to end once it has been asked to.
const patience = 30 * time.Second

// children are the processes that a home is made of. Each is the leader of a
// process group of its own, so that Ctrl-C reaches this program alone, which then
// ends them in the right order; and each has a log in folder.
type children struct {
	name   string // of the home
	folder string
	env    []string
	died   context.CancelCauseFunc // is told why one that serves has ended

	mu      sync.Mutex
	running []*child
}

// A child is one process.
type child struct {
	name   string
	log    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
	err    error         // of its end, once it has
}

// start starts a process that writes to a log, or to standard output if it is to be
// shown. No context ends it: it is stopped in its turn.
func (c *children) start(name string, shown bool, command ...string) (*child, error) {
	output := os.Stdout
	if !shown {
		log, err := os.Create(filepath.Join(c.folder, name+".log"))
		if err != nil {
			return nil, err
		}
		defer func() { _ = log.Close() }() // the child has its own
		output = log
	}
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &child{name: name, log: output.Name(), cmd: cmd, exited: make(chan struct{})}
	c.mu.Lock()
	c.running = append(c.running, p)
	c.mu.Unlock()
	go func() {
		p.err = cmd.Wait()
		c.mu.Lock()
		c.running = slices.DeleteFunc(c.running, func(other *child) bool { return other == p })
		c.mu.Unlock()
		close(p.exited)
	}()
	return p, nil
}

// serve starts a process that is to run as long as the home.
func (c *children) serve(name string, command ...string) error {
	p, err := c.start(name, false, command...)
	if err != nil {
		return err
	}
	go func() {
		<-p.exited
		c.died(p.failure(fmt.Errorf("ended by itself, %s", p.cmd.ProcessState)))
	}()
	return nil
}

// run runs a process to its end, or stops it when ctx ends.
func (c *children) run(ctx context.Context, name string, command ...string) error {
	p, err := c.start(name, false, command...)
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return p.failure(err)
	}
	return nil
}

// show runs a process to its end, as run does, with its output where this program's
// own goes.
func (c *children) show(ctx context.Context, name string, command ...string) error {
	p, err := c.start(name, true, command...)
	if err != nil {
		return err
	}
	return p.wait(ctx)
}

// wait waits for the process to end, and stops it when ctx ends before.
func (p *child) wait(ctx context.Context) error {
	select {
	case <-p.exited:
		return p.err
	case <-ctx.Done():
		p.stop()
		return context.Cause(ctx)
	}
}

// answer runs a process to its end and returns what it writes to standard output.
func (c *children) answer(ctx context.Context, command ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = patience
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", strings.Join(command, " "), err, output, &stderr)
	}
	return output, nil
}

// stop stops all processes.
func (c *children) stop() {
	c.mu.Lock()
	running := slices.Clone(c.running)
	c.mu.Unlock()
	var all sync.WaitGroup
	for _, p := range running {
		all.Go(p.stop)
	}
	all.Wait()
}

// kill ends all processes, and what they have started, at once.
func (c *children) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.running {
		p.signal(syscall.SIGKILL)
	}
}

// stop asks the process to end, waits until it has, and kills it if it does not.
func (p *child) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.signal(syscall.SIGKILL)
		<-p.exited
	}
}

// signal sends a signal to the process and all that it has started. It does nothing
// when they have ended.
func (p *child) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

// failure is err with the last lines that the process has logged.
func (p *child) failure(err error) error {
	const lines = 30
	log, _ := os.ReadFile(p.log) // what cannot be read is not shown
	last := strings.Split(strings.TrimSpace(string(log)), "\n")
	last = last[max(0, len(last)-lines):]
	return fmt.Errorf("%s: %w; the end of %s:\n\t%s", p.name, err, p.log, strings.Join(last, "\n\t"))
}
