// Command local runs the AWS home of the order service on one machine, without an
// account on AWS:
//
//	local up           until Ctrl-C: functions in SAM CLI, table and queues in LocalStack
//	local test         the same on free ports and with a short life of orders, for the
//	                   acceptance test and the sample events
//	local deploy-test  deploys template.yaml to ministack, an emulator that enforces
//	                   the functions' roles, for the acceptance test; what it cannot
//	                   carry is told in deploy.go
//	local eventsource  until Ctrl-C: polls a stream and a queue and invokes functions that
//	                   something else has started, as Lambda does on AWS
//
// Table and queues are those of template.yaml; nothing about them is said twice. What
// is started is stopped, whatever happens, and the reason is told when something ends
// by itself. A second Ctrl-C kills. No child sees the AWS credentials or settings of
// whoever starts this.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// settings are what the flags say.
type settings struct {
	sam            string // command
	python         string // command
	processingTime time.Duration
	// Ports of the home on 127.0.0.1.
	apiPort, lambdaPort, localstackPort int
}

// A mode is what the first argument names.
type mode struct {
	run func(context.Context, *children, settings) error
	// adjust changes the settings that this mode has its own mind about.
	adjust func(*settings) error
}

var modes = map[string]mode{
	"up":          {run: up},
	"test":        {run: test, adjust: forTest},
	"deploy-test": {run: deployTest, adjust: forTest},
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
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	if name == "eventsource" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return runEventSource(ctx, args[1:], os.Stderr)
	}
	m, ok := modes[name]
	if !ok {
		return errors.New("say what to do: up, test, deploy-test or eventsource")
	}
	s, err := parseSettings(name, args[1:])
	if err != nil {
		return err
	}
	if m.adjust != nil {
		if err := m.adjust(&s); err != nil {
			return err
		}
	}
	c, unlock, err := own(name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := m.run(untilInterrupted(c.kill), c, s); err != nil {
		return fmt.Errorf("%w\nLogs are in %s", err, c.folder)
	}
	return nil
}

func parseSettings(name string, args []string) (s settings, err error) {
	flags := flag.NewFlagSet("local "+name, flag.ExitOnError)
	flags.StringVar(&s.sam, "sam", pinnedSAM, "the SAM CLI")
	flags.StringVar(&s.python, "python", "python3", "what the SAM CLI is installed with, unless it is there")
	flags.DurationVar(&s.processingTime, "processing-time", 50*time.Second, "how long an order stays in Processing")
	flags.IntVar(&s.apiPort, "api-port", 3000, "port of the API")
	flags.IntVar(&s.lambdaPort, "lambda-port", 3001, "port on which functions are invoked")
	flags.IntVar(&s.localstackPort, "localstack-port", 4566, "port of LocalStack")
	err = flags.Parse(args)
	if flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s, err
}

// forTest takes free ports, and the shortest processing time that can be told from none.
func forTest(s *settings) (err error) {
	s.processingTime = 2 * time.Second
	for _, port := range []*int{&s.apiPort, &s.lambdaPort, &s.localstackPort} {
		if *port, err = freePort(); err != nil {
			return err
		}
	}
	return nil
}

// own makes an empty folder for what is built and logged, and sees that no other
// process uses it, or the containers of that name. It lies in the working tree, because
// a Docker engine in a virtual machine often sees no other.
func own(mode string) (c *children, unlock func(), err error) {
	folder, err := filepath.Abs(filepath.Join(".aws-sam", "local-"+mode))
	if err != nil {
		return nil, nil, err
	}
	c = &children{name: homeName(mode, folder), folder: folder, env: environment()}
	lock := flock.New(filepath.Join(os.TempDir(), c.name+".lock"))
	switch mine, err := lock.TryLock(); {
	case err != nil:
		return nil, nil, err
	case !mine:
		return nil, nil, fmt.Errorf("another home of the name %s is up on this machine", c.name)
	}
	return c, func() { _ = lock.Unlock() }, errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755))
}

// homeName is one a machine for the home that a person uses, whom samconfig.toml tells
// it; and one a working tree for tests.
func homeName(mode, folder string) string {
	if mode == "up" {
		return "orders-local"
	}
	return fmt.Sprintf("orders-%s-%08x", mode, crc32.ChecksumIEEE([]byte(folder)))
}

// untilInterrupted returns a context that ends with the first SIGINT, SIGTERM or
// SIGHUP. The second one kills the children and this process. A signal that is sent
// to a whole process group may come twice, so what follows within a second is the first.
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
