// Command ordersctl is the operator's tool for the order service on AWS. It moves
// messages out of the dead-letter queue, recounts the orders and sends the messages
// of overdue ones again, prices a million orders, and stands in for the pollers
// of Lambda where there are none: on a laptop. See `ordersctl --help`.
//
// It finds AWS as the AWS CLI does: profile, region, credentials and endpoints come
// from the usual files and variables.
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
	exitFailed = 1 // it could not do what was asked, or found what should not be
	exitUsage  = 2 // what was asked makes no sense
)

const description = `The operator's tool for the order service on AWS.

Profile, region, credentials and endpoints are found as the AWS CLI finds them (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and so on). A flag goes before its variable. Results go to standard output, all else to standard error.

Exit status: 0 all is well, 1 it failed or has findings, 2 wrong usage.`

// commands is the command line, as kong reads it.
type commands struct {
	Bridge    bridgeCommand    `cmd:"" help:"Poll the table's stream and the queue and invoke the functions, as Lambda does on AWS, until Ctrl-C."`
	Redrive   redriveCommand   `cmd:"" help:"Move messages from the dead-letter queue back to the queue."`
	Reconcile reconcileCommand `cmd:"" help:"Read all orders, find overdue ones, and compare the metrics with a recount."`
	Cost      costCommand      `cmd:"" help:"Price a million orders."`
	Version   kong.VersionFlag `help:"Print the version."`
}

func main() {
	signalled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, end := context.WithCancel(context.Background())
	// Whoever sees ctx end may rely on it that a second signal ends the process at once.
	context.AfterFunc(signalled, func() { stop(); end() })
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// exitCode reports an error to the person who typed the command, a line for
// each thing that is wrong.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(stderr, "ordersctl:", strings.TrimSpace(line))
	}
	if _, ok := errors.AsType[*kong.ParseError](err); ok {
		fmt.Fprintln(stderr, "Try: ordersctl --help")
		return exitUsage
	}
	return exitFailed
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var line commands
	informed := false // --help and --version have been answered
	parser, err := kong.New(&line,
		kong.Name("ordersctl"), kong.Description(description),
		kong.Vars{"version": fmt.Sprintf("ordersctl %s (%s)", version, runtime.Version())},
		defaults, kong.Writers(stdout, stderr), kong.Exit(func(int) { informed = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: helpWidth}),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if informed {
		return nil
	}
	if err != nil {
		return err
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(&console{stdout: stdout, stderr: stderr})
}
