package main

import (
	"fmt"
	"strings"
)

const introduction = `# Benchmark results

Written by ` + "`go run ./test/bench`" + `. The load comes from the same machine and
takes its part of the processors. A ratio is to what its line names, measured in
the same run.

| what | goal | measured | ratio | result |
|---|---|---|---|---|
`

// markdown is the report as results.md holds it.
func (r report) markdown() string {
	var b strings.Builder
	b.WriteString(introduction)
	for _, s := range r.Sections {
		for _, row := range s.Rows {
			b.WriteString(row.markdown())
		}
	}
	b.WriteString("\n## How each was measured\n")
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n%s\n", s.Group, s.How, s.Conditions)
	}
	return b.String()
}

func (r row) markdown() string {
	ratio, measured := "–", r.Measured
	if r.Ratio != 0 {
		ratio = fmt.Sprintf("%.2f", r.Ratio)
	}
	if r.Failed != "" {
		measured = r.Failed
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |\n", cell(r.Name), r.Goal, cell(measured), ratio, r.verdict())
}

// cell makes a text fit into one cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
