package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// faultTable has a row for each fault and each home.
func faultTable(e evidence, _ string) (string, error) {
	var b strings.Builder
	b.WriteString("| fault | home | brought about by | tests | guards |\n|---|---|---|---|---|\n")
	for _, f := range faults {
		title := "**" + f.id + "** " + f.what
		for _, h := range []home{embedded, onAWS} {
			if why := f.not[h]; why != "" {
				fmt.Fprintf(&b, "| %s | %s | none: %s | | |\n", title, h, why)
			} else {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", title, h, f.on[h], links(e.testsOf(f.id, h)), numbered(e.guardsOf(f.id, h)))
			}
			title = ""
		}
	}
	return b.String(), nil
}

func invariantTable(e evidence, _ string) (string, error) {
	var b strings.Builder
	b.WriteString("| invariant | embedded: tests | AWS: tests | guards |\n|---|---|---|---|\n")
	for _, i := range e.invariants {
		fmt.Fprintf(&b, "| **%s** %s | %s | %s | %s |\n", i.id, i.what,
			links(e.testsOf(i.id, embedded)), links(e.testsOf(i.id, onAWS)), numbered(e.guardsOf(i.id, embedded, onAWS)))
	}
	return b.String(), nil
}

// guardTable says of each guard what happened when it was taken out.
func guardTable(e evidence, _ string) (string, error) {
	var b strings.Builder
	if e.outcomes.Date != "" {
		fmt.Fprintf(&b, "%d guards; the latest run was on %s.\n\n", len(e.guards), e.outcomes.Date)
	}
	b.WriteString("| | what the guard sees to | for | without it, this test fails | after |\n|---|---|---|---|---|\n")
	for n, g := range e.guards {
		killer, after := "not run yet", ""
		if found, ok := e.outcomes.of(g); ok {
			test, how, _ := strings.Cut(found.KilledBy, ",")
			killer, after = "`"+test+"`"+how, fmt.Sprintf("%.1f s", found.Seconds)
		}
		fmt.Fprintf(&b, "| %d | %s ([%s](../%s)) | %s | %s | %s |\n", n+1, g.name, path.Base(g.file), g.file, g.holds, killer, after)
	}
	return b.String(), nil
}

// label is how a test is called on the page: with its package, as other tests have the
// same name. The sentences of the specification are called by their file, because they are run
// together, as the TestConformance of either home.
func (p proofTest) label() string {
	if strings.HasPrefix(p.file, "shared/ordertest/") {
		return "ordertest/" + path.Base(p.file)
	}
	return path.Base(path.Dir(p.file)) + "." + p.name
}

// links names tests, a line each, to be looked up in targets. More than a few are folded
// up, so that a table can be read from row to row.
func links(tests []proofTest) string {
	const few = 3
	var list []string
	for _, t := range tests {
		if link := "[" + t.label() + "]"; !slices.Contains(list, link) {
			list = append(list, link)
		}
	}
	lines := strings.Join(list, "<br>")
	if len(list) <= few {
		return lines
	}
	return fmt.Sprintf("<details><summary>%d tests</summary>%s</details>", len(list), lines)
}

// targets says where the tests of all tables are.
func targets(e evidence, _ string) (string, error) {
	var list []string
	for _, t := range e.tests {
		list = append(list, fmt.Sprintf("[%s]: ../%s", t.label(), t.file))
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "\n"), nil
}

func numbered(numbers []int) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, ", ")
}
