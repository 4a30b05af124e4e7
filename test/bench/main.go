// Command bench measures the service against its goals and writes test/bench/results.md. Run it from
// the root of the module:
//
//	go run ./test/bench          everything, in full: about 30 minutes
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
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// sizes say how much is measured, and for how long.
type sizes struct {
	form                          string        // "full" or "short"
	rounds                        int           // in which contenders take turns; their median counts
	warmUp, creating, keyed       time.Duration // of each closed loop
	openLoop, slow, lives         time.Duration // of each open loop
	backupRounds, livesRounds     int
	backupLoad, backupEvery       time.Duration
	livesProcessing, committing   time.Duration
	keys, large, unfinished       int64 // orders
	reads, starts, functionStarts int   // of each kind
}

// full is the form that the goals are meant for.
var full = sizes{
	form: "full", rounds: 5, warmUp: time.Second, creating: 3 * time.Second, keyed: 10 * time.Second,
	openLoop: time.Minute, slow: 12 * time.Second, lives: time.Minute,
	backupRounds: 1, backupLoad: 5 * time.Minute, backupEvery: 10 * time.Second,
	livesRounds: 3, livesProcessing: 5 * time.Second, committing: 5 * time.Second,
	keys: 300_000, large: 1_000_000, unfinished: 700_000, reads: 2_000, starts: 5, functionStarts: 200,
}

// short takes about a minute and finds a service that has become far slower.
var short = sizes{
	form: "short", rounds: 3, warmUp: 300 * time.Millisecond, creating: time.Second, keyed: 1500 * time.Millisecond,
	openLoop: 2 * time.Second, slow: 2 * time.Second, lives: 3 * time.Second,
	backupRounds: 3, backupLoad: 2 * time.Second, backupEvery: time.Second,
	livesRounds: 1, livesProcessing: time.Second, committing: time.Second,
	keys: 300_000, large: 100_000, unfinished: 50_000, reads: 300, starts: 3, functionStarts: 50,
}

// groups are rows of the report that are measured together.
var groups = []struct {
	name    string
	measure func(*bench)
}{
	{"creates", (*bench).measureCreates},
	{"keyed", (*bench).measureKeyed},
	{"latency", (*bench).measureLatency},
	{"slow", (*bench).measureSlow},
	{"backup", (*bench).measureBackup},
	{"lives", (*bench).measureLives},
	{"commit", (*bench).measureCommit},
	{"reads", (*bench).measureReads},
	{"start", (*bench).measureStart},
	{"functions", (*bench).measureFunctions},
}

func main() {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	isShort := flag.Bool("short", false, "measure in a minute or two")
	only := flag.String("only", "", "measure one group: "+strings.Join(names, ", "))
	results := flag.String("out", "", "`directory` for the results (default test/bench, and none with -short or -only)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := fmt.Errorf("want no arguments, and -only one of %s", strings.Join(names, ", "))
	if flag.NArg() == 0 && (*only == "" || slices.Contains(names, *only)) {
		err = run(ctx, *isShort, *only, *results)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, isShort bool, only, results string) (err error) {
	b := &bench{ctx: ctx, sizes: full}
	if isShort {
		b.sizes = short
	} else if results == "" && only == "" {
		results = "test/bench"
	}
	if err := b.build(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	for _, g := range groups {
		if only == "" || only == g.name {
			b.measure(g.name, g.measure)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted during %s: %w", g.name, ctx.Err())
		}
	}
	fmt.Print("\n" + b.markdown(b.form))
	if results != "" {
		err = b.save(results, b.form)
	}
	return errors.Join(err, b.failure(isShort))
}

// measure measures a group. One that fails gets a row that says so.
func (b *bench) measure(name string, measure func(*bench)) {
	fmt.Println(name + ":")
	b.groups = append(b.groups, group{name: name})
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			b.row(row{name: name, failed: p.Error()})
		default:
			panic(p)
		}
	}()
	measure(b)
}

// A failure ends the measurement of a group.
type failure struct{ error }

// check ends the measurement of a group if there is an error, as t.Fatal ends a test.
func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// must returns a value unless there is an error.
func must[T any](v T, err error) T {
	check(err)
	return v
}
