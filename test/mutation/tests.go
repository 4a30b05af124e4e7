package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A proofTest is a test that names what it shows.
type proofTest struct {
	name  string
	file  string // from the root of the module
	holds []string
}

func (p proofTest) shows(id string, h home) bool {
	return slices.Contains(p.holds, id) && slices.Contains(homesOf(p.file), h)
}

// proofTests finds all tests below root that name a fault or an invariant: in a comment
// within the test, or between it and the one before, where its table and its helpers
// stand. The sentences of the specification (test/conformance) name theirs themselves.
func proofTests(root string) (found []proofTest, err error) {
	tree := os.DirFS(root)
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && leftOut.MatchString(name):
			return fs.SkipDir
		case strings.HasSuffix(name, "_test.go"), strings.HasPrefix(name, specification) && strings.HasSuffix(name, ".go"):
			tests, err := testsIn(tree, name)
			found = append(found, tests...)
			return err
		default:
			return nil
		}
	})
	return found, err
}

// specification is the folder whose tests are sentences in tables.
const specification = "test/conformance/"

// leftOut are folders of tools, of data, and of this program.
var leftOut = regexp.MustCompile(`^(mutation|(.*/)?testdata|(.*/)?\..*)$`)

// testsIn are the tests of one file that name something.
func testsIn(tree fs.FS, name string) ([]proofTest, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("look for tests: %w", err)
	}
	tests := commented(file, name)
	if strings.HasPrefix(name, specification) {
		tests = append(tests, sentences(file, name)...)
	}
	return tests, nil
}

var testFunction = regexp.MustCompile(`^(Test|Fuzz)[A-Z]`)

// commented are the tests of a file with what their comments name.
func commented(file *ast.File, name string) (found []proofTest) {
	var tests []*ast.FuncDecl
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && testFunction.MatchString(f.Name.Name) {
			tests = append(tests, f)
		}
	}
	above := file.Package
	for _, f := range tests {
		if holds := ids(comments(file, above, f.End())); len(holds) > 0 {
			found = append(found, proofTest{f.Name.Name, name, holds})
		}
		above = f.End()
	}
	return found
}

// comments are those of a file between two places.
func comments(file *ast.File, from, to token.Pos) string {
	var b strings.Builder
	for _, c := range file.Comments {
		if from < c.Pos() && c.Pos() < to {
			b.WriteString(" " + c.Text())
		}
	}
	return b.String()
}

// sentences are those of the specification, the first field of each test in its tables,
// with what they name and what the comments above them and in them do.
func sentences(file *ast.File, name string) (found []proofTest) {
	ast.Inspect(file, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		above := table.Lbrace
		for _, entry := range table.Elts {
			if sentence, ok := sentenceOf(entry); ok {
				if holds := ids(sentence + " " + comments(file, above, entry.End())); len(holds) > 0 {
					found = append(found, proofTest{"TestConformance/" + sentence, name, holds})
				}
			}
			above = entry.End()
		}
		return true
	})
	return found
}

// sentenceOf is that of an entry such as {"an order is …", func(t *tester) {…}}.
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
