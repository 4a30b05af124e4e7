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
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the linker, see the Makefile.
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command failed, or check has findings
	exitUsage  = 2 // the command line or the environment is wrong
)

const description = `The order service in one process. It takes orders over HTTP and processes them in the background, from Pending to Processing to Completed. It keeps all data in one SQLite file.

To try it, run "orders serve" and then

    curl -d '{"user_id":645,"item_ids":[1,2],"total_amount":1650.78}' \
      -H 'Content-Type: application/json' http://127.0.0.1:8000/api/orders/create/
    curl http://127.0.0.1:8000/api/metrics/

or open http://127.0.0.1:8000/docs/ in a browser.

A flag goes before its variable. Exit status: 0 all is well, 1 it failed or check has findings, 2 wrong usage.`

// helpWidth is the width of help on a wide terminal.
const helpWidth = 110

type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the service until SIGTERM or Ctrl-C."`
	Backup  backupCommand  `cmd:"" help:"Copy the database to a file, while the service runs or not."`
	Restore restoreCommand `cmd:"" help:"Replace the database with a backup, while the service is stopped."`
	Check   checkCommand   `cmd:"" help:"Read the whole database, while the service is stopped, and report whether all in it fits together."`
	transitionCommands
	Version versionCommand `cmd:"" help:"Print the version."`
}

// versionCommand is no flag of all commands, because --version of a transition is the order's.
type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(out console) error {
	_, err := fmt.Fprintf(out.stdout, "orders %s (%s)\n", version, runtime.Version())
	return err
}

// A console is where a command writes to: results to stdout, the log to stderr.
type console struct{ stdout, stderr io.Writer }

func main() {
	signaled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, end := context.WithCancel(context.Background())
	// By the time ctx ends, a second signal ends the process at once.
	context.AfterFunc(signaled, func() { stop(); end() })
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr), os.Stderr))
}

// exitCode reports an error to the user, one line for each problem.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(stderr, "orders:", strings.TrimSpace(line))
	}
	if _, ok := errors.AsType[*kong.ParseError](err); ok {
		fmt.Fprintln(stderr, "Try: orders --help")
		return exitUsage
	}
	return exitFailed
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "help" {
		args = []string{"--help"}
	}
	if len(args) > 0 && args[0] == "--version" {
		args = []string{"version"}
	}
	informed := false // --help was printed
	command, err := parse(&commands{}, args, getenv,
		kong.Writers(stdout, stderr), kong.Exit(func(int) { informed = true }))
	if informed {
		return nil
	}
	if err != nil {
		return err
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(console{stdout, stderr})
}

// parse parses the command line into line. A flag that is missing there gets the value of its
// variable. An empty variable counts as unset, which kong's own env tag does not do.
func parse(line *commands, args []string, getenv func(string) string, options ...kong.Option) (*kong.Context, error) {
	parser, err := kong.New(line, append(options,
		kong.Name("orders"), kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: helpWidth}), kong.ValueFormatter(formatHelp),
		kong.Resolvers(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
			if value := getenv(flag.Tag.Get("variable")); value != "" {
				return value, nil
			}
			return nil, nil
		})),
	)...)
	if err != nil {
		return nil, err
	}
	return parser.Parse(args)
}

func formatHelp(flag *kong.Value) string {
	switch variable := flag.Tag.Get("variable"); {
	case variable == "":
		return flag.Help
	case flag.HasDefault:
		return fmt.Sprintf("%s ($%s, default %s).", flag.Help, variable, flag.Default)
	default:
		return fmt.Sprintf("%s ($%s).", flag.Help, variable)
	}
}
