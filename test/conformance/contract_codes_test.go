package conformance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestTheContractHasTheErrorCodesOfTheService(t *testing.T) {
	described := enum(loadedContract().schema("ErrorCode"))
	equalSets(t, "error codes", described, codesInSource(t))
	equalSets(t, "explained error codes", described, codesInDocs(t))
}

// codesInDocs lists the error codes of the table in docs/errors.md.
func codesInDocs(t *testing.T) (codes []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| [45][0-9]{2} \\| `([a-z0-9_]+)` \\|").FindAllSubmatch(page, -1) {
		codes = append(codes, string(row[1]))
	}
	return codes
}

// codesInSource lists the error codes that the source of the handlers and of what
// hands them requests names: the strings that it gives to a field or a parameter called code. One that is not written there
// as a literal fails the test, because it would be missed.
func codesInSource(t *testing.T) (codes []string) {
	t.Helper()
	files := sourceFiles(t)
	takers := map[string]int{} // functions that take a code, and which argument it is
	for _, file := range files {
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				if i := position(f.Type.Params, "code"); i >= 0 {
					takers[f.Name.Name] = i
				}
			}
		}
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			for _, given := range codesGiven(n, takers) {
				if code := literal(t, given); code != "" && !slices.Contains(codes, code) {
					codes = append(codes, code)
				}
			}
			return true
		})
	}
	return codes
}

func sourceFiles(t *testing.T) (files []*ast.File) {
	t.Helper()
	var names []string
	for _, folder := range []string{"../../shared/api", "../../shared/lambdahttp"} {
		found, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(found), err)
		}
		names = append(names, found...)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// codesGiven lists what a node of the source gives for a code.
func codesGiven(n ast.Node, takers map[string]int) (given []ast.Expr) {
	switch n := n.(type) {
	case *ast.KeyValueExpr: // fault{Code: "required"}
		if lastName(n.Key) == "Code" {
			given = append(given, n.Value)
		}
	case *ast.CallExpr: // p.fault(pointer, "required", "is missing")
		if i, ok := takers[lastName(n.Fun)]; ok {
			given = append(given, n.Args[i])
		}
	case *ast.CompositeLit: // a table of structs that have a code, like kinds
		table, isTable := n.Type.(*ast.ArrayType)
		if !isTable {
			break
		}
		row, isStruct := table.Elt.(*ast.StructType)
		if !isStruct || position(row.Fields, "code") < 0 {
			break
		}
		for _, element := range n.Elts {
			given = append(given, element.(*ast.CompositeLit).Elts[position(row.Fields, "code")])
		}
	}
	return given
}

// literal is the string that is written there, "" where a code that was given before
// is passed on.
func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	if strings.EqualFold(lastName(e), "code") {
		return ""
	}
	text, ok := e.(*ast.BasicLit)
	if !ok {
		t.Errorf("the source gives a code that is no literal: %T %s", e, lastName(e))
		return ""
	}
	code, err := strconv.Unquote(text.Value)
	if err != nil {
		t.Error(err)
	}
	return code
}

// lastName is the last part of a name such as p.fault, "" for other expressions.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	default:
		return ""
	}
}

// position is which of the fields or parameters is the string of that name, -1 when
// none is.
func position(fields *ast.FieldList, name string) int {
	i := 0
	for _, field := range fields.List {
		for _, ident := range field.Names {
			if ident.Name == name && lastName(field.Type) == "string" {
				return i
			}
			i++
		}
	}
	return -1
}
