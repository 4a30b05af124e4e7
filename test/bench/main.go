// Command bench measures the service against its goals and writes test/bench/results.md. Run it from
// the root of the module:
//
//	go run ./test/bench          everything, in full: about 35 minutes
//	go run ./test/bench -short   the same in small, for continuous integration
//
// The load comes from this process, which starts the servers, built with the same Go. Ratios are to a
// bare net/http server (test/bench/echo) that is measured in turn with the service, so they mean the
// same on a fast machine and on a slow or busy one. Every response is checked, and a group with a
// single bad one is reported as failed.
//
// It exits with 1 when something could not be measured and, in short form, when a ratio is far off its
// goal. A goal that is merely missed is reported.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	short   bool
	only    string // the name of one group, "" for all
	results string // directory, "" to write nothing
}

func parseOptions(args []string, w io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.BoolVar(&o.short, "short", false, "measure in a minute or two, and write no results unless -out is given")
	flags.StringVar(&o.only, "only", "", "measure one group, and write no results unless -out is given: "+strings.Join(groupNames(), ", "))
	flags.StringVar(&o.results, "out", "", "`directory` for the results (default test/bench)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.only != "" && !slices.Contains(groupNames(), o.only):
		return o, fmt.Errorf("-only must be one of %s, not %q", strings.Join(groupNames(), ", "), o.only)
	case o.results == "" && !o.short && o.only == "":
		o.results = "test/bench"
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	opts, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, opts, out)
	if err != nil {
		return err
	}
	rep, err := b.measure(ctx)
	if err := errors.Join(err, b.close()); err != nil {
		return err
	}
	fmt.Fprint(out, "\n"+rep.markdown(b.form))
	if opts.results != "" {
		if err := rep.save(opts.results, b.form, b.raw); err != nil {
			return err
		}
	}
	return rep.failure(opts.short)
}

// A group is rows of the report that are measured together.
type group struct {
	name    string
	measure func(*bench, context.Context) (section, error)
}

var groups = []group{
	{"creates", (*bench).measureCreates},
	{"keyed", (*bench).measureKeyed},
	{"latency", (*bench).measureLatency},
	{"rates", (*bench).measureRates},
	{"slow", (*bench).measureSlow},
	{"backup", (*bench).measureBackup},
	{"lives", (*bench).measureLives},
	{"commit", (*bench).measureCommit},
	{"reads", (*bench).measureReads},
	{"start", (*bench).measureStart},
	{"functions", (*bench).measureFunctions},
}

func groupNames() []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.name
	}
	return names
}

// measure takes all measurements that are asked for. A group that fails gets a row that says so, and
// the others go on; only the end of the context is an error.
func (b *bench) measure(ctx context.Context) (rep report, err error) {
	for _, g := range groups {
		if b.only != "" && b.only != g.name {
			continue
		}
		b.say("%s:", g.name)
		b.group = g.name
		s, err := g.measure(b, ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("interrupted during %s: %w", g.name, ctx.Err())
		}
		if err != nil {
			s.rows = append(s.rows, row{name: g.name, failed: err.Error()})
		}
		for _, r := range s.rows {
			b.say("  %s: %s%s", r.name, r.measured, r.failed)
		}
		s.group = g.name
		rep = append(rep, s)
	}
	return rep, nil
}
