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
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	only := flag.String("only", "", "regular expression of the mutants to run: of a name, a folder, a test, a fault or an invariant")
	short := flag.Bool("short", false, "one mutant for each fault and deployment")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only, *short)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

// run runs the tests of mutants and reports those that survive.
func run(ctx context.Context, only string, short bool) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	list, err := loadMutants(".")
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(m mutant) bool {
		return !slices.ContainsFunc(append([]string{m.name, m.code, m.test}, m.ids...), pattern.MatchString)
	})
	if short {
		list = shortList(list)
	}
	if len(list) == 0 {
		return errors.New("no mutant matches")
	}
	began := time.Now()
	if err := runOriginal(ctx, list); err != nil {
		return err
	}
	killed, err := runMutants(ctx, list)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fmt.Printf("%d of %d mutants killed in %s\n", killed, len(list), time.Since(began).Round(time.Second))
	return err
}

// shortList returns a mutant for each fault on each deployment: few, because those for many faults
// come first. It leaves out random histories, which take longest.
func shortList(list []mutant) (short []mutant) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b mutant) int { return cmp.Compare(len(b.ids), len(a.ids)) })
	seen := map[string]bool{}
	for _, m := range list {
		before := len(seen)
		for _, d := range m.deployments() {
			for _, id := range m.ids {
				if id[0] == 'F' && !m.isChaos() {
					seen[string(d)+id] = true
				}
			}
		}
		if len(seen) > before {
			short = append(short, m)
		}
	}
	return short
}

// jobs is how many tests run concurrently.
const jobs = 2

// runOriginal runs the tests of all mutants on the code as it is: the failure of a test that does not
// pass there would say nothing.
func runOriginal(ctx context.Context, list []mutant) error {
	tests := map[string][]string{} // by folder
	for _, m := range list {
		if !slices.Contains(tests[m.folder], m.testName()) {
			tests[m.folder] = append(tests[m.folder], m.testName())
		}
	}
	var group errgroup.Group
	group.SetLimit(jobs)
	for folder, names := range tests {
		group.Go(func() error {
			began := time.Now()
			err := pass(ctx, folder, names)
			if err == nil {
				fmt.Printf("%s: %d tests pass on the code as it is, in %s\n", folder, len(names), seconds(began))
			}
			return err
		})
	}
	return group.Wait()
}

// runMutants runs the test of each mutant, random histories first because they take longest, and
// returns how many were killed. The error names the others.
func runMutants(ctx context.Context, list []mutant) (int64, error) {
	slices.SortStableFunc(list, func(a, b mutant) int {
		switch {
		case a.isChaos() == b.isChaos():
			return 0
		case a.isChaos():
			return -1
		default:
			return 1
		}
	})
	var killed atomic.Int64
	problems := make([]error, len(list))
	var group errgroup.Group
	group.SetLimit(jobs)
	for i, m := range list {
		group.Go(func() error {
			began := time.Now()
			killer, err := m.killer(ctx)
			if err != nil {
				fmt.Printf("SURVIVED or broken: %s: %v\n", m.name, err)
			} else {
				killed.Add(1)
				fmt.Printf("killed by %s in %s: %s\n", killer, seconds(began), m.name)
			}
			problems[i] = err
			return nil
		})
	}
	_ = group.Wait() // the errors are in problems
	return killed.Load(), errors.Join(problems...)
}

func seconds(began time.Time) string { return fmt.Sprintf("%.1f s", time.Since(began).Seconds()) }
