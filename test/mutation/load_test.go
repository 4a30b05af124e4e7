package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatWasNotMeasuredIsCalledThat(t *testing.T) {
	report, err := loadReport(evidence{}, filepath.Join(t.TempDir(), "proof", "results"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(report, notMeasured); n != 3 {
		t.Errorf("%d parts are not measured, want 3:\n%s", n, report)
	}
}

func TestTheLoadIsReportedWithItsVerdictsAndConditions(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"proof/results/load.json": `{"date": "2026-11-23", "processors": 2, "users": 1000, "spawn": 100, "lost": 1, "metrics_equal_recount": null}`,
		"bench/results.json":      `{"sections": [{"group": "rates", "conditions": {"machine": "a|b, GOMAXPROCS 1, linux"}, "rows": [{"name": "a|b", "value": 1, "measured": "c"}]}]}`,
		"bench/soak.json": `{"rate": 1, "rows": [
			{"name": "high enough", "goal": {"sense": "≥", "bound": 2, "unit": ""}, "value": 2, "measured": "2"},
			{"name": "too low", "goal": {"sense": "≥", "bound": 2, "unit": ""}, "value": 1, "measured": "1"},
			{"name": "low enough", "goal": {"sense": "≤", "bound": 2, "unit": "MB"}, "value": 2, "measured": "2 MB"},
			{"name": "too high", "goal": {"sense": "≤", "bound": 2, "unit": "MB"}, "value": 3, "measured": "3 MB"},
			{"name": "check", "value": 0, "measured": "left out", "failed": "no\nmemory"}]}`,
		"docs/soak.svg": "<svg/>",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	report, err := loadReport(evidence{}, filepath.Join(root, resultsFolder))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 lost,", "**do not equal**", "share 2 processors.", "share **one processor**",
		`| a\|b | – | c | – |`, "| high enough | ≥ 2 | 2 | met |", "| too low | ≥ 2 | 1 | **missed** |",
		"| low enough | ≤ 2 MB | 2 MB | met |", "| too high | ≤ 2 MB | 3 MB | **missed** |", "| check | – | no memory | **failed** |",
		"are sent: not drawn yet.", "(soak.svg)",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not say %q:\n%s", want, report)
		}
	}
}
