package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"orders/test/bench/generator"
)

func TestTheResultOfARowFollowsFromGoalAndValue(t *testing.T) {
	for _, tt := range []struct {
		name   string
		row    row
		result string
		broken bool
	}{
		{"ratio above its goal", row{goal: atLeast(0.6), value: 0.7}, "met", false},
		{"ratio at its goal", row{goal: atLeast(0.6), value: 0.6}, "met", false},
		{"ratio a little below", row{goal: atLeast(0.6), value: 0.5}, "**missed**", false},
		{"ratio far below", row{goal: atLeast(0.6), value: 0.29}, "**missed**", true},
		{"growth within its goal", row{goal: atMost(1.2, ""), value: 1.1}, "met", false},
		{"growth far above", row{goal: atMost(1.2, ""), value: 2.5}, "**missed**", true},
		{"a latency is of the machine", row{goal: atMost(4, "ms"), value: 400}, "**missed**", false},
		{"no goal", row{value: 3}, "–", false},
		{"failed", row{goal: atLeast(0.6), failed: "connection reset"}, "**failed**", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.row.result(); got != tt.result {
				t.Errorf("result = %s, want %s", got, tt.result)
			}
			if got := tt.row.broken(); got != tt.broken {
				t.Errorf("broken = %t, want %t", got, tt.broken)
			}
		})
	}
}

func TestOnlyAShortRunFailsOnARatioFarOff(t *testing.T) {
	far := report{{group: "creates", rows: []row{{name: "creates", goal: atLeast(0.6), value: 0.1}}}}
	if err := far.failure(false); err != nil {
		t.Errorf("a full run fails on a miss: %v", err)
	}
	if err := far.failure(true); err == nil || !strings.Contains(err.Error(), "0.10 is far off the goal ≥ 0.6") {
		t.Errorf("a short run says %v of a ratio far off", err)
	}
}

func TestAnyRunFailsOnWhatCouldNotBeMeasured(t *testing.T) {
	failed := report{{group: "lives", rows: []row{{name: "lives", failed: "connection reset"}}}}
	if err := failed.failure(false); err == nil || err.Error() != "lives: connection reset" {
		t.Errorf("failure = %v", err)
	}
}

func TestARunLeavesAPageAndFiguresForBenchstat(t *testing.T) {
	b := &bench{group: "creates"}
	b.record("json echo", 59_021.4, "creates/s")
	b.record("json echo", 58_900, "creates/s")
	rep := report{{group: "creates", how: "in a closed loop", rows: []row{ratioRow("creates ÷ echo", atLeast(0.6), 0.714, "52,310/s")}}}
	dir := t.TempDir()
	if err := rep.save(dir, "full", b.raw); err != nil {
		t.Fatal(err)
	}
	for file, texts := range map[string][]string{
		"results.md":  {"| creates ÷ echo | ≥ 0.6 | 52,310/s | 0.71 | met |\n", "### creates\n\nin a closed loop\n", " in full form; go1."},
		"results.txt": {"cpu: ", "\nBenchmarkCreates/json-echo 1 59021.4 creates/s\nBenchmarkCreates/json-echo 1 58900 creates/s\n"},
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
			row{name: "start", goal: atMost(50, "ms"), value: 61, measured: "61 ms"},
			"| start | ≤ 50 ms | 61 ms | – | **missed** |\n",
		},
		{
			row{name: "lives", failed: "500 \"a|b\"\nsecond line"},
			"| lives | – | 500 \"a\\|b\" second line | – | **failed** |\n",
		},
	} {
		if got := tt.row.markdown(); got != tt.want {
			t.Errorf("got  %swant %s", got, tt.want)
		}
	}
}

func TestOnlyAFullRunWritesTheRecord(t *testing.T) {
	for args, want := range map[string]string{
		"":                       "test/bench",
		"-only rates":            "",
		"-short":                 "",
		"-short -out there":      "there",
		"-only rates -out there": "there",
	} {
		o, err := parseOptions(strings.Fields(args), io.Discard)
		if err != nil || o.results != want {
			t.Errorf("%q writes to %q, want %q; %v", args, o.results, want, err)
		}
	}
	for args, want := range map[string]string{
		"rates":            `unexpected argument "rates"`,
		"-only everything": "-only must be one of creates,",
	} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

func TestARateIsKeptWhenItIsAchievedInTime(t *testing.T) {
	for _, tt := range []struct {
		name      string
		responses int
		latency   time.Duration
		kept      bool
	}{
		{"all in time", 1000, 3 * time.Millisecond, true},
		{"at the least", 980, 3 * time.Millisecond, true},
		{"fewer than were due", 979, 3 * time.Millisecond, false},
		{"too late", 1000, 101 * time.Millisecond, false},
	} {
		r := generator.Result{Responded: time.Second, Latencies: generator.NewLatencies()}
		for range tt.responses {
			r.Latencies.Record(tt.latency)
		}
		if got := isKept(1000, r); got != tt.kept {
			t.Errorf("%s: kept = %t", tt.name, got)
		}
	}
}

func TestRatesRiseStepByStep(t *testing.T) {
	for _, tt := range []struct {
		sizes sizes
		want  []int
	}{
		{full, []int{1_000, 2_000, 5_000, 10_000, 15_000, 20_000}},
		{short, []int{1_000, 20_000, 40_000, 60_000}},
	} {
		var got []int
		for n := range tt.want {
			got = append(got, tt.sizes.rateAt(n))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("the %s form has the rates %v, want %v", tt.sizes.form, got, tt.want)
		}
	}
}

func TestTheMedianIsTheMiddleOrTheMeanOfTheTwoThere(t *testing.T) {
	for want, values := range map[float64][]float64{4: {4}, 5: {9, 1, 5}, 5.5: {9, 1, 5, 6}} {
		if got := median(values); got != want {
			t.Errorf("median(%v) = %v, want %v", values, got, want)
		}
	}
}
