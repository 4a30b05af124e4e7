package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// An edit changes one place within a declaration. It is written in one of these forms:
//
//	if => EXPR            the condition of an if statement
//	for => EXPR           the condition of a loop, or the value that it ranges over
//	case => EXPR          the expressions of a case
//	return => EXPR        the results of a return statement
//	set NAME => EXPR      the value given to a variable, a constant, or a field of a literal
//	call NAME => EXPR     a call of a function, or a conversion to a type
//	delete set NAME       the statement, or the element of a list, that sets or calls NAME
//	delete call NAME
//	text "OLD" => "NEW"   any text of the declaration; also in files that are not Go
//
// "if 2 of 3" is the second of three conditions; without a number there must be one only, so a
// place that is added is noticed. NAME may be the end of a qualified name: Add names t.tally.Add.
// In EXPR, a $ stands for the original.
type edit struct {
	kind  string
	name  string // NAME, or OLD
	n, of int    // 1 and 1 where there is no number
	del   bool
	new   string
}

var (
	textEdit = regexp.MustCompile("^text (\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`) => (\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`)$")
	codeEdit = regexp.MustCompile(`^(?:(if|for|case|return)|(delete )?(set|call) ([\w.]+))(?: (\d+) of (\d+))?(?: => (.+))?$`)
)

func parseEdit(text string) (edit, error) {
	if parts := textEdit.FindStringSubmatch(text); parts != nil {
		old, err := strconv.Unquote(parts[1])
		replacement, newErr := strconv.Unquote(parts[2])
		return edit{kind: "text", name: old, n: 1, of: 1, new: replacement}, errors.Join(err, newErr)
	}
	parts := codeEdit.FindStringSubmatch(text)
	if parts == nil || (parts[2] == "") == (parts[7] == "") {
		return edit{}, fmt.Errorf("%q is no edit", text)
	}
	e := edit{kind: parts[1] + parts[3], name: parts[4], n: 1, of: 1, del: parts[2] != "", new: parts[7]}
	if parts[5] != "" {
		e.n, _ = strconv.Atoi(parts[5])
		e.of, _ = strconv.Atoi(parts[6])
	}
	return e, nil
}

// String returns the form that parseEdit reads, without the new text.
func (e edit) String() string {
	text := strings.TrimSpace(e.kind + " " + e.name)
	if e.kind == "text" {
		text = "text " + strconv.Quote(e.name)
	}
	if e.of > 1 {
		text += fmt.Sprintf(" %d of %d", e.n, e.of)
	}
	return text
}

// apply returns the text of the scope's file after the edit.
func (e edit) apply(s scope) ([]byte, error) {
	found := e.find(s)
	if len(found) != e.of || e.n < 1 || e.n > e.of {
		return nil, fmt.Errorf("%s has %d places for %q", s.file, len(found), e)
	}
	p := found[e.n-1]
	if e.del && p.whole == (span{}) {
		return nil, fmt.Errorf("%s: %s is no part of a block or a list", s.file, e)
	}
	if e.del {
		return s.replace(p.whole, ""), nil
	}
	replacement := e.new
	if e.kind != "text" {
		replacement = strings.ReplaceAll(e.new, "$", string(s.source[p.from:p.to]))
	}
	return s.replace(p.span, replacement), nil
}

func (e edit) find(s scope) (found []place) {
	if e.kind != "text" {
		return slices.DeleteFunc(s.places(), func(p place) bool {
			return p.kind != e.kind || p.name != e.name && !strings.HasSuffix(p.name, "."+e.name)
		})
	}
	within := s.source[s.from:s.to]
	for at := 0; ; at++ {
		i := bytes.Index(within[at:], []byte(e.name))
		if i < 0 {
			return found
		}
		at += i
		found = append(found, place{span: span{s.from + at, s.from + at + len(e.name)}})
	}
}

// A span is a part of a file, in bytes.
type span struct{ from, to int }

// A scope is the part of a file in which an edit looks for its place.
type scope struct {
	file   string // from the root of the module
	source []byte
	span
	node ast.Node // nil in a file that is not Go
	base token.Pos
}

func (s scope) replace(p span, text string) []byte {
	return slices.Concat(s.source[:p.from], []byte(text), s.source[p.to:])
}

func (s scope) spanOf(from, to token.Pos) span { return span{int(from - s.base), int(to - s.base)} }

// fileScope returns a whole file.
func fileScope(root, name string) (scope, error) {
	source, err := os.ReadFile(filepath.Join(root, name))
	return scope{file: name, source: source, span: span{0, len(source)}}, err
}

// declScope finds a declaration of the package in a folder: a function, Type.Method, a type, a
// variable or a constant. Tests, and files for other systems, are left out.
func declScope(root, folder, name string) (found scope, err error) {
	pkg, err := build.ImportDir(filepath.Join(root, folder), 0)
	if err != nil {
		return scope{}, err
	}
	count := 0
	for _, file := range pkg.GoFiles {
		declared, err := declarations(root, path.Join(folder, file))
		if err != nil {
			return scope{}, err
		}
		if s, ok := declared[name]; ok {
			found, count = s, count+1
		}
	}
	if count != 1 {
		return scope{}, fmt.Errorf("%s declares %s %d times, not once", folder, name, count)
	}
	return found, nil
}

// declarations returns those at the top level of a file, by name.
func declarations(root, file string) (map[string]scope, error) {
	whole, err := fileScope(root, file)
	if err != nil {
		return nil, err
	}
	tree, err := parser.ParseFile(token.NewFileSet(), file, whole.source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	whole.base = tree.FileStart
	found := map[string]scope{}
	add := func(name string, node ast.Node) {
		s := whole
		s.node, s.span = node, s.spanOf(node.Pos(), node.End())
		found[name] = s
	}
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = nameOf(d.Recv.List[0].Type) + "." + name
			}
			add(name, d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok {
					add(t.Name.Name, t)
				} else if v, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range v.Names {
						add(name.Name, v)
					}
				}
			}
		}
	}
	return found, nil
}

// A place is one that an edit can name.
type place struct {
	kind, name string
	span            // replaced by an edit
	whole      span // removed by a deletion: the statement, or the element of a list
}

// places returns those of a declaration, in their order.
func (s scope) places() (found []place) {
	if s.node == nil {
		return nil
	}
	ast.PreorderStack(s.node, nil, func(n ast.Node, stack []ast.Node) bool {
		add := func(kind, name string, all ...ast.Expr) {
			if len(all) > 0 && all[0] != nil {
				found = append(found, place{kind, name, s.spanOf(all[0].Pos(), all[len(all)-1].End()), s.whole(n, stack)})
			}
		}
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, name := range n.Lhs {
				if len(n.Lhs) == len(n.Rhs) {
					add("set", nameOf(name), n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			for i, value := range n.Values {
				add("set", n.Names[i].Name, value)
			}
		default:
			kind, name, all := part(n)
			add(kind, name, all...)
		}
		return true
	})
	slices.SortStableFunc(found, func(a, b place) int { return cmp.Compare(a.from, b.from) })
	return found
}

// part returns what an edit can name of a node that is no assignment.
func part(n ast.Node) (kind, name string, all []ast.Expr) {
	switch n := n.(type) {
	case *ast.IfStmt:
		return "if", "", []ast.Expr{n.Cond}
	case *ast.ForStmt:
		return "for", "", []ast.Expr{n.Cond}
	case *ast.RangeStmt:
		return "for", "", []ast.Expr{n.X}
	case *ast.CaseClause:
		return "case", "", n.List
	case *ast.ReturnStmt:
		return "return", "", n.Results
	case *ast.CallExpr:
		return "call", nameOf(n.Fun), []ast.Expr{n}
	case *ast.KeyValueExpr:
		return "set", nameOf(n.Key), []ast.Expr{n.Value}
	default:
		return "", "", nil
	}
}

// nameOf returns a.b.c for such an expression, and what there is of that for others.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return strings.TrimPrefix(nameOf(e.X)+"."+e.Sel.Name, ".")
	case *ast.IndexExpr:
		return nameOf(e.X)
	case *ast.StarExpr:
		return nameOf(e.X)
	case *ast.ParenExpr:
		return nameOf(e.X)
	case *ast.BasicLit:
		return strings.Trim(e.Value, "\"`")
	default:
		return ""
	}
}

// whole returns the smallest statement of a block, or element of a list, that holds a node. It
// returns the zero span when there is none.
func (s scope) whole(n ast.Node, stack []ast.Node) span {
	for _, parent := range slices.Backward(stack) {
		switch parent := parent.(type) {
		case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
			if _, ok := n.(ast.Stmt); ok {
				return s.spanOf(n.Pos(), n.End())
			}
		case *ast.CallExpr:
			if n != parent.Fun {
				return s.element(n)
			}
		case *ast.CompositeLit:
			if n != parent.Type {
				return s.element(n)
			}
		}
		n = parent
	}
	return span{}
}

// element returns the span of an element of a list, with its comma.
func (s scope) element(n ast.Node) span {
	p := s.spanOf(n.Pos(), n.End())
	rest := bytes.TrimLeft(s.source[p.to:], " \t\n")
	if bytes.HasPrefix(rest, []byte(",")) {
		p.to = len(s.source) - len(rest) + 1
	}
	return p
}
