package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// benchmarks is the file bench/results.json.
type benchmarks struct {
	Sections []benchmark `json:"sections"`
}

// A benchmark is one group of results.json, or the file bench/soak.json.
type benchmark struct {
	Group      string `json:"group"`
	Conditions struct {
		Date    string `json:"date"`
		Go      string `json:"go"`
		Machine string `json:"machine"`
	} `json:"conditions"`
	Rows []benchmarkRow `json:"rows"`
}

type benchmarkRow struct {
	Name string `json:"name"`
	Goal struct {
		Sense string  `json:"sense"` // "≥", "≤", or "" for no goal
		Bound float64 `json:"bound"`
		Unit  string  `json:"unit"`
	} `json:"goal"`
	Value    float64 `json:"value"`
	Measured string  `json:"measured"`
	Failed   string  `json:"failed"` // why there is no value
}

// of is the group of that name, nil when it was not measured yet.
func (b *benchmarks) of(group string) *benchmark {
	if b == nil {
		return nil
	}
	i := slices.IndexFunc(b.Sections, func(one benchmark) bool { return one.Group == group })
	if i < 0 {
		return nil
	}
	return &b.Sections[i]
}

var processors = regexp.MustCompile(`GOMAXPROCS ([0-9]+)`)

func (b *benchmark) markdown() string {
	if b == nil {
		return notMeasured
	}
	var text strings.Builder
	text.WriteString("| what | goal | measured | result |\n|---|---|---|---|\n")
	for _, r := range b.Rows {
		text.WriteString(r.markdown())
	}
	count := 0
	if m := processors.FindStringSubmatch(b.Conditions.Machine); m != nil {
		count, _ = strconv.Atoi(m[1])
	}
	fmt.Fprintf(&text, "\nMeasured %s; %s; %s. %s", b.Conditions.Date, b.Conditions.Go, b.Conditions.Machine, shared(count))
	return text.String()
}

func (r benchmarkRow) markdown() string {
	goal, measured, verdict := "–", r.Measured, "–"
	if g := r.Goal; g.Sense != "" {
		goal = strings.TrimSpace(fmt.Sprintf("%s %v %s", g.Sense, g.Bound, g.Unit))
		verdict = "**missed**"
		if g.Sense == "≥" && r.Value >= g.Bound || g.Sense == "≤" && r.Value <= g.Bound {
			verdict = "met"
		}
	}
	if r.Failed != "" {
		measured, verdict = r.Failed, "**failed**"
	}
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	return fmt.Sprintf("| %s | %s | %s | %s |\n", cell.Replace(r.Name), goal, cell.Replace(measured), verdict)
}
