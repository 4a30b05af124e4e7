package template

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// This file evaluates CloudWatch's metric math, as far as template.yaml uses it, by the rules of
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html.

// A series has a value for each period, NaN where there is none.
type series []float64

var missing = math.NaN()

// A quantity is a series, or a scalar if the series is nil.
type quantity struct {
	series
	scalar float64
}

// at is the value in a period.
func (q quantity) at(period int) float64 {
	if q.series == nil {
		return q.scalar
	}
	return q.series[period]
}

// evaluate returns the series that an expression makes of others, which are as long as each other.
func evaluate(expression string, metrics map[string]series) (series, error) {
	// The operators that Go has not, as those that it has. The rest of the syntax is the same.
	text := strings.NewReplacer(" AND ", " && ", " OR ", " || ").Replace(expression)
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	e := evaluation{metrics: metrics}
	for _, s := range metrics {
		e.periods = len(s)
	}
	q := e.value(tree)
	if q.series == nil && e.err == nil {
		e.err = errors.New("the result is not a series")
	}
	return q.series, e.err
}

type evaluation struct {
	metrics map[string]series
	periods int
	err     error // the first
}

func (e *evaluation) fail(format string, args ...any) quantity {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
	return quantity{}
}

func (e *evaluation) value(node ast.Expr) quantity {
	switch n := node.(type) {
	case *ast.ParenExpr:
		return e.value(n.X)
	case *ast.BasicLit:
		number, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			return e.fail("%s is not a number", n.Value)
		}
		return quantity{scalar: number}
	case *ast.Ident:
		s, ok := e.metrics[n.Name]
		if !ok {
			return e.fail("unknown metric %s", n.Name)
		}
		return quantity{series: s}
	case *ast.BinaryExpr:
		operator, ok := operators[n.Op]
		if !ok {
			return e.fail("unsupported operator %s", n.Op)
		}
		return e.combine(operator, e.value(n.X), e.value(n.Y))
	case *ast.CallExpr:
		return e.call(n)
	default:
		return e.fail("unsupported syntax %T", node)
	}
}

var operators = map[token.Token]func(a, b float64) float64{
	token.ADD: func(a, b float64) float64 { return a + b },
	token.SUB: func(a, b float64) float64 { return a - b },
	token.MUL: func(a, b float64) float64 { return a * b },
	token.QUO: func(a, b float64) float64 {
		if b == 0 {
			return missing // "If ... divide by zero, the data point is dropped."
		}
		return a / b
	},
	token.EQL:  func(a, b float64) float64 { return truth(a == b) },
	token.NEQ:  func(a, b float64) float64 { return truth(a != b) },
	token.LSS:  func(a, b float64) float64 { return truth(a < b) },
	token.LEQ:  func(a, b float64) float64 { return truth(a <= b) },
	token.GTR:  func(a, b float64) float64 { return truth(a > b) },
	token.GEQ:  func(a, b float64) float64 { return truth(a >= b) },
	token.LAND: func(a, b float64) float64 { return truth(a != 0 && b != 0) },
	token.LOR:  func(a, b float64) float64 { return truth(a != 0 || b != 0) },
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// combine is an operator between two quantities. Where one of two series has no value, it is 0;
// where neither has one, or a series has none beside a scalar, the result has none.
func (e *evaluation) combine(operator func(a, b float64) float64, x, y quantity) quantity {
	if x.series == nil && y.series == nil {
		return quantity{scalar: operator(x.scalar, y.scalar)}
	}
	both := x.series != nil && y.series != nil
	return e.each(func(period int) float64 {
		a, b := x.at(period), y.at(period)
		switch {
		case math.IsNaN(a) && math.IsNaN(b), !both && (math.IsNaN(a) || math.IsNaN(b)):
			return missing
		case math.IsNaN(a):
			a = 0
		case math.IsNaN(b):
			b = 0
		}
		return operator(a, b)
	})
}

func (e *evaluation) each(value func(period int) float64) quantity {
	s := make(series, e.periods)
	for period := range s {
		s[period] = value(period)
	}
	return quantity{series: s}
}

func (e *evaluation) call(n *ast.CallExpr) quantity {
	name := fmt.Sprint(n.Fun)
	var args []quantity
	for _, a := range n.Args {
		args = append(args, e.value(a))
	}
	switch {
	case name == "FILL" && len(args) == 2 && args[0].series != nil && args[1].series == nil:
		return e.each(func(period int) float64 {
			if v := args[0].at(period); !math.IsNaN(v) {
				return v
			}
			return args[1].scalar
		})
	case name == "IF" && len(args) == 3 && args[0].series != nil:
		return e.each(func(period int) float64 { return choose(args[0].at(period), args[1].at(period), args[2].at(period)) })
	default:
		return e.fail("unsupported call of %s", name)
	}
}

// choose is IF for one period. A missing second argument counts as 0, a missing third one drops the
// period, and so does a missing condition.
func choose(condition, yes, no float64) float64 {
	switch {
	case math.IsNaN(condition):
		return missing
	case condition == 0:
		return no
	case math.IsNaN(yes):
		return 0
	default:
		return yes
	}
}

// The examples of AWS's documentation, and its sentences on what is missing.
func TestMetricMathIsEvaluatedAsDocumented(t *testing.T) {
	const x = "-"
	for _, tt := range []struct{ expression, m1, m2, m3, want string }{
		{"m1 < m2", "30 20 0 0", "20 - 20 -", "", "0 0 1 0"},
		{"m1 >= 30", "30 20 0 0", "", "", "1 0 0 0"},
		{"m1 > 15 AND m2 > 15", "30 20 0 0", "20 - 20 -", "", "1 0 0 0"},
		{"m1 > 15 OR m2 > 15", "30 - 0 -", "0 20 0 -", "", "1 1 0 -"},
		{"IF(m1, m2, m3)", "1 1 0 0 -", "30 - 0 0 30", "0 0 20 - 20", "30 0 20 - -"},
		{"IF(m1, 5, m3)", "1 1 0 0 -", "", "0 0 20 - 20", "5 5 20 - -"},
		{"IF(m1, m2, 5)", "1 1 0 0 -", "30 - 0 0 30", "", "30 0 5 5 -"},
		{"IF(m1 < 400, 10, 2)", "399 400 -", "", "", "10 2 -"},
		{"m1 + m2", "1 - 3 -", "10 20 - -", "", "11 20 3 -"},
		{"5 * m1 - 1", "1 - 3", "", "", "4 - 14"},
		{"m1 / m2", "1 2 -", "0 4 5", "", "- 0.5 0"},
		{"(m1 - m2) / m1", "4 8", "1 8", "", "0.75 0"},
		{"FILL(m1, 10)", "1 - 0", "", "", "1 10 0"},
		{"FILL(m1, 0) == 0", "- - -", "", "", "1 1 1"},
		{"m1 == 0", "- - -", "", "", "- - -"},
		{"IF(2 > 1 AND 1 != 1, m1, m2)", "1", "2", "", "error"},
		{"FILL(m1, REPEAT)", "1 -", "", "", "error"},
		{"MAX(m1)", "1", "", "", "error"},
		{"1 + 1", "1", "", "", "error"},
		{"m4", "1", "", "", "error"},
		{"m1 +", "1", "", "", "error"},
	} {
		n := len(strings.Fields(tt.m1))
		metrics := map[string]series{}
		for name, values := range map[string]string{"m1": tt.m1, "m2": tt.m2, "m3": tt.m3} {
			if values == "" {
				values = strings.Repeat(x+" ", n)
			}
			metrics[name] = parseSeries(t, values)
		}
		got := "error"
		if s, err := evaluate(tt.expression, metrics); err == nil {
			got = s.String()
		}
		if got != tt.want {
			t.Errorf("%s of %s, %s, %s is %s, want %s", tt.expression, tt.m1, tt.m2, tt.m3, got, tt.want)
		}
	}
}

// parseSeries parses values as the tables of the documentation have them.
func parseSeries(t *testing.T, text string) (s series) {
	t.Helper()
	for field := range strings.FieldsSeq(text) {
		value, err := strconv.ParseFloat(field, 64)
		if field == "-" {
			value, err = missing, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, value)
	}
	return s
}

func (s series) String() string {
	var texts []string
	for _, v := range s {
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if math.IsNaN(v) {
			text = "-"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

// An evaluator decides whether an alarm is on; see
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
type evaluator struct {
	breaches             func(value float64) bool
	datapoints, outOf    int
	missingDataBreaching bool
}

// extraDatapoints is how many more CloudWatch retrieves than an alarm evaluates.
const extraDatapoints = 2

// alarms reports whether the alarm is on at the end of a series. Of the values in the last periods
// it takes the last ones, as many as it evaluates. If there are fewer, missing data takes part.
func (e evaluator) alarms(s series) bool {
	s = s[max(0, len(s)-e.outOf-extraDatapoints):]
	s = slices.DeleteFunc(slices.Clone(s), math.IsNaN)
	s = s[max(0, len(s)-e.outOf):]
	breaching := 0
	for _, v := range s {
		if e.breaches(v) {
			breaching++
		}
	}
	if e.missingDataBreaching {
		breaching += e.outOf - len(s)
	}
	return breaching >= e.datapoints
}

// Both tables of the documentation: 0 is within the threshold, 1 is not.
func TestAlarmsAreEvaluatedAsDocumented(t *testing.T) {
	for _, tt := range []struct {
		values                  string
		datapoints              int
		breaching, notBreaching bool
	}{
		{"0 - 1 - 1", 3, false, false},
		{"0 - - - -", 3, false, false},
		{"- - - - -", 3, true, false},
		{"0 1 1 - 1", 3, true, true},
		{"- - - - 1", 3, true, false},
		{"1 - - - -", 3, true, false},
		{"0 - 1 - 1", 2, true, true},
		{"0 0 1 0 1", 2, true, true},
		{"0 - 1 - -", 2, true, false},
		{"- - - - 0", 2, true, false},
		{"- - - - 1", 2, true, false},
	} {
		for missingDataBreaching, want := range map[bool]bool{true: tt.breaching, false: tt.notBreaching} {
			e := evaluator{func(v float64) bool { return v > 0 }, tt.datapoints, 3, missingDataBreaching}
			if got := e.alarms(parseSeries(t, tt.values)); got != want {
				t.Errorf("%d of 3 of %s, missing data breaching %t: alarm %t, want %t", tt.datapoints, tt.values, missingDataBreaching, got, want)
			}
		}
	}
}
