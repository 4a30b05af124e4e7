package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestConvert turns the lists in Go of the folder OLD into the lists in text of the folder NEW.
// Each edit is seen to give the source that the old form gives, but for spaces and commas.
func TestConvert(t *testing.T) {
	kinds := map[string]int{}
	total := 0
	files, _ := filepath.Glob(filepath.Join(os.Getenv("OLD"), "mutants_*.go"))
	for _, file := range files {
		var out strings.Builder
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			doc := strings.Join(strings.Fields(g.Doc.Text()), " ")
			_, doc, _ = strings.Cut(doc, " ")
			if out.Len() > 0 {
				out.WriteString("\n")
			}
			subject := "These protections "
			if strings.HasPrefix(doc, "change ") || strings.HasPrefix(doc, "are taken out") {
				subject = "These mutants "
			}
			out.WriteString(wrapped(subject + doc))
			for _, e := range g.Specs[0].(*ast.ValueSpec).Values[0].(*ast.CompositeLit).Elts {
				total++
				lines, kind, err := convert(fields(t, e.(*ast.CompositeLit)))
				if err != nil {
					t.Error(err)
					continue
				}
				kinds[kind]++
				out.WriteString("\n" + lines)
			}
		}
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "mutants_"), ".go") + ".txt"
		if err := os.WriteFile(filepath.Join(os.Getenv("NEW"), name), []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d mutants: %v", total, kinds)
}

func wrapped(text string) string {
	line, all := "#", ""
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 100 {
			all, line = all+line+"\n", "#"
		}
		line += " " + word
	}
	return all + line + "\n"
}

func fields(t *testing.T, l *ast.CompositeLit) map[string]string {
	m := map[string]string{}
	for _, e := range l.Elts {
		kv := e.(*ast.KeyValueExpr)
		key := kv.Key.(*ast.Ident).Name
		if key == "rapid" || key == "chaos" || key == "limit" {
			continue // derived, derived, the same for all
		}
		m[key] = text(t, kv.Value)
	}
	return m
}

func text(t *testing.T, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		return s
	case *ast.BinaryExpr:
		return text(t, e.X) + text(t, e.Y)
	case *ast.ParenExpr:
		return text(t, e.X)
	}
	t.Fatalf("a field that is no string: %T", e)
	return ""
}

type candidate struct {
	text, kind string
	cost       int
}

func convert(m map[string]string) (lines, kind string, err error) {
	source, err := fs.ReadFile(root, m["file"])
	if err != nil {
		return "", "", err
	}
	if strings.Count(string(source), m["old"]) != 1 {
		return "", "", fmt.Errorf("%s: the old text is there %d times", m["name"], strings.Count(string(source), m["old"]))
	}
	want := []byte(strings.Replace(string(source), m["old"], m["new"], 1))
	at := bytes.Index(source, []byte(m["old"]))
	from, to := at, at+len(m["old"])
	newTo := at + len(m["new"])
	for from < to && from < newTo && source[from] == want[from] {
		from++
	}
	for to > from && newTo > from && source[to-1] == want[newTo-1] {
		to, newTo = to-1, newTo-1
	}

	place, test := m["file"], m["test"]
	folder := path.Dir(m["file"])
	same := sameTokens
	s, err := fileScope(root, m["file"])
	if err != nil {
		return "", "", err
	}
	var all []candidate
	if strings.HasSuffix(m["file"], ".go") {
		declared, err := declarations(root, m["file"])
		if err != nil {
			return "", "", err
		}
		name := ""
		for n, d := range declared {
			if d.from <= from && to <= d.to {
				s, name = d, n
			}
		}
		if name == "" {
			return "", "", fmt.Errorf("%s: in no declaration", m["name"])
		}
		place = folder + " " + name
		all = structural(s, want)
	} else {
		folder, same = "", bytes.Equal
	}
	all = append(all, textual(s, want, from, to, newTo)...)
	slices.SortStableFunc(all, func(a, b candidate) int { return a.cost - b.cost })
	i := slices.IndexFunc(all, func(c candidate) bool {
		e, err := parseEdit(c.text)
		if err != nil {
			return false
		}
		got, err := e.apply(s)
		return err == nil && same(got, want)
	})
	if i < 0 {
		return "", "", fmt.Errorf("%s: no edit found", m["name"])
	}
	best := all[i]
	if m["pkg"] != "" && m["pkg"] != folder {
		test = m["pkg"] + " " + test
	}
	head := m["name"]
	if m["holds"] != "" {
		head += " [" + m["holds"] + "]"
	}
	return fmt.Sprintf("mutant: %s\nedit:   %s: %s\ntest:   %s\n", head, place, best.text, test), best.kind, nil
}

var identifier = regexp.MustCompile(`[A-Za-z_]\w*`)

func cost(text string, weight int) int {
	return len(text) + weight*len(identifier.FindAllString(text, -1))
}

func structural(s scope, want []byte) (all []candidate) {
	for _, p := range s.places() {
		for _, name := range tails(p.name) {
			e := edit{kind: p.kind, name: name, n: 1, of: 1}
			found := e.find(s)
			e.of = len(found)
			for i, f := range found {
				if f.span == p.span {
					e.n = i + 1
				}
			}
			locator := e.String()
			base := cost(locator, 1)
			if e.of > 1 {
				base += e.of
				if p.kind == "call" || p.kind == "set" {
					base += e.of
				}
			}
			if p.kind == "set" && (len(name) <= 3 || name == "err") {
				base += 12
			}
			if p.kind == "set" || p.kind == "call" {
				all = append(all, candidate{"delete " + locator, "delete " + p.kind, base})
			}
			rest := len(s.source) - p.to
			if len(want)-rest < p.from || !bytes.Equal(s.source[:p.from], want[:p.from]) || !bytes.Equal(s.source[p.to:], want[len(want)-rest:]) {
				continue
			}
			original := string(s.source[p.from:p.to])
			replacement := string(want[p.from : len(want)-rest])
			if replacement == "" || strings.ContainsAny(replacement, "\n$") {
				continue
			}
			// One identifier is no shorthand.
			if short := strings.Replace(replacement, original, "$", 1); strings.Contains(replacement, original) && len(original) > 3 {
				all = append(all, candidate{locator + " => " + short, p.kind, base + cost(short, 3)})
			}
			all = append(all, candidate{locator + " => " + replacement, p.kind, base + cost(replacement, 3)})
		}
	}
	return all
}

// tails are the ends of a qualified name: b.c and c of a.b.c; all of it where the end is short.
func tails(name string) (all []string) {
	for {
		all = append(all, name)
		_, rest, found := strings.Cut(name, ".")
		if !found {
			return all
		}
		name = rest
	}
}

var words = regexp.MustCompile(`\w+|\s+|&&|\|\||<=|>=|==|!=|:=|<-|<<|[^\w\s]`)

func textual(s scope, want []byte, from, to, newTo int) (all []candidate) {
	within := s.source[s.from:s.to]
	bounds := []int{0}
	for _, w := range words.FindAllIndex(within, -1) {
		bounds = append(bounds, w[1])
	}
	// The last bound before the change, and the first behind it. Both must be bounds of the new
	// text, too.
	isWord := func(text []byte, i int) bool {
		return i > 0 && i < len(text) && inWord(text[i-1]) && inWord(text[i])
	}
	first, last := 0, len(bounds)-1
	for i, b := range bounds {
		if b+s.from <= from && !isWord(want, b+s.from) {
			first = i
		}
	}
	for i := len(bounds) - 1; i >= 0; i-- {
		if bounds[i]+s.from >= to && !isWord(want, bounds[i]+s.from+newTo-to) {
			last = i
		}
	}
	for l := first; l >= max(0, first-30); l-- {
		for r := last; r < min(len(bounds), last+30); r++ {
			a, b := bounds[l]+s.from, bounds[r]+s.from
			if a == b || a > from || b < to {
				continue
			}
			old := string(s.source[a:b])
			replacement := string(want[a : b+newTo-to])
			if strings.Count(string(within), old) != 1 {
				continue
			}
			// The space goes with one of the neighbours only when a word is deleted.
			if strings.TrimSpace(old) != old && strings.TrimSpace(replacement) != "" {
				continue
			}
			if !strings.Contains(old, "\n") && strings.HasSuffix(s.file, ".go") {
				replacement = lineBreaks.ReplaceAllString(replacement, "; ")
			}
			text := "text " + quoted(old) + " => " + quoted(replacement)
			c := cost(text, 3) + 8
			if strings.Contains(old, "\n") {
				c += 30
			}
			if !balanced(old) || !balanced(replacement) {
				c += 15
			}
			if !letters.MatchString(old) && !(operator.MatchString(old) && operator.MatchString(replacement)) {
				c += 15
			}
			all = append(all, candidate{text, "text", c})
		}
	}
	return all
}

var (
	lineBreaks = regexp.MustCompile(`\n\s*`)
	letters    = regexp.MustCompile(`[A-Za-z]`)
	operator   = regexp.MustCompile(`^[<>=!]+$`)
)

func inWord(c byte) bool { return identifier.Match([]byte{c}) || '0' <= c && c <= '9' }

func balanced(text string) bool {
	return strings.Count(text, "(") == strings.Count(text, ")") && strings.Count(text, "{") == strings.Count(text, "}") &&
		strings.Count(text, `"`)%2 == 0 && !strings.Contains(text, ";")
}

func quoted(text string) string {
	if strings.ContainsAny(text, "\"\\") && !strings.ContainsAny(text, "`\n\t") {
		return "`" + text + "`"
	}
	return strconv.Quote(text)
}

// sameTokens compares two sources but for comments, spaces, and commas and semicolons at the end
// of lists.
func sameTokens(a, b []byte) bool { return tokens(a) == tokens(b) }

func tokens(source []byte) string {
	var s scanner.Scanner
	var out []string
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, func(token.Position, string) {}, 0)
	for {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			return strings.Join(out, " ")
		}
		if tok == token.SEMICOLON {
			lit = ";"
		}
		if n := len(out); n > 0 {
			closing := tok == token.RPAREN || tok == token.RBRACE
			if out[n-1] == "," && closing || out[n-1] == ";" && (closing || lit == ";") {
				out = out[:n-1]
			}
			if n := len(out); n > 0 && tok == token.SEMICOLON && out[n-1] == "{" {
				continue
			}
		}
		out = append(out, strings.TrimSpace(tok.String()+map[bool]string{true: lit}[tok.IsLiteral()]))
	}
}
