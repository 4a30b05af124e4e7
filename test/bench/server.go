package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// A server is a child process that is being measured.
type server struct {
	addr    string
	service bool // not the echo
	// startedIn is the time from its exec to its first good answer.
	startedIn time.Duration
	pprofAddr string

	cmd    *exec.Cmd
	stderr bytes.Buffer  // to be read when it has exited
	exited chan struct{} // closed when it has
}

const (
	startTimeout = time.Minute
	stopTimeout  = time.Minute
	pollInterval = 500 * time.Microsecond
)

// start runs a program and returns when it answers the probe as it should. The
// program is told its address, which is free, by the flag -addr. What env sets, it
// has besides the environment of this process.
func start(ctx context.Context, env []string, probe []byte, good func(answer) error, program string, args ...string) (*server, error) {
	s := &server{exited: make(chan struct{})}
	var err error
	if s.addr, err = freeAddr(ctx); err != nil {
		return nil, err
	}
	if s.pprofAddr, err = freeAddr(ctx); err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, program, append(args, "-addr", s.addr)...)
	s.cmd.Env = slices.Concat(os.Environ(), env, []string{"BENCH_PPROF_ADDR=" + s.pprofAddr})
	s.cmd.Stderr = &s.stderr
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // whoever waits for exited knows whether it was to exit
		close(s.exited)
	}()
	if err := s.awaitAnswer(ctx, probe, good); err != nil {
		s.kill()
		return nil, fmt.Errorf("start %s: %w\n%s", program, err, s.stderr.Bytes())
	}
	s.startedIn = time.Since(began)
	return s, nil
}

// awaitAnswer asks again and again, as often as leaves the starting program the
// processors.
func (s *server) awaitAnswer(ctx context.Context, probe []byte, good func(answer) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := s.ask(ctx, probe, good)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("exited at once")
		case <-ctx.Done():
			return fmt.Errorf("no good answer: %w", err)
		case <-time.After(pollInterval):
		}
	}
}

func (s *server) ask(ctx context.Context, request []byte, good func(answer) error) error {
	c, err := dial(ctx, s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	a, err := c.do(request)
	if err != nil {
		return err
	}
	return good(a)
}

// freeAddr returns an address that nobody listens on.
func freeAddr(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// stop asks the server to end and waits until it has.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTimeout):
		s.kill()
		return fmt.Errorf("the server did not stop within %s", stopTimeout)
	}
}

// kill ends the server as a crash would (SIGKILL), if it has not ended yet.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // fails only when it has ended
	<-s.exited
}
