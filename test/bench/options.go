package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	short   bool
	only    string // the name of one group, "" for all
	base    string
	results string // directory of the data, "" to write nothing
	plots   string // directory of what is drawn of them
	profile string // directory, "" for no profile

	soakFor time.Duration // 0 for no soak
	rate    int           // of the soak, in creates a second; 0 for half of the saturation
	check   bool          // the soak's file
}

// The forms of the echo.
const (
	baseJSON = "json"
	baseRaw  = "raw"
)

func parseOptions(args []string, w io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.BoolVar(&o.short, "short", false, "measure in a minute or two, print the table and write no results unless -out is given")
	flags.StringVar(&o.only, "only", "", "measure one group and keep the results of the others: "+strings.Join(groupNames(), ", "))
	flags.StringVar(&o.base, "base", baseJSON, "the echo that creates are compared to: json, which reads and writes JSON, or raw, which writes the body back")
	flags.StringVar(&o.results, "out", "", "`directory` for all results (default bench, and docs for plots)")
	flags.StringVar(&o.profile, "profile", "", "write a CPU profile of the service under each kind of load to this `directory`, and no results")
	flags.DurationVar(&o.soakFor, "soak", 0, "load one service for this long and see whether it stays flat, instead of all else; less than "+
		settledBy.String()+" writes no results unless -out is given")
	flags.IntVar(&o.rate, "rate", 0, "creates a second of -soak (default half of the saturation, which is that in test/bench/"+climbFile+" or measured first)")
	flags.BoolVar(&o.check, "check", true, "end -soak with orders check, which reads the whole file")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.setDirectories()
	return o, o.problem()
}

// problem is why the options make no sense.
func (o *options) problem() error {
	switch {
	case o.base != baseJSON && o.base != baseRaw:
		return fmt.Errorf("-base must be json or raw, not %q", o.base)
	case o.only != "" && !slices.Contains(groupNames(), o.only):
		return fmt.Errorf("-only must be one of %s, not %q", strings.Join(groupNames(), ", "), o.only)
	case o.soakFor != 0:
		return o.soakProblem()
	case o.rate != 0:
		return errors.New("-rate is for -soak")
	default:
		return nil
	}
}

func (o *options) soakProblem() error {
	switch {
	case o.soakFor < minSoak:
		return fmt.Errorf("-soak must be at least %s, not %s", minSoak, o.soakFor)
	case o.short || o.only != "" || o.profile != "":
		return errors.New("-soak goes without -short, -only and -profile")
	case o.rate < 0:
		return fmt.Errorf("-rate must be positive, not %d", o.rate)
	default:
		return nil
	}
}

// setDirectories keeps what a short run found out of the record.
func (o *options) setDirectories() {
	switch short := o.short || o.soakFor > 0 && o.soakFor < settledBy; {
	case o.profile != "": // profiling costs time
		o.results = ""
	case o.results != "":
		o.plots = o.results
	case !short:
		o.results, o.plots = "test/bench", "docs"
	}
}
