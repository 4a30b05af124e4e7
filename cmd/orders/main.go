// Command orders is the order service in one process: HTTP interface, background
// processing and a database file. See `orders --help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// version is set by the linker, see the Makefile.
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // it could not do, or go on doing, what was asked
	exitUsage  = 2 // what was asked makes no sense
)

const usage = `orders takes orders over HTTP and works them through Pending, Processing and
Completed in the background. All it keeps is in one SQLite file.

Usage:
  orders serve [flags]    run the service until SIGTERM or Ctrl-C
  orders check [flags]    read the whole database file, with the service stopped,
                          and report whether all in it fits together
  orders --version        print the version
  orders --help           print this

Flags, each with the environment variable that sets its default:
  --addr ADDRESS          ORDERS_ADDR      host:port to listen on (127.0.0.1:8000)
  --db FILE               ORDERS_DB        database file, made if missing (orders.db)
  --processing-time TIME  PROCESSING_TIME  how long an order stays in Processing,
                                           1ms to 15m (50s)
  --log-level LEVEL       LOG_LEVEL        debug, info, warn or error (info);
                                           debug has a line for every request
  --log-format FORMAT     LOG_FORMAT       text or json (text on a terminal)

Exit status: 0 all is well, 1 it failed, 2 wrong usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr), os.Stderr))
}

// exitCode reports an error to the person who typed the command.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "orders:", err)
	if _, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintln(stderr, "Try: orders --help")
		return exitUsage
	}
	return exitFailed
}

// A usageError is a command line or an environment that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return &usageError{errors.New("which command?")}
	}
	commands := map[string]func(context.Context, config, io.Writer, io.Writer) error{
		"serve": serve,
		"check": check,
	}
	command, ok := commands[args[0]]
	switch {
	case ok:
		cfg, err := parseConfig(args[1:], getenv)
		if errors.Is(err, errHelp) {
			break
		}
		if err != nil {
			return &usageError{err}
		}
		return command(ctx, cfg, stdout, stderr)
	case args[0] == "--version" || args[0] == "version":
		_, err := fmt.Fprintf(stdout, "orders %s (%s)\n", version, runtime.Version())
		return err
	case args[0] != "--help" && args[0] != "-h" && args[0] != "help":
		return &usageError{fmt.Errorf("there is no command %q", args[0])}
	}
	_, err := io.WriteString(stdout, usage)
	return err
}
