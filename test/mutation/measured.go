package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// chaos is a file chaos-<home>.json.
type chaos struct {
	Home      home           `json:"-"`
	Date      string         `json:"date"`
	Seconds   float64        `json:"seconds"`
	Histories int            `json:"histories"`
	Steps     int            `json:"steps"`
	Checks    int            `json:"checks"`
	Faults    map[string]int `json:"faults"`
}

// chaosTable has what the run on record of random histories has met on each home.
func chaosTable(_ evidence, folder string) (string, error) {
	var b strings.Builder
	var runs []*chaos
	b.WriteString("| home | date | for | histories | steps | checks | faults met |\n|---|---|---|---|---|---|---|\n")
	for _, h := range []home{embedded, onAWS} {
		c, err := result[chaos](folder, "chaos-"+strings.ToLower(string(h))+".json")
		if err != nil {
			return "", err
		}
		if c == nil {
			fmt.Fprintf(&b, "| %s | not measured yet | | | | | |\n", h)
			continue
		}
		met := 0
		for _, times := range c.Faults {
			met += times
		}
		fmt.Fprintf(&b, "| %s | %s | %.0f min | %d | %d | %d | %d |\n", h, c.Date, c.Seconds/60, c.Histories, c.Steps, c.Checks, met)
		c.Home = h
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
