// Command bench measures the service against its goals and writes what it found
// to bench/results.md. Run it from the root of the module:
//
//	go run ./bench          everything, in full: about a quarter of an hour
//	go run ./bench -short   the same in small, for continuous integration
//
// The load comes from this process; the servers are children of it, built with
// the same Go. Ratios are to a bare net/http server (bench/echo) that is measured
// in turn with the service, so that they mean the same on a fast machine and on
// a slow or busy one. Every answer is checked, and a run with a single bad one
// is reported as failed.
//
// It exits with 1 when something could not be measured and, in short form, when
// a ratio is far off its goal. A goal that is merely missed is reported.
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
	// SIGPIPE: the servers are to end, too, when whoever reads the output has gone.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
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

// options are what the command line says.
type options struct {
	short   bool
	only    string // the name of one group, "" for all
	base    string
	results string // directory, "" to write none
	profile string // directory, "" for no profile
}

// The forms of the echo.
const (
	baseJSON = "json"
	baseRaw  = "raw"
)

func parseOptions(args []string, w io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.BoolVar(&o.short, "short", false, "measure in about a minute, print the table and write no results unless -out is given")
	flags.StringVar(&o.only, "only", "", "measure one group and keep the results of the others: "+strings.Join(groupNames(), ", "))
	flags.StringVar(&o.base, "base", baseJSON, "the echo that creates are compared to: json, which reads and writes JSON, or raw, which writes the body back")
	flags.StringVar(&o.results, "out", "", "`directory` for results.md and results.json (default bench)")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile of the service under each kind of load to this `directory`, and no results")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.base != baseJSON && o.base != baseRaw:
		return o, fmt.Errorf("-base must be json or raw, not %q", o.base)
	case o.only != "" && !slices.Contains(groupNames(), o.only):
		return o, fmt.Errorf("-only must be one of %s, not %q", strings.Join(groupNames(), ", "), o.only)
	}
	if o.results == "" && !o.short {
		o.results = "bench"
	}
	if o.profile != "" {
		o.results = "" // profiling costs time, so the figures are not for the record
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	opts, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	if opts.profile != "" {
		if err := os.MkdirAll(opts.profile, 0o755); err != nil {
			return err
		}
	}
	b, err := newBench(ctx, opts, out)
	if err != nil {
		return err
	}
	rep, err := b.measure(ctx)
	if err := errors.Join(err, b.close()); err != nil {
		return err
	}
	if _, err := io.WriteString(out, "\n"+rep.markdown()); err != nil {
		return err
	}
	if opts.results != "" {
		if err := rep.save(opts.results); err != nil {
			return err
		}
	}
	return rep.failure(opts.short)
}
