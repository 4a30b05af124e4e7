// Command gotest runs go test with its arguments, prints one line for each package and the output of
// the tests that fail, as go test does, and lists the skipped tests with their reasons at the end. Its
// exit code is that of go test.
//
//	go run ./tools/gotest -timeout 20m ./...
package main

import (
	"bufio"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(max(failed.ExitCode(), 1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &report{out: out, output: map[testID][]string{}}
	err = r.read(events)
	return errors.Join(cmd.Wait(), err)
}

// An event is a line of go test -json, see https://pkg.go.dev/cmd/test2json.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// A testID names a test, or with an empty test a whole package.
type testID struct{ pkg, test string }

// A skip is a skipped test.
type skip struct{ pkg, test, reason string }

// A report prints the events of go test.
type report struct {
	out    io.Writer
	output map[testID][]string // lines of what has not ended yet
	skips  []skip
}

// read prints all events and then the skipped tests. A line that is no event is printed as it is.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil:
			fmt.Fprintf(r.out, "%s", line)
		default:
			r.add(e)
		}
		if errors.Is(err, io.EOF) {
			r.summarize()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// noise matches lines that go test prints only with -v.
var noise = regexp.MustCompile(`^(=== |PASS\n$|\s*--- (PASS|SKIP): )`)

func (r *report) add(e event) {
	id := testID{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if !noise.MatchString(e.Output) {
			r.output[id] = append(r.output[id], e.Output)
		}
	case "skip":
		if e.Test != "" {
			r.skips = append(r.skips, skip{e.Package, e.Test, reason(r.output[id])})
			delete(r.output, id)
			return
		}
		r.print(id) // a package without tests
	case "pass":
		if e.Test == "" {
			r.print(id)
		}
		delete(r.output, id)
	case "fail":
		if e.Test == "" {
			r.printUnfinished(e.Package)
		}
		r.print(id)
	}
}

// printUnfinished prints the tests of a package that has ended before they did, as in a panic.
func (r *report) printUnfinished(pkg string) {
	var ids []testID
	for id := range r.output {
		if id.pkg == pkg && id.test != "" {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b testID) int { return strings.Compare(a.test, b.test) })
	for _, id := range ids {
		r.print(id)
	}
}

func (r *report) print(id testID) {
	fmt.Fprint(r.out, strings.Join(r.output[id], ""))
	delete(r.output, id)
}

var place = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// reason is the last message of a skipped test.
func reason(output []string) string {
	for i, line := range slices.Backward(output) {
		if place.MatchString(line) {
			return strings.Join(strings.Fields(place.ReplaceAllString(strings.Join(output[i:], ""), "")), " ")
		}
	}
	return "no reason is given"
}

// summarize lists the skipped tests by package and reason.
func (r *report) summarize() {
	if len(r.skips) == 0 {
		return
	}
	fmt.Fprintf(r.out, "\nSkipped: %d tests\n", len(r.skips))
	type group struct{ pkg, reason string }
	names := map[group][]string{}
	var groups []group
	for _, s := range r.skips {
		g := group{s.pkg, s.reason}
		if names[g] == nil {
			groups = append(groups, g)
		}
		names[g] = append(names[g], s.test)
	}
	for _, g := range groups {
		shown, more := names[g], ""
		if n := len(shown) - 2; n > 1 {
			shown, more = shown[:2], fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(r.out, "  %s: %s%s: %s\n", g.pkg, strings.Join(shown, ", "), more, g.reason)
	}
}
