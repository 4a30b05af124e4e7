package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// mutate takes out mutants, one at a time, and reports those that no test misses.
func mutate(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutation", flag.ContinueOnError)
	only := flags.String("only", "", "regular expression of the guards to take out: of a name, a file, a fault or an invariant")
	short := flags.Bool("short", false, "one guard for each fault and home")
	jobs := flags.Int("jobs", 2, "how many tests to run side by side")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	list := matching(mutants(), pattern)
	if *short {
		list = oneEach(list)
	}
	if len(list) == 0 {
		return errors.New("no guard matches")
	}
	began := time.Now()
	m := &mutator{jobs: *jobs, out: out}
	if err := m.intact(ctx, list); err != nil {
		return err
	}
	killed, err := m.takeOut(ctx, list)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Fprintf(out, "%d of %d mutants killed in %s\n", killed, len(list), time.Since(began).Round(time.Second))
	return err
}

// matching are the guards of which a name, file, fault or invariant matches.
func matching(list []mutant, pattern *regexp.Regexp) (matched []mutant) {
	for _, g := range list {
		if slices.ContainsFunc(append(ids(g.holds), g.name, g.file), pattern.MatchString) {
			matched = append(matched, g)
		}
	}
	return matched
}

// oneEach are the first mutants that are there for a fault on a home, random histories
// aside, which take longest.
func oneEach(list []mutant) (few []mutant) {
	seen := map[string]bool{}
	for _, g := range list {
		isNew := false
		for _, h := range g.homes() {
			for _, id := range ids(g.holds) {
				key := string(h) + id
				isNew = isNew || id[0] == 'F' && !seen[key]
				seen[key] = seen[key] || !g.chaos
			}
		}
		if isNew && !g.chaos {
			few = append(few, g)
		}
	}
	return few
}

// A mutator runs tests, and tells how they end.
type mutator struct {
	jobs int
	mu   sync.Mutex // held while out is written
	out  io.Writer
}

func (m *mutator) printf(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprintf(m.out, format, args...)
}

// intact runs the tests of all guards on the code as it is: only one that is there, and
// passes, says something when it fails.
func (m *mutator) intact(ctx context.Context, list []mutant) error {
	tests := map[string][]string{} // by folder
	for _, g := range list {
		if !slices.Contains(tests[g.folder()], g.testName()) {
			tests[g.folder()] = append(tests[g.folder()], g.testName())
		}
	}
	var group errgroup.Group
	group.SetLimit(m.jobs)
	for folder, names := range tests {
		group.Go(func() error {
			began := time.Now()
			err := pass(ctx, folder, names)
			if err == nil {
				m.printf("%s: %d tests pass on the code as it is, in %s\n", folder, len(names), seconds(time.Since(began)))
			}
			return err
		})
	}
	return group.Wait()
}

// takeOut runs the test of each mutant, those that take longest first, and returns how many
// were killed. The error names the others.
func (m *mutator) takeOut(ctx context.Context, list []mutant) (killed int, err error) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b mutant) int { return cmp.Compare(b.weight(), a.weight()) })
	var problems []error
	var group errgroup.Group
	group.SetLimit(m.jobs)
	for _, g := range list {
		group.Go(func() error {
			began := time.Now()
			killer, err := g.killer(ctx)
			took := time.Since(began)
			m.mu.Lock()
			defer m.mu.Unlock()
			if err != nil {
				fmt.Fprintf(m.out, "SURVIVED or broken: %s: %v\n", g.name, err)
				problems = append(problems, err)
				return nil
			}
			fmt.Fprintf(m.out, "killed by %s in %s: %s\n", killer, seconds(took), g.name)
			killed++
			return nil
		})
	}
	_ = group.Wait() // the problems are in problems
	return killed, errors.Join(problems...)
}

// weight is greater for what takes longer.
func (g mutant) weight() int {
	switch {
	case g.chaos:
		return 2
	case !slices.Contains(g.homes(), embedded):
		return 1 // an engine has to start
	default:
		return 0
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
