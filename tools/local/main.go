// Command local runs the AWS deployment of the order service on one machine, without an AWS account:
//
//	local up           runs the functions in SAM CLI, and table and queues in LocalStack, until Ctrl-C
//	local test         does the same on free ports and with a short processing time, and runs the
//	                   acceptance test and the sample events
//	local deploy-test  deploys template.yaml to ministack, an emulator that enforces the functions'
//	                   roles, and runs the acceptance test; ministack.go says what it cannot emulate
//
// Table and queues come from template.yaml. Everything that the command starts is stopped when it
// ends, and when a part ends by itself, the command says why. A second Ctrl-C kills. The processes do
// not see the AWS credentials and settings of the user.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// A session is one run of the command: its flags, and the processes that it starts.
type session struct {
	*processes
	name           string // of the Compose project and the Docker network
	sam            string // command
	processingTime time.Duration
	// Ports on 127.0.0.1.
	apiPort, lambdaPort, localstackPort int
}

var modes = map[string]func(context.Context, *session) error{
	"up":          up,
	"test":        test,
	"deploy-test": deployTest,
}

func main() {
	err := run(os.Args[1:])
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprint(os.Stderr, "local: ", line)
	}
	fmt.Fprintln(os.Stderr)
	os.Exit(1)
}

func run(args []string) error {
	name := strings.Join(args[:min(1, len(args))], "")
	mode, ok := modes[name]
	if !ok {
		return errors.New("usage: local up|test|deploy-test [flags]")
	}
	s, err := newSession(name, args[1:])
	if err != nil {
		return err
	}
	folder, err := filepath.Abs(filepath.Join(".aws-sam", "local-"+name))
	if err != nil {
		return err
	}
	s.name = "orders-" + name
	if name == "up" {
		s.name = "orders-local" // as in samconfig.toml
	}
	unlock, err := prepareFolder(folder, s.name)
	if err != nil {
		return err
	}
	defer unlock()
	s.processes = newProcesses(folder, environment())
	if err := mode(untilInterrupted(s.kill), s); err != nil {
		return fmt.Errorf("%w\nLogs are in %s", err, folder)
	}
	return nil
}

// newSession reads the flags. The tests take free ports, and the shortest processing time that can be
// told from none.
func newSession(name string, args []string) (s *session, err error) {
	s = &session{}
	flags := flag.NewFlagSet("local "+name, flag.ExitOnError)
	flags.StringVar(&s.sam, "sam", ".tools/sam/bin/sam", "the SAM CLI")
	flags.DurationVar(&s.processingTime, "processing-time", 50*time.Second, "how long an order stays in Processing")
	flags.IntVar(&s.apiPort, "api-port", 3000, "port of the API")
	flags.IntVar(&s.lambdaPort, "lambda-port", 3001, "port on which functions are invoked")
	flags.IntVar(&s.localstackPort, "localstack-port", 4566, "port of LocalStack")
	_ = flags.Parse(args) // exits if there is an error
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if name == "up" {
		return s, nil
	}
	s.processingTime = 2 * time.Second
	for _, port := range []*int{&s.apiPort, &s.lambdaPort, &s.localstackPort} {
		if *port, err = freePort(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// prepareFolder empties the folder for builds and logs, and locks it and the name. The folder is in
// the working tree, because a Docker engine in a virtual machine often sees no other.
func prepareFolder(folder, name string) (unlock func(), err error) {
	lock := flock.New(filepath.Join(os.TempDir(), name+".lock"))
	switch locked, err := lock.TryLock(); {
	case err != nil:
		return nil, err
	case !locked:
		return nil, fmt.Errorf("%s already runs on this machine", name)
	}
	return func() { _ = lock.Unlock() }, errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755))
}

// untilInterrupted returns a context that ends with the first SIGINT, SIGTERM or SIGHUP. The second
// signal calls kill and exits. A signal to a process group may arrive twice, so signals in the first
// second count as one.
func untilInterrupted(kill func()) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		first := time.Now()
		fmt.Println("Stopping; Ctrl-C again kills.")
		cancel()
		for range signals {
			if time.Since(first) > time.Second {
				kill()
				fmt.Fprintln(os.Stderr, "local: killed; containers may be left, and are removed at the next start")
				os.Exit(1)
			}
		}
	}()
	return ctx
}
