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
	"maps"
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
	r := &report{out: out, lines: map[string][]line{}, skips: map[string][]string{}}
	err = r.read(events)
	return errors.Join(cmd.Wait(), err)
}

// An event is a line of go test -json, see https://pkg.go.dev/cmd/test2json. Without a test it is
// about a package.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// A line is output of a test, or of its package.
type line struct{ test, text string }

// A report prints the events of go test.
type report struct {
	out   io.Writer
	lines map[string][]line   // of packages that have not ended yet, without the tests that passed
	skips map[string][]string // names of tests, by package and reason
}

// read prints all events and then the skipped tests. A line that is no event is printed as it is.
func (r *report) read(events io.Reader) error {
	input := bufio.NewReader(events)
	for {
		text, err := input.ReadBytes('\n')
		var e event
		if len(text) > 0 && json.Unmarshal(text, &e) != nil {
			fmt.Fprintf(r.out, "%s", text)
		} else {
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
	lines := r.lines[e.Package]
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if !noise.MatchString(e.Output) {
			r.lines[e.Package] = append(lines, line{e.Test, e.Output})
		}
	case "pass", "skip", "fail":
		switch {
		case e.Test == "":
			for _, l := range lines {
				fmt.Fprint(r.out, l.text)
			}
			delete(r.lines, e.Package)
		case e.Action != "fail":
			if e.Action == "skip" {
				why := e.Package + ": " + reason(lines, e.Test)
				r.skips[why] = append(r.skips[why], e.Test)
			}
			r.lines[e.Package] = slices.DeleteFunc(lines, func(l line) bool { return l.test == e.Test })
		}
	}
}

var place = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// reason is the last message of a skipped test.
func reason(lines []line, test string) string {
	message := "no reason is given"
	for _, l := range lines {
		if l.test == test && place.MatchString(l.text) {
			message = place.ReplaceAllString(l.text, "")
		} else if l.test == test {
			message += l.text
		}
	}
	return strings.Join(strings.Fields(message), " ")
}

// summarize lists the skipped tests by package and reason.
func (r *report) summarize() {
	total := 0
	var list strings.Builder
	for _, why := range slices.Sorted(maps.Keys(r.skips)) {
		names, more := r.skips[why], ""
		total += len(names)
		if n := len(names) - 2; n > 1 {
			names, more = names[:2], fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(&list, "  %s (%s%s)\n", why, strings.Join(names, ", "), more)
	}
	if total > 0 {
		fmt.Fprintf(r.out, "\nSkipped: %d tests\n%s", total, &list)
	}
}
