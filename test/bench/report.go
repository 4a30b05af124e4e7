package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A report is the groups, in the order in which they were measured.
type report struct {
	groups []group
	raw    []string // the lines for benchstat
}

// A group is the rows that were measured together.
type group struct {
	name string
	how  string
	rows []row
}

// A row is one line of the table.
type row struct {
	name    string
	goal    goal
	value   float64 // in the unit of the goal
	details string
	failed  string // why there is no value
}

// A goal bounds a value. Without a bound, the row is for information.
type goal struct {
	bound float64
	unit  string // "" for a ratio
	least bool   // the value must be at least the bound, and not at most
}

// none is the goal of a ratio for information.
var none goal

func atLeast(bound float64) goal             { return goal{bound, "", true} }
func atMost(bound float64, unit string) goal { return goal{bound, unit, false} }

func (g goal) String() string {
	switch {
	case g == none:
		return "–"
	case g.least:
		return "≥ " + figure(g.bound, g.unit)
	default:
		return "≤ " + figure(g.bound, g.unit)
	}
}

// figure is a value with its unit.
func figure(v float64, unit string) string {
	text := strconv.FormatFloat(v, 'g', 3, 64)
	if v >= 100 {
		text = grouped(v)
	}
	return strings.TrimSpace(text + " " + unit)
}

// met reports whether the value is within the goal widened by a factor.
func (g goal) met(value, factor float64) bool {
	if g.least {
		return value >= g.bound/factor
	}
	return value <= g.bound*factor
}

// result is the outcome in a word.
func (r row) result() string {
	switch {
	case r.failed != "":
		return "**failed**"
	case r.goal == none:
		return "–"
	case r.goal.met(r.value, 1):
		return "met"
	default:
		return "**missed**"
	}
}

// farOff is how much worse than its goal a ratio must be to count as broken. It leaves room for the
// noise of a short run on a shared machine. Times and sizes depend on the machine, so only ratios can
// show a fault.
const farOff = 2

func (r row) broken() bool {
	return r.failed == "" && r.goal != none && r.goal.unit == "" && !r.goal.met(r.value, farOff)
}

// grouped is a whole number with commas between the thousands.
func grouped[N int | int64 | float64](n N) string {
	s := strconv.FormatFloat(float64(n), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// how says how the rows of the group are measured.
func (r *report) how(format string, args ...any) {
	r.groups[len(r.groups)-1].how = fmt.Sprintf(format, args...)
}

// row adds a row to the group.
func (r *report) row(add row) {
	g := &r.groups[len(r.groups)-1]
	g.rows = append(g.rows, add)
	fmt.Printf("  %s: %s %s%s\n", add.name, figure(add.value, add.goal.unit), add.details, add.failed)
}

// record keeps a figure for benchstat. Figures with the same name are samples of the same thing.
func (r *report) record(name string, value float64, unit string) {
	g := r.groups[len(r.groups)-1].name
	r.raw = append(r.raw, fmt.Sprintf("Benchmark%s/%s 1 %.6g %s",
		strings.ToUpper(g[:1])+g[1:], strings.ReplaceAll(name, " ", "-"), value, unit))
}

// failure is why the program is to exit with 1, nil when it is not.
func (r *report) failure(isShort bool) error {
	var failures []error
	for _, g := range r.groups {
		for _, r := range g.rows {
			switch {
			case r.failed != "":
				failures = append(failures, fmt.Errorf("%s: %s", g.name, r.failed))
			case isShort && r.broken():
				failures = append(failures, fmt.Errorf("%s: %s: %.2f is far off the goal %s", g.name, r.name, r.value, r.goal))
			}
		}
	}
	return errors.Join(failures...)
}

const introduction = `# Benchmark results

Written by ` + "`go run ./test/bench`" + ` in %s form on %s; %s; %s, GOMAXPROCS %d, %s/%s. The load
comes from the same machine and takes its part of the processors. A ratio (÷) is to what its line
names, measured in the same run. [results.txt](results.txt) has the figures of each round, for
benchstat.

| what | goal | measured | result | details |
|---|---|---|---|---|
`

// markdown is the report as results.md holds it.
func (r *report) markdown(form string) string {
	var b strings.Builder
	fmt.Fprintf(&b, introduction, form, time.Now().UTC().Format(time.DateOnly), runtime.Version(), processor(), runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH)
	for _, g := range r.groups {
		for _, r := range g.rows {
			measured, details := figure(r.value, r.goal.unit), strings.TrimSpace(r.details)
			if r.failed != "" {
				measured, details = "–", strings.ReplaceAll(strings.Join(strings.Fields(r.failed), " "), "|", `\|`)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.name, r.goal, measured, r.result(), details)
		}
	}
	b.WriteString("\n## How each was measured\n")
	for _, g := range r.groups {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", g.name, g.how)
	}
	return b.String()
}

// save writes the page, and the figures as benchstat reads them.
func (r *report) save(dir, form string) error {
	head := fmt.Sprintf("goos: %s\ngoarch: %s\ncpu: %s\npkg: orders/test/bench\n", runtime.GOOS, runtime.GOARCH, processor())
	return errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "results.md"), []byte(r.markdown(form)), 0o644),
		os.WriteFile(filepath.Join(dir, "results.txt"), []byte(head+strings.Join(r.raw, "\n")+"\n"), 0o644),
	)
}

// processor is the name of the processor on Linux.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // optional
	for line := range bytes.Lines(info) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(name)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return "unknown processor"
}
