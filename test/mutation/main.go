// Command mutation shows that the tests notice when a protection is taken out of the code. Each
// mutant is the code without one protection, and names the test that must fail. The lists of
// mutants are in the folder mutants; mutants.go and edit.go say how to write one. Run it from the
// root of the module:
//
//	go run ./test/mutation             run the test of each mutant
//	go run ./test/mutation -only F7    only mutants against that fault, or whose name, folder or test matches
//	go run ./test/mutation -short      one mutant for each fault and deployment, for continuous integration
//
// The tree is never touched: the compiler is given the mutated file in place of the original.
//
// It exits with 1 when a test passes on its mutant. A test that does not end in time is no proof.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

// run runs the tests of mutants and reports those that survive.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutation", flag.ContinueOnError)
	only := flags.String("only", "", "regular expression of the mutants to run: of a name, a folder, a test, a fault or an invariant")
	short := flags.Bool("short", false, "one mutant for each fault and deployment")
	jobs := flags.Int("jobs", 2, "how many tests to run concurrently")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	all, err := loadMutants(os.DirFS("."))
	if err != nil {
		return err
	}
	list := matching(all, pattern)
	if *short {
		list = shortList(list)
	}
	if len(list) == 0 {
		return errors.New("no mutant matches")
	}
	began := time.Now()
	r := &runner{jobs: *jobs, out: out}
	if err := r.original(ctx, list); err != nil {
		return err
	}
	killed, err := r.mutants(ctx, list)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Fprintf(out, "%d of %d mutants killed in %s\n", killed, len(list), time.Since(began).Round(time.Second))
	return err
}

// matching returns the mutants of which a name, folder, test, fault or invariant matches.
func matching(list []mutant, pattern *regexp.Regexp) (matched []mutant) {
	for _, m := range list {
		if slices.ContainsFunc(append([]string{m.name, m.code, m.test}, m.ids...), pattern.MatchString) {
			matched = append(matched, m)
		}
	}
	return matched
}

// shortList returns a mutant for each fault on each deployment: few, because those for many faults
// come first. It leaves out random histories, which take longest.
func shortList(list []mutant) (short []mutant) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b mutant) int { return cmp.Compare(len(b.ids), len(a.ids)) })
	seen := map[string]bool{}
	for _, m := range list {
		if m.isChaos() {
			continue
		}
		isNew := false
		for _, d := range m.deployments() {
			for _, id := range m.ids {
				key := string(d) + id
				isNew = isNew || id[0] == 'F' && !seen[key]
				seen[key] = true
			}
		}
		if isNew {
			short = append(short, m)
		}
	}
	return short
}

// A runner runs tests and reports their results.
type runner struct {
	jobs int
	mu   sync.Mutex // held while out is written
	out  io.Writer
}

func (r *runner) printf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format, args...)
}

// original runs the tests of all mutants on the code as it is: the failure of a test that does
// not pass there would say nothing.
func (r *runner) original(ctx context.Context, list []mutant) error {
	tests := map[string][]string{} // by folder
	for _, m := range list {
		if !slices.Contains(tests[m.folder], m.testName()) {
			tests[m.folder] = append(tests[m.folder], m.testName())
		}
	}
	var group errgroup.Group
	group.SetLimit(r.jobs)
	for folder, names := range tests {
		group.Go(func() error {
			began := time.Now()
			err := pass(ctx, folder, names)
			if err == nil {
				r.printf("%s: %d tests pass on the code as it is, in %s\n", folder, len(names), seconds(began))
			}
			return err
		})
	}
	return group.Wait()
}

// mutants runs the test of each mutant, those that take longest first, and returns how many were
// killed. The error names the others.
func (r *runner) mutants(ctx context.Context, list []mutant) (killed int, err error) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b mutant) int { return cmp.Compare(b.weight(), a.weight()) })
	problems := make([]error, len(list))
	var group errgroup.Group
	group.SetLimit(r.jobs)
	for i, m := range list {
		group.Go(func() error {
			began := time.Now()
			killer, err := m.killer(ctx)
			if err != nil {
				r.printf("SURVIVED or broken: %s: %v\n", m.name, err)
			} else {
				r.printf("killed by %s in %s: %s\n", killer, seconds(began), m.name)
			}
			problems[i] = err
			return nil
		})
	}
	_ = group.Wait() // the errors are in problems
	for _, problem := range problems {
		if problem == nil {
			killed++
		}
	}
	return killed, errors.Join(problems...)
}

// weight is greater for a mutant that takes longer.
func (m mutant) weight() int {
	switch {
	case m.isChaos():
		return 2
	case !slices.Contains(m.deployments(), embedded):
		return 1 // an emulator has to start
	default:
		return 0
	}
}

func seconds(began time.Time) string { return fmt.Sprintf("%.1f s", time.Since(began).Seconds()) }
