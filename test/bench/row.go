package main

import (
	"fmt"
	"strconv"
)

// A row is one line of the report.
type row struct {
	Name string `json:"name"`
	Goal goal   `json:"goal,omitzero"`
	// Value is what the goal is about, in its unit.
	Value float64 `json:"value"`
	// Measured is the absolute figures, for people.
	Measured string `json:"measured"`
	// Ratio is to what the name or Measured says, 0 when there is none.
	Ratio float64 `json:"ratio,omitzero"`
	// Failed says why there is no value.
	Failed string `json:"failed,omitzero"`
}

// A goal bounds a value. The zero goal is none: the row is for information.
type goal struct {
	Sense string  `json:"sense"` // "≥" or "≤"
	Bound float64 `json:"bound"`
	Unit  string  `json:"unit"` // "" for a ratio
}

// atLeast is the goal of a ratio.
func atLeast(bound float64) goal { return goal{"≥", bound, ""} }

func atMost(bound float64, unit string) goal { return goal{"≤", bound, unit} }

func (g goal) String() string {
	if g == (goal{}) {
		return "–"
	}
	s := g.Sense + " " + strconv.FormatFloat(g.Bound, 'f', -1, 64)
	if g.Unit != "" {
		s += " " + g.Unit
	}
	return s
}

// met reports whether the value is within the goal widened by a factor.
func (g goal) met(value, factor float64) bool {
	if g.Sense == "≥" {
		return value >= g.Bound/factor
	}
	return value <= g.Bound*factor
}

// verdict is the outcome in a word.
func (r row) verdict() string {
	switch {
	case r.Failed != "":
		return "**failed**"
	case r.Goal == (goal{}):
		return "–"
	case r.Goal.met(r.Value, 1):
		return "met"
	default:
		return "**missed**"
	}
}

// farOff is how much worse than its goal a ratio must be to count as broken. It
// leaves room for the noise of a short run on a shared machine.
const farOff = 2

// broken reports whether the row shows a fault that no noise explains. Times and
// sizes depend on the machine, so ratios alone can show one.
func (r row) broken() bool {
	return r.Failed == "" && r.Goal != (goal{}) && r.Goal.Unit == "" && !r.Goal.met(r.Value, farOff)
}

// ratioRow is a row whose value is a ratio.
func ratioRow(name string, g goal, ratio float64, format string, args ...any) row {
	return row{Name: name, Goal: g, Value: ratio, Ratio: ratio, Measured: fmt.Sprintf(format, args...)}
}

// grouped is a whole number with commas between the thousands.
func grouped[N int | int64 | float64](n N) string {
	s := strconv.FormatFloat(float64(n), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
