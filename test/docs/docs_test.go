// Package docs checks the pages against the repository.
package docs

import (
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// The tests read files by their paths in the repository.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestLinksLeadToFilesAndHeadingsThatExist(t *testing.T) {
	for _, page := range pages(t) {
		links, _ := parse(t, page)
		for _, link := range links {
			u, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s links to %q: %v", page, link, err)
				continue
			} else if u.IsAbs() {
				continue
			}
			target := page
			if u.Path != "" {
				target = path.Join(path.Dir(page), u.Path)
			}
			if _, err := os.Stat(target); err != nil || !filepath.IsLocal(target) {
				t.Errorf("%s links to %q, which is not in the repository", page, link)
			} else if u.Fragment != "" {
				if _, anchors := parse(t, target); !anchors[u.Fragment] {
					t.Errorf("%s links to %q, but %s has no such heading", page, link, target)
				}
			}
		}
	}
}

// Credentials of an emulator that a page exports would stay in a shell that deploys afterwards.
func TestNoPageExportsAVariableOfTheSDK(t *testing.T) {
	for _, page := range pages(t) {
		if strings.Contains(read(t, page), "export AWS_") {
			t.Errorf("%s exports a variable of the SDK; set it for one command", page)
		}
	}
}

// A make command is in a code span, or begins a line of a code block.
var (
	makeCall = regexp.MustCompile("(?m)(?:`|^(?: {4})+)make((?: [\\w./=:%-]+)+)")
	makeRule = regexp.MustCompile(`(?m)^([a-z][a-z-]*):.*## .`)
	phony    = regexp.MustCompile(`(?m)^\.PHONY: (.+)$`)
)

func TestPagesNameOnlyMakeTargetsThatExist(t *testing.T) {
	targets := map[string]bool{}
	for _, rule := range makeRule.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[rule[1]] = true
	}
	found := 0
	for _, page := range pages(t) {
		for _, call := range makeCall.FindAllStringSubmatch(read(t, page), -1) {
			for word := range strings.FieldsSeq(call[1]) {
				if found++; !strings.Contains(word, "=") && !targets[word] {
					t.Errorf("%s says make%s, but make help knows no %q", page, call[1], word)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d words after make; the pages name more", found)
	}
}

func TestMakeHelpExplainsEveryTarget(t *testing.T) {
	makefile := read(t, "Makefile")
	for _, rule := range phony.FindAllStringSubmatch(makefile, -1) {
		if !regexp.MustCompile(`(?m)^` + rule[1] + `:.*## .`).MatchString(makefile) {
			t.Errorf("target %q has no ## text for make help", rule[1])
		}
	}
}

func TestReadmeNamesEverySetting(t *testing.T) {
	help, err := exec.CommandContext(t.Context(), "go", "run", "orders/cmd/orders", "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("orders serve --help: %v\n%s", err, help)
	}
	readme := read(t, "README.md")
	settings := regexp.MustCompile(`\b[A-Z]+(?:_[A-Z]+)+\b`).FindAllString(string(help), -1)
	for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)[ =]\S`).FindAllStringSubmatch(string(help), -1) {
		settings = append(settings, flag[1])
	}
	if len(settings) < 10 {
		t.Fatalf("orders serve --help has only %q:\n%s", settings, help)
	}
	for _, name := range settings {
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("README.md does not name the setting %s", name)
		}
	}
}

// A folder of README's layout is a word at the beginning of a line that ends in a slash, two
// spaces further in than the folder that it is in.
func TestFoldersInTheReadmesLayoutExist(t *testing.T) {
	_, layout, _ := strings.Cut(read(t, "README.md"), "\n## Layout\n")
	lines := regexp.MustCompile(`(?m)^( *)([\w-]+)/(?: |$)`).FindAllStringSubmatch(layout, -1)
	if len(lines) < 10 {
		t.Fatalf("README.md's layout has only the folders %q", lines)
	}
	var open []string
	for _, line := range lines {
		depth := len(line[1]) / 2
		open = append(open[:min(depth, len(open))], line[2])
		if info, err := os.Stat(path.Join(open...)); err != nil || !info.IsDir() {
			t.Errorf("README.md's layout names %s, which is not a folder", path.Join(open...))
		}
	}
}

// pages are all Markdown files that people are told to read.
func pages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages in docs, %v", len(pages), err)
	}
	return append(pages, "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "events/README.md")
}

func read(t *testing.T, file string) string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// parse returns the links and images of a page, and the anchors of its headings as GitHub names them.
func parse(t *testing.T, page string) (links []string, anchors map[string]bool) {
	t.Helper()
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	root := markdown.Parser().Parse(text.NewReader([]byte(read(t, page))))
	anchors = map[string]bool{}
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			links = append(links, string(n.Destination))
		case *ast.Image:
			links = append(links, string(n.Destination))
		case *ast.Heading:
			if id, ok := n.AttributeString("id"); ok {
				anchors[string(id.([]byte))] = true
			}
		}
		return ast.WalkContinue, nil
	})
	return links, anchors
}
