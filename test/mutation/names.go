package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
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
func loadInvariants(root fs.FS) (list []string, err error) {
	text, err := fs.ReadFile(root, "docs/design.md")
	for _, row := range invariantRow.FindAllSubmatch(text, -1) {
		list = append(list, string(row[1]))
	}
	return list, err
}

// loadFaults reads the table in docs/verification.md.
func loadFaults(root fs.FS) (list []fault, err error) {
	text, err := fs.ReadFile(root, "docs/verification.md")
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
	tests      []namingTest
	mutants    []mutant
	invariants []string
	faults     []fault
}

// gather reads all of it below the root of the module.
func gather(root fs.FS) (e evidence, err error) {
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

// hasTest reports whether a test on one of the deployments names a fault or an invariant.
func (e evidence) hasTest(id string, on ...deployment) bool {
	return slices.ContainsFunc(e.tests, func(t namingTest) bool {
		return slices.Contains(t.ids, id) && overlap(deploymentsOf(t.file), on)
	})
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

// A namingTest is a test that names the faults and invariants that it shows.
type namingTest struct {
	name string
	file string // from the root of the module
	ids  []string
}

// namingTests finds all of them below root. A test names an id in a comment: within the test, or
// between it and the test before, where its table and its helpers stand. The tests of
// test/conformance are the sentences in its tables.
func namingTests(root fs.FS) (found []namingTest, err error) {
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && leftOut.MatchString(name):
			return fs.SkipDir
		case strings.HasSuffix(name, "_test.go"), strings.HasPrefix(name, conformance) && strings.HasSuffix(name, ".go"):
			tests, err := testsIn(root, name)
			found = append(found, tests...)
			return err
		default:
			return nil
		}
	})
	return found, err
}

// conformance is the folder whose tests are sentences in tables.
const conformance = "test/conformance/"

// leftOut matches the folders of tools, of data, and of this program.
var leftOut = regexp.MustCompile(`^(test/mutation|(.*/)?testdata|(.*/)?\..*)$`)

func testsIn(root fs.FS, name string) ([]namingTest, error) {
	source, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("look for tests: %w", err)
	}
	tests := commented(file, name)
	if strings.HasPrefix(name, conformance) {
		tests = append(tests, sentences(file, name)...)
	}
	return tests, nil
}

var testFunction = regexp.MustCompile(`^(Test|Fuzz)[A-Z]`)

// commented returns the test functions of a file whose comments name an id.
func commented(file *ast.File, name string) (found []namingTest) {
	above := file.Package
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !testFunction.MatchString(f.Name.Name) {
			continue
		}
		if named := ids(comments(file, above, f.End())); len(named) > 0 {
			found = append(found, namingTest{f.Name.Name, name, named})
		}
		above = f.End()
	}
	return found
}

// comments returns those of a file between two places.
func comments(file *ast.File, from, to token.Pos) string {
	var b strings.Builder
	for _, c := range file.Comments {
		if from < c.Pos() && c.Pos() < to {
			b.WriteString(" " + c.Text())
		}
	}
	return b.String()
}

// sentences returns the tests of tables that name an id, in their sentence or in a comment above
// or within them.
func sentences(file *ast.File, name string) (found []namingTest) {
	ast.Inspect(file, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		above := table.Lbrace
		for _, entry := range table.Elts {
			if sentence, ok := sentenceOf(entry); ok {
				if named := ids(sentence + " " + comments(file, above, entry.End())); len(named) > 0 {
					found = append(found, namingTest{"TestConformance/" + sentence, name, named})
				}
			}
			above = entry.End()
		}
		return true
	})
	return found
}

// sentenceOf returns the sentence of an entry such as {"an order is …", func(t *tester) {…}}.
func sentenceOf(entry ast.Expr) (sentence string, ok bool) {
	literal, isLiteral := entry.(*ast.CompositeLit)
	if !isLiteral || len(literal.Elts) < 2 {
		return "", false
	}
	text, isText := literal.Elts[0].(*ast.BasicLit)
	_, isTest := literal.Elts[1].(*ast.FuncLit)
	if !isText || !isTest || text.Kind != token.STRING {
		return "", false
	}
	sentence, err := strconv.Unquote(text.Value)
	return sentence, err == nil
}
