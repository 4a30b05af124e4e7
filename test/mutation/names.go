package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A deployment is one of the two ways to run the service.
type deployment string

const (
	embedded deployment = "embedded"
	onAWS    deployment = "AWS"
)

// deploymentsOf returns those that a file or a folder, named from the root of the module and with
// a slash at its end, belongs to. The tests of the test tools belong to neither.
func deploymentsOf(name string) []deployment {
	for _, part := range []struct {
		folder      string
		deployments []deployment
	}{
		{"shared/sqlite/", []deployment{embedded}},
		{"cmd/orders/", []deployment{embedded}},
		{"test/ledger/", []deployment{embedded}},
		{"test/crash/", []deployment{embedded}},
		{"test/bench/", nil},
		{"shared/order/", []deployment{embedded, onAWS}},
		{"test/conformance/", []deployment{embedded, onAWS}},
		{"test/chaos/", nil},
		{"tools/eventsource/", nil},
		{"shared/api/", []deployment{embedded, onAWS}},
	} {
		if strings.HasPrefix(name, part.folder) {
			return part.deployments
		}
	}
	return []deployment{onAWS}
}

// reference is a fault or an invariant, or a range of them: F7, I1..I4, "I1 to I12".
var reference = regexp.MustCompile(`\b([FI])([1-9][0-9]?)\b(?:(?:\.\.| to |-)([FI])([1-9][0-9]?)\b)?`)

// ids returns the faults and invariants that a text names, each once.
func ids(text string) (found []string) {
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(m[2])
		last := first
		if m[3] == m[1] {
			last, _ = strconv.Atoi(m[4])
		}
		for n := first; n <= last; n++ {
			if id := m[1] + strconv.Itoa(n); !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
	}
	return found
}

// A coverage holds what is covered: "I4", "F7", and "F7 on AWS" for a deployment.
type coverage map[string]bool

func (c coverage) add(ids []string, on []deployment) {
	for _, id := range ids {
		for _, d := range on {
			c[id], c[id+" on "+string(d)] = true, true
		}
	}
}

func coveredBy(mutants []mutant) coverage {
	c := coverage{}
	for _, m := range mutants {
		c.add(m.ids, m.deployments())
	}
	return c
}

// A row of the table of invariants, and one of faults. A cell in italics says why a fault cannot
// happen on a deployment.
var (
	invariantRow = regexp.MustCompile(`(?m)^\| (I[0-9]+) \| .+ \|$`)
	faultRow     = regexp.MustCompile(`(?m)^\| (F[0-9]+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$`)
)

// parseInvariants reads the numbers of the table in docs/design.md.
func parseInvariants(page string) (list []string) {
	for _, row := range invariantRow.FindAllStringSubmatch(page, -1) {
		list = append(list, row[1])
	}
	return list
}

// parseFaults reads the table in docs/verification.md: each fault on each deployment on which it can
// happen.
func parseFaults(page string) (list []string) {
	for _, row := range faultRow.FindAllStringSubmatch(page, -1) {
		for i, d := range []deployment{embedded, onAWS} {
			if row[2+i][0] != '*' {
				list = append(list, row[1]+" on "+string(d))
			}
		}
	}
	return list
}

// Tests name ids in comments. Those of test/conformance are sentences in tables, which name them, too.
var (
	comment  = regexp.MustCompile(`(?m)(?:^|\s)//.*`)
	sentence = regexp.MustCompile(`(?m)^\s*\{".*|(?:^|\s)//.*`)
)

// coveredByTests reads the tests below the root of the module.
func coveredByTests(root string) (coverage, error) {
	c := coverage{}
	for _, folder := range []string{"cmd", "functions", "shared", "test", "tools"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			isSentences := strings.HasPrefix(name, "test/conformance/") && strings.HasSuffix(name, ".go")
			if err != nil || !isSentences && !strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/mutation/") {
				return err
			}
			source, err := os.ReadFile(path)
			naming := comment
			if isSentences {
				naming = sentence
			}
			c.add(ids(strings.Join(naming.FindAllString(string(source), -1), " ")), deploymentsOf(name))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}
