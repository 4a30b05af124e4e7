package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerdictFollowsFromGoalAndValue(t *testing.T) {
	for _, tt := range []struct {
		name    string
		row     row
		verdict string
		broken  bool
	}{
		{"ratio above its goal", row{Goal: atLeast(0.6), Value: 0.7}, "met", false},
		{"ratio at its goal", row{Goal: atLeast(0.6), Value: 0.6}, "met", false},
		{"ratio a little below", row{Goal: atLeast(0.6), Value: 0.5}, "**missed**", false},
		{"ratio far below", row{Goal: atLeast(0.6), Value: 0.29}, "**missed**", true},
		{"growth within its goal", row{Goal: atMost(1.2, ""), Value: 1.1}, "met", false},
		{"growth far above", row{Goal: atMost(1.2, ""), Value: 2.5}, "**missed**", true},
		{"a latency is of the machine", row{Goal: atMost(4, "ms"), Value: 400}, "**missed**", false},
		{"no goal", row{Value: 3}, "–", false},
		{"failed", row{Goal: atLeast(0.6), Failed: "connection reset"}, "**failed**", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.row.verdict(); got != tt.verdict {
				t.Errorf("verdict = %s, want %s", got, tt.verdict)
			}
			if got := tt.row.broken(); got != tt.broken {
				t.Errorf("broken = %t, want %t", got, tt.broken)
			}
		})
	}
}

func TestOnlyAShortRunFailsOnARatioFarOff(t *testing.T) {
	far := report{Sections: []section{{Group: "creates", Rows: []row{{Name: "creates", Goal: atLeast(0.6), Value: 0.1}}}}}
	if err := far.failure(false); err != nil {
		t.Errorf("a full run fails on a miss: %v", err)
	}
	if err := far.failure(true); err == nil || !strings.Contains(err.Error(), "0.10 is far off the goal ≥ 0.6") {
		t.Errorf("a short run says %v of a ratio far off", err)
	}
}

func TestAnyRunFailsOnWhatCouldNotBeMeasured(t *testing.T) {
	failed := report{Sections: []section{{Group: "lives", Rows: []row{{Name: "lives", Failed: "connection reset"}}}}}
	if err := failed.failure(false); err == nil || err.Error() != "lives: connection reset" {
		t.Errorf("failure = %v", err)
	}
}

func TestSavingKeepsTheGroupsThatWereNotMeasuredAgain(t *testing.T) {
	dir := t.TempDir()
	first := report{Sections: []section{
		{Group: "creates", How: "old creates", Rows: []row{{Name: "creates", Measured: "old"}}},
		{Group: "reads", How: "old reads", Rows: []row{{Name: "reads", Measured: "kept"}}},
	}}
	if err := first.save(dir); err != nil {
		t.Fatal(err)
	}
	again := report{Sections: []section{
		{Group: "creates", How: "new creates", Rows: []row{{Name: "creates", Measured: "new"}}},
	}}
	if err := again.save(dir); err != nil {
		t.Fatal(err)
	}

	written, err := os.ReadFile(filepath.Join(dir, "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := string(written)
	for _, want := range []string{"| creates | – | new |", "| reads | – | kept |", "### creates\n\nnew creates\n", "### reads\n\nold reads\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("results.md does not hold %q:\n%s", want, table)
		}
	}
	if strings.Index(table, "| creates |") > strings.Index(table, "| reads |") {
		t.Errorf("the groups are out of order:\n%s", table)
	}
	if strings.Contains(table, "| old |") {
		t.Errorf("results.md still holds what was measured again:\n%s", table)
	}
}

func TestARowIsOneLineOfTheTable(t *testing.T) {
	for _, tt := range []struct {
		row  row
		want string
	}{
		{
			ratioRow("creates ÷ echo", atLeast(0.6), 0.714, "%s/s", grouped(52_310.4)),
			"| creates ÷ echo | ≥ 0.6 | 52,310/s | 0.71 | met |\n",
		},
		{
			row{Name: "start", Goal: atMost(50, "ms"), Value: 61, Measured: "61 ms"},
			"| start | ≤ 50 ms | 61 ms | – | **missed** |\n",
		},
		{
			row{Name: "lives", Failed: "500 \"a|b\"\nsecond line"},
			"| lives | – | 500 \"a\\|b\" second line | – | **failed** |\n",
		},
	} {
		if got := tt.row.markdown(); got != tt.want {
			t.Errorf("got  %swant %s", got, tt.want)
		}
	}
}
