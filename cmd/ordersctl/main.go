// Command ordersctl is the operator's tool for the order service on AWS. It moves messages out of
// the dead-letter queue, recounts the orders and sends the messages of overdue orders again, lets the
// tally pass a record that it cannot read, prices a million orders, and cancels, completes, fails and
// retries single orders through the API. See `ordersctl --help`.
//
// It finds AWS as the AWS CLI does: profile, region, credentials and endpoints come from the usual
// files and variables.
package main

import (
	"cmp"
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
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// version can be set by the linker: go build -ldflags '-X main.version=v1.2.3'.
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command failed, or has findings
	exitUsage  = 2 // the command line is invalid
)

const description = `The operator's tool for the order service on AWS.

Profile, region, credentials and endpoints are found as the AWS CLI finds them (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and so on). A flag goes before its variable. Results go to standard output, all else to standard error.

Exit status: 0 all is well, 1 it failed or has findings, 2 wrong usage.`

// commands is the command line, as kong reads it.
type commands struct {
	Redrive   redriveCommand   `cmd:"" help:"Move messages from the dead-letter queue back to the queue."`
	Reconcile reconcileCommand `cmd:"" help:"Read all orders, find overdue ones, and compare the metrics with a recount."`
	Skip      skipCommand      `cmd:"" help:"Let the tally pass a record of the stream that it cannot read."`
	Cost      costCommand      `cmd:"" help:"Price a million orders."`
	transitionCommands
	Version versionCommand `cmd:"" help:"Print the version."`
}

// versionCommand is no flag of all commands, because --version of a transition is the order's.
type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(out *console) error {
	_, err := fmt.Fprintf(out.stdout, "ordersctl %s (%s)\n", version, runtime.Version())
	return err
}

func main() {
	signalled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	// Stop catching signals before ctx ends, so that a second signal ends the process at once.
	context.AfterFunc(signalled, func() { stop(); cancel() })
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// exitCode writes an error to stderr, a line for each problem that it joins.
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
	if len(args) > 0 && args[0] == "--version" {
		args = []string{"version"}
	}
	var line commands
	informed := false // --help has written all there is to say
	parser, err := kong.New(&line,
		kong.Name("ordersctl"), kong.Description(description),
		kong.Writers(stdout, stderr), kong.Exit(func(int) { informed = true }),
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

// account is the AWS account and region to work on. A flag that is not given comes from where the
// AWS CLI would take it.
type account struct {
	Profile string `placeholder:"NAME" help:"Profile of the AWS configuration ($$AWS_PROFILE)."`
	Region  string `placeholder:"NAME" help:"AWS region ($$AWS_REGION)."`
}

func (a account) config(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithSharedConfigProfile(a.Profile), config.WithRegion(a.Region))
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("no AWS region is known: give --region or set AWS_REGION")
	}
	return cfg, nil
}

// rule returns the text as an error unless ok.
func rule(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// between is the rule that a flag's value lies between two others, inclusive.
func between[T cmp.Ordered](flag string, value, least, most T) error {
	return rule(least <= value && value <= most, "%s must be from %v to %v, not %v", flag, least, most, value)
}

// given is the rule that a setting has a value, by its flag or its variable.
func given(flag, variable, value string) error {
	return rule(value != "", "%s (%s) is missing", flag, variable)
}
