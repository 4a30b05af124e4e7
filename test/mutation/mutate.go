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

// mutate takes out guards, one at a time, and reports those that no test misses.
func mutate(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
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
	list := matching(guards(), pattern)
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
	found, err := m.takeOut(ctx, list)
	if ctx.Err() != nil {
		return ctx.Err() // of those that were not tried, what is known stays
	}
	err = errors.Join(err, keepOutcomes(resultsFolder, guards(), list, found, began))
	fmt.Fprintf(out, "%d of %d guards are missed by a test when they are taken out, in %s\n",
		len(found), len(list), time.Since(began).Round(time.Second))
	return err
}

// matching are the guards of which a name, file, fault or invariant matches.
func matching(list []guard, pattern *regexp.Regexp) (matched []guard) {
	for _, g := range list {
		if slices.ContainsFunc(append(ids(g.holds), g.name, g.file), pattern.MatchString) {
			matched = append(matched, g)
		}
	}
	return matched
}

// oneEach are the first guards that are there for a fault on a home, random histories
// aside, which take longest.
func oneEach(list []guard) (few []guard) {
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
func (m *mutator) intact(ctx context.Context, list []guard) error {
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

// takeOut takes out one guard after the other, those that take longest first, and
// returns what noticed. The error names the guards that nothing did.
func (m *mutator) takeOut(ctx context.Context, list []guard) (found []outcome, err error) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b guard) int { return cmp.Compare(b.weight(), a.weight()) })
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
			found = append(found, outcome{Guard: g.name, KilledBy: killer, Seconds: took.Seconds()})
			return nil
		})
	}
	_ = group.Wait() // the problems are in problems
	return found, errors.Join(problems...)
}

// weight is greater for what takes longer.
func (g guard) weight() int {
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
