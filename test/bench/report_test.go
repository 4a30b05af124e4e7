package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheResultOfARowFollowsFromGoalAndValue(t *testing.T) {
	for name, tt := range map[string]struct {
		row    row
		result string
		broken bool
	}{
		"ratio at its goal":          {row{goal: atLeast(0.6), value: 0.6}, "met", false},
		"ratio a little below":       {row{goal: atLeast(0.6), value: 0.5}, "**missed**", false},
		"ratio far below":            {row{goal: atLeast(0.6), value: 0.29}, "**missed**", true},
		"growth within its goal":     {row{goal: atMost(1.2, ""), value: 1.1}, "met", false},
		"growth far above":           {row{goal: atMost(1.2, ""), value: 2.5}, "**missed**", true},
		"a latency is the machine's": {row{goal: atMost(4, "ms"), value: 400}, "**missed**", false},
		"no goal":                    {row{value: 3}, "–", false},
		"failed":                     {row{goal: atLeast(0.6), failed: "connection reset"}, "**failed**", false},
	} {
		r := report{groups: []group{{name: "g", rows: []row{tt.row}}}}
		if got := tt.row.result(); got != tt.result {
			t.Errorf("%s: result = %s, want %s", name, got, tt.result)
		}
		if full, short := r.failure(false) != nil, r.failure(true) != nil; full != (tt.row.failed != "") || short != (full || tt.broken) {
			t.Errorf("%s: fails in full form %t, in short form %t", name, full, short)
		}
	}
}

func TestARunLeavesAPageAndFiguresForBenchstat(t *testing.T) {
	b := &bench{}
	b.measure("creates", func(b *bench) {
		b.how("In a closed %s.", "loop")
		b.record("json echo", 59_021.4, "creates/s")
		b.ratioRow("creates ÷ echo", atLeast(0.6), &comparison{[]float64{7, 5, 6}, []float64{10, 10, 10}}, "/s", "")
		b.row(row{name: "start", goal: atMost(1500, "ms"), value: 1600.4})
		check(os.ErrDeadlineExceeded)
	})
	dir := t.TempDir()
	if err := b.save(dir, "full"); err != nil {
		t.Fatal(err)
	}
	for file, texts := range map[string][]string{
		"results.md": {
			" in full form on 20",
			"| creates ÷ echo | ≥ 0.6 | 0.6 | met | 6 /s ÷ 10 /s; ratios [0.70 0.50 0.60] |\n",
			"| start | ≤ 1,500 ms | 1,600 ms | **missed** |  |\n",
			"| creates | – | – | **failed** | i/o timeout |\n",
			"### creates\n\nIn a closed loop.\n",
		},
		"results.txt": {"cpu: ", "\nBenchmarkCreates/json-echo 1 59021.4 creates/s\n"},
	} {
		written, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if !strings.Contains(string(written), text) {
				t.Errorf("%s does not have %q:\n%s", file, text, written)
			}
		}
	}
}
