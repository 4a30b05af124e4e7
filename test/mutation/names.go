package main

import (
	"fmt"
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

// A fault is one that the service survives.
type fault struct {
	id string
	on []deployment // those on which it can happen
}

// A row of the table of invariants, and one of faults. A cell in italics says why a fault cannot
// happen on a deployment.
var (
	invariantRow = regexp.MustCompile(`(?m)^\| (I[0-9]+) \| .+ \|$`)
	faultRow     = regexp.MustCompile(`(?m)^\| (F[0-9]+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$`)
)

// loadInvariants reads the numbers of the table in docs/design.md.
func loadInvariants(root string) (list []string, err error) {
	text, err := os.ReadFile(filepath.Join(root, "docs/design.md"))
	for _, row := range invariantRow.FindAllSubmatch(text, -1) {
		list = append(list, string(row[1]))
	}
	return list, err
}

// loadFaults reads the table in docs/verification.md.
func loadFaults(root string) (list []fault, err error) {
	text, err := os.ReadFile(filepath.Join(root, "docs/verification.md"))
	for _, row := range faultRow.FindAllSubmatch(text, -1) {
		f := fault{id: string(row[1])}
		for i, d := range []deployment{embedded, onAWS} {
			if row[2+i][0] != '*' {
				f.on = append(f.on, d)
			}
		}
		list = append(list, f)
	}
	return list, err
}

// evidence is what shows that a fault is survived and that an invariant holds.
type evidence struct {
	tests      map[string][]string // the ids that tests name, by file from the root of the module
	mutants    []mutant
	invariants []string
	faults     []fault
}

// gather reads all of it below the root of the module.
func gather(root string) (e evidence, err error) {
	if e.mutants, err = loadMutants(root); err != nil {
		return e, err
	}
	if e.tests, err = namingTests(root); err != nil {
		return e, err
	}
	if e.invariants, err = loadInvariants(root); err != nil {
		return e, err
	}
	e.faults, err = loadFaults(root)
	return e, err
}

// hasTest reports whether tests of one of the deployments name a fault or an invariant.
func (e evidence) hasTest(id string, on ...deployment) bool {
	for file, ids := range e.tests {
		if slices.Contains(ids, id) && overlap(deploymentsOf(file), on) {
			return true
		}
	}
	return false
}

// hasMutant reports whether a mutant on one of the deployments is there for a fault or an
// invariant.
func (e evidence) hasMutant(id string, on ...deployment) bool {
	return slices.ContainsFunc(e.mutants, func(m mutant) bool {
		return slices.Contains(m.ids, id) && overlap(m.deployments(), on)
	})
}

func overlap(a, b []deployment) bool {
	return slices.ContainsFunc(a, func(d deployment) bool { return slices.Contains(b, d) })
}

// gaps returns the faults and invariants without a test or a mutant, where they exist.
func (e evidence) gaps() (missing []string) {
	look := func(id, where string, on ...deployment) {
		if !e.hasTest(id, on...) {
			missing = append(missing, fmt.Sprintf("%s%s: no test names it", id, where))
		}
		if !e.hasMutant(id, on...) {
			missing = append(missing, fmt.Sprintf("%s%s: no mutant is there for it", id, where))
		}
	}
	for _, f := range e.faults {
		for _, d := range f.on {
			look(f.id, " on "+string(d), d)
		}
	}
	for _, i := range e.invariants {
		look(i, "", embedded, onAWS)
	}
	return missing
}

// Tests name ids in comments. Those of test/conformance are sentences in tables, which name them, too.
var (
	comment  = regexp.MustCompile(`(?m)(?:^|\s)//.*`)
	sentence = regexp.MustCompile(`(?m)^\s*\{".*|(?:^|\s)//.*`)
)

// namingTests returns the ids that tests name, by file from the root of the module.
func namingTests(root string) (map[string][]string, error) {
	tests := map[string][]string{}
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
			tests[name] = ids(strings.Join(naming.FindAllString(string(source), -1), " "))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return tests, nil
}
