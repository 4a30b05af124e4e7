// Command orders is the order service in one process: HTTP interface, background
// processing and a database file. See `orders --help`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
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
  orders serve [flags]      run the service until SIGTERM or Ctrl-C, then answer
                            the requests under way, for 7 s at most; a second
                            signal ends it at once
  orders backup DEST [--db FILE]
                            copy the database, while the service runs or not, to
                            the file DEST, which may exist, once the copy is checked
  orders restore SRC [--db FILE]
                            put a copy of the backup SRC in the place of the
                            database, with the service stopped
  orders check [--db FILE] [--repair]
                            read the whole database file, with the service stopped,
                            and report whether all in it fits together; --repair
                            backs it up and mends what the orders tell by themselves
  orders --version          print the version
  orders --help             print this

Flags with a value, each with the environment variable that sets its default:
  --addr ADDRESS          ORDERS_ADDR      host:port to listen on (127.0.0.1:8000);
                                           port 0 takes any free one
  --trusted-host NAME     ORDERS_TRUSTED_HOSTS  name, besides localhost, that a reverse
                                           proxy keeps in the Host header; may be given
                                           more than once, or as a list with commas
  --db FILE               ORDERS_DB        database file, made if missing (orders.db)
  --processing-time TIME  PROCESSING_TIME  how long an order stays in Processing,
                                           1ms to 15m (50s)
  --log-level LEVEL       LOG_LEVEL        debug, info, warn or error (info);
                                           debug has a line for every request
  --log-format FORMAT     LOG_FORMAT       text or json (text on a terminal, else json)

The address is printed once the service listens; the log goes to standard error.
To try it, start it, and then:
  curl -d '{"user_id":645,"item_ids":[1,2],"total_amount":1650.78}' \
    -H 'Content-Type: application/json' http://127.0.0.1:8000/api/orders/create/
  curl http://127.0.0.1:8000/api/metrics/
or open http://127.0.0.1:8000/docs/ in a browser.

Exit status: 0 all is well, 1 it failed or check has findings, 2 wrong usage.
`

func main() {
	signalled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, end := context.WithCancel(context.Background())
	// Whoever sees ctx end may rely on it that a second signal ends the process at once.
	context.AfterFunc(signalled, func() { stop(); end() })
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr), os.Stderr))
}

// exitCode reports an error to the person who typed the command, a line for
// each thing that is wrong.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(stderr, "orders:", strings.TrimSpace(line))
	}
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

// A command is what the first argument names.
type command struct {
	settings []setting
	switches map[string]func(*config) *bool // flags without a value, and where they go
	argument string                         // what it takes besides, "" for nothing
	run      func(ctx context.Context, cfg config, stdout, stderr io.Writer) error
}

var commands = map[string]command{
	"serve": {
		settings: []setting{addrSetting, trustedHostSetting, dbSetting, processingTimeSetting, logLevelSetting, logFormatSetting},
		run:      serve,
	},
	"backup":  {settings: []setting{dbSetting}, argument: "DEST", run: backup},
	"restore": {settings: []setting{dbSetting}, argument: "SRC", run: restore},
	"check": {
		settings: []setting{dbSetting}, run: check,
		switches: map[string]func(*config) *bool{"repair": func(c *config) *bool { return &c.repair }},
	},
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return &usageError{errors.New("the command is missing: serve, backup, restore or check")}
	}
	switch args[0] {
	case "--version", "version":
		_, err := fmt.Fprintf(stdout, "orders %s (%s)\n", version, runtime.Version())
		return err
	case "--help", "-h", "help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	command, ok := commands[args[0]]
	if !ok {
		return &usageError{fmt.Errorf("there is no command %q", args[0])}
	}
	cfg, err := parseConfig(command, args[1:], getenv)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err := io.WriteString(stdout, usage)
		return err
	case err != nil:
		return &usageError{err}
	}
	return command.run(ctx, cfg, stdout, stderr)
}
