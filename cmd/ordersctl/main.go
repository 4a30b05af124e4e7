// Command ordersctl is the operator's tool for the order service on AWS. It moves
// messages out of the dead-letter queue, recounts the orders and sends the messages
// of overdue ones again, prices a million orders, and stands in for the pollers
// of Lambda where there are none: on a laptop. See `ordersctl --help`.
//
// It finds AWS as the AWS CLI does: profile, region, credentials and endpoints come
// from the usual files and variables.
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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"orders/tools/eventsource"
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

// account says which AWS account and region to work on. What is not given comes
// from where the AWS CLI would take it.
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

// rule returns the text as an error unless it holds.
func rule(holds bool, format string, args ...any) error {
	if holds {
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

// processing is the setting that functions and tool must agree on. It is a text
// because kong reads variables also for the commands that do not have them.
type processing struct {
	ProcessingTime string `env:"PROCESSING_TIME" default:"50s" placeholder:"TIME" help:"How long an order stays in Processing, 1ms to 15m; 50s unless given."`
}

// Bounds of the processing time; the upper one is what a queue can delay.
const (
	minProcessingTime = time.Millisecond
	maxProcessingTime = 15 * time.Minute
)

// valid names the flag if it makes no sense.
func (p *processing) valid() error {
	d, err := time.ParseDuration(p.ProcessingTime)
	return rule(err == nil && minProcessingTime <= d && d <= maxProcessingTime,
		"--processing-time (PROCESSING_TIME) must be from 1ms to 15m, such as 50s, not %q", p.ProcessingTime)
}

func (p *processing) duration() time.Duration {
	d, err := time.ParseDuration(p.ProcessingTime)
	if err != nil {
		panic(err) // valid has let it pass
	}
	return d
}

// errFindings: the command did what it was asked to, and found what should not be.
var errFindings = errors.New("the orders do not fit together, see the findings")

// What template.yaml sets, and cost goes by, with the batch sizes that bridge has. A
// test compares.
const (
	// memory of a function in MB.
	memory = 512

	// logBytes is how long a line of the access log is, about.
	logBytes = 250
)

// defaults are flags' defaults that come from the template.
var defaults = kong.Vars{
	"relayBatch": strconv.Itoa(eventsource.RelayBatch), "tallyBatch": strconv.Itoa(eventsource.TallyBatch),
	"queueBatch": strconv.Itoa(eventsource.ProcessorBatch), "memory": strconv.Itoa(memory),
	"logBytes": strconv.Itoa(logBytes),
}
