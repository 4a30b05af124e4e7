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

// A report is the sections in the order of the groups.
type report []section

// A section is what one group measured.
type section struct {
	group string
	how   string // it was measured
	rows  []row
}

// A row is one line of the report.
type row struct {
	name  string
	goal  goal
	value float64 // in the unit of the goal
	// measured is the absolute figures, for people.
	measured string
	// ratio is to the base that name or measured tells, 0 when there is none.
	ratio float64
	// failed says why there is no value.
	failed string
}

// A goal bounds a value. The zero goal is none: the row is for information.
type goal struct {
	sense string // "≥" or "≤"
	bound float64
	unit  string // "" for a ratio
}

// atLeast is the goal of a ratio.
func atLeast(bound float64) goal { return goal{"≥", bound, ""} }

func atMost(bound float64, unit string) goal { return goal{"≤", bound, unit} }

func (g goal) String() string {
	if g == (goal{}) {
		return "–"
	}
	return strings.TrimSpace(g.sense + " " + strconv.FormatFloat(g.bound, 'f', -1, 64) + " " + g.unit)
}

// met reports whether the value is within the goal widened by a factor.
func (g goal) met(value, factor float64) bool {
	if g.sense == "≥" {
		return value >= g.bound/factor
	}
	return value <= g.bound*factor
}

// result is the outcome in a word.
func (r row) result() string {
	switch {
	case r.failed != "":
		return "**failed**"
	case r.goal == (goal{}):
		return "–"
	case r.goal.met(r.value, 1):
		return "met"
	default:
		return "**missed**"
	}
}

// farOff is how much worse than its goal a ratio must be to count as broken. It leaves room for the
// noise of a short run on a shared machine.
const farOff = 2

// broken reports whether the row shows a fault that no noise explains. Times and sizes depend on the
// machine, so only ratios can show one.
func (r row) broken() bool {
	return r.failed == "" && r.goal != (goal{}) && r.goal.unit == "" && !r.goal.met(r.value, farOff)
}

// ratioRow is a row whose value is a ratio.
func ratioRow(name string, g goal, ratio float64, format string, args ...any) row {
	return row{name: name, goal: g, value: ratio, ratio: ratio, measured: fmt.Sprintf(format, args...)}
}

// grouped is a whole number with commas between the thousands.
func grouped[N int | int64 | float64](n N) string {
	s := strconv.FormatFloat(float64(n), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// failure is why the program is to exit with 1, nil when it is not.
func (rep report) failure(short bool) error {
	var failures []error
	for _, s := range rep {
		for _, r := range s.rows {
			switch {
			case r.failed != "":
				failures = append(failures, fmt.Errorf("%s: %s", s.group, r.failed))
			case short && r.broken():
				failures = append(failures, fmt.Errorf("%s: %s: %.2f is far off the goal %s", s.group, r.name, r.value, r.goal))
			}
		}
	}
	return errors.Join(failures...)
}

const introduction = `# Benchmark results

Written by ` + "`go run ./test/bench`" + `. The load comes from the same machine and
takes its part of the processors. A ratio is to what its line names, measured in
the same run. [results.txt](results.txt) has the figures of each round, for benchstat.

| what | goal | measured | ratio | result |
|---|---|---|---|---|
`

// markdown is the report as results.md holds it.
func (rep report) markdown(form string) string {
	var b strings.Builder
	b.WriteString(introduction)
	for _, s := range rep {
		for _, r := range s.rows {
			b.WriteString(r.markdown())
		}
	}
	fmt.Fprintf(&b, "\n## How each was measured\n\nMeasured %s in %s form; %s; %s, GOMAXPROCS %d, %s/%s.\n",
		time.Now().UTC().Format(time.DateOnly), form, runtime.Version(), processor(), runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH)
	for _, s := range rep {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", s.group, s.how)
	}
	return b.String()
}

func (r row) markdown() string {
	ratio, measured := "–", r.measured
	if r.ratio != 0 {
		ratio = fmt.Sprintf("%.2f", r.ratio)
	}
	if r.failed != "" {
		measured = r.failed
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", cell(r.name), r.goal, cell(measured), ratio, r.result())
}

// cell makes a text fit into one cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// save writes the page, and the figures as benchstat reads them.
func (rep report) save(dir, form string, raw []string) error {
	head := fmt.Sprintf("goos: %s\ngoarch: %s\ncpu: %s\npkg: orders/test/bench\n", runtime.GOOS, runtime.GOARCH, processor())
	return errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "results.md"), []byte(rep.markdown(form)), 0o644),
		os.WriteFile(filepath.Join(dir, "results.txt"), []byte(head+strings.Join(raw, "\n")+"\n"), 0o644),
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
