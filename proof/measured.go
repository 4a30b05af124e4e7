package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// chaos is a file chaos-<home>.json.
type chaos struct {
	Home      string         `json:"home"`
	Date      string         `json:"date"`
	Seconds   float64        `json:"seconds"`
	Histories int            `json:"histories"`
	Steps     int            `json:"steps"`
	Checks    int            `json:"checks"`
	Faults    map[string]int `json:"faults"`
}

// chaosTable has what the longest run of random histories has met on each home.
func chaosTable(_ evidence, folder string) (string, error) {
	var b strings.Builder
	var runs []*chaos
	b.WriteString("| home | date | for | histories | steps | checks | faults met |\n|---|---|---|---|---|---|---|\n")
	for _, home := range []string{"embedded", "aws"} {
		c, err := result[chaos](folder, "chaos-"+home+".json")
		if err != nil {
			return "", err
		}
		if c == nil {
			fmt.Fprintf(&b, "| %s | not measured yet | | | | | |\n", home)
			continue
		}
		met := 0
		for _, times := range c.Faults {
			met += times
		}
		fmt.Fprintf(&b, "| %s | %s | %.0f min | %d | %d | %d | %d |\n", c.Home, c.Date, c.Seconds/60, c.Histories, c.Steps, c.Checks, met)
		runs = append(runs, c)
	}
	for _, c := range runs {
		fmt.Fprintf(&b, "\nFaults met on the home %s: ", c.Home)
		var each []string
		for _, name := range slices.Sorted(maps.Keys(c.Faults)) {
			each = append(each, fmt.Sprintf("%s (%d)", name, c.Faults[name]))
		}
		b.WriteString(strings.Join(each, "; ") + ".\n")
	}
	return b.String(), nil
}

// load is the file load.json, of Locust's users.
type load struct {
	Date                string  `json:"date"`
	Users               int     `json:"users"`
	Seconds             float64 `json:"seconds"`
	Requests            int     `json:"requests"`
	Failures            int     `json:"failures"`
	PerSecond           float64 `json:"per_second"`
	P50                 float64 `json:"p50_ms"`
	P95                 float64 `json:"p95_ms"`
	P99                 float64 `json:"p99_ms"`
	Max                 float64 `json:"max_ms"`
	Orders              int     `json:"orders"`
	Lost                int     `json:"lost"`
	Twice               int     `json:"twice"`
	Late                int     `json:"late"`
	MetricsEqualRecount bool    `json:"metrics_equal_recount"`
	LongestLife         float64 `json:"longest_life_seconds"`
	ProcessingTime      float64 `json:"processing_time_seconds"`
}

// loadReport has what was measured under load; bench/results.md has the rest.
func loadReport(_ evidence, folder string) (string, error) {
	var b strings.Builder
	l, err := result[load](folder, "load.json")
	switch {
	case err != nil:
		return "", err
	case l == nil:
		b.WriteString("Users (`make load`): not measured yet.\n")
	default:
		recount := "equal"
		if !l.MetricsEqualRecount {
			recount = "DO NOT EQUAL"
		}
		fmt.Fprintf(&b, "Users (`make load`, %s): %d users for %.0f s made %d requests, %.0f a second, of which %d failed. "+
			"p50 %.0f ms, p95 %.0f ms, p99 %.0f ms, longest %.0f ms. Of %d orders %d were lost, %d were there twice and %d were late; the metrics %s a recount. "+
			"The longest life of an order was %.1f s at a processing time of %.0f s.\n",
			l.Date, l.Users, l.Seconds, l.Requests, l.PerSecond, l.Failures, l.P50, l.P95, l.P99, l.Max,
			l.Orders, l.Lost, l.Twice, l.Late, recount, l.LongestLife, l.ProcessingTime)
	}
	root := filepath.Join(folder, "..", "..")
	for _, plot := range []struct{ title, file string }{
		{"Latency of a create against the rate at which creates are sent", "latency.svg"},
		{"Memory, latency and file size in a long run at half of that", "soak.svg"},
	} {
		fmt.Fprintf(&b, "\n%s\n", plotOf(root, plot.title, plot.file))
	}
	return b.String(), nil
}

// plotOf shows a plot that the benchmarks have drawn.
func plotOf(root, title, file string) string {
	if _, err := os.Stat(filepath.Join(root, "docs", file)); err != nil {
		return title + ": not measured yet."
	}
	return fmt.Sprintf("%s:\n\n![%s](%s)", title, title, file)
}
