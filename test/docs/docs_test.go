package docs

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

func TestLinksInTheDocsLeadSomewhere(t *testing.T) {
	for _, doc := range documents(t) {
		for _, link := range doc.links() {
			doc.follow(t, link)
		}
	}
}

func TestDocsNameOnlyMakeTargetsThatExist(t *testing.T) {
	targets := makeTargets(t)
	for _, doc := range documents(t) {
		for _, line := range doc.code(doc.root) {
			for _, target := range targetsMade(line) {
				if _, ok := targets[target]; !ok {
					t.Errorf("%s says %q, but the Makefile has no target %q", doc.path, line, target)
				}
			}
		}
	}
}

func TestMakeHelpExplainsEveryTarget(t *testing.T) {
	for target, help := range makeTargets(t) {
		if help == "" {
			t.Errorf("target %q has no ## text for make help", target)
		}
	}
}

func TestReadmeNamesEverySetting(t *testing.T) {
	help, err := exec.CommandContext(t.Context(), "go", "run", "orders/cmd/orders", "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("orders serve --help: %v\n%s", err, help)
	}
	// A setting is: --flag=VALUE what it does ($VARIABLE, default).
	settings := regexp.MustCompile(`(--[a-z-]+)=[A-Z]+ [^$]*\$([A-Z_]+)`).FindAllStringSubmatch(string(help), -1)
	if len(settings) == 0 {
		t.Fatalf("orders serve --help lists no settings:\n%s", help)
	}
	readme := string(readDocument(t, "README.md").source)
	for _, setting := range settings {
		for _, name := range setting[1:] {
			if !strings.Contains(readme, name) {
				t.Errorf("README.md does not name the setting %s", name)
			}
		}
	}
}

func TestFoldersInTheReadmesLayoutExist(t *testing.T) {
	folders := readDocument(t, "README.md").layout()
	if len(folders) == 0 {
		t.Fatal("README.md has no section Layout with a tree of folders, each ending in a slash")
	}
	for _, folder := range folders {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			t.Errorf("README.md's layout names %s/, which is no folder", folder)
		}
	}
}

// A document is one Markdown file. Its path is relative to the repository's root.
type document struct {
	path   string
	source []byte
	root   ast.Node
}

// documents are all that users and contributors are told to read.
func documents(t *testing.T) []document {
	t.Helper()
	paths, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var docs []document
	for _, path := range append([]string{"README.md", "CHANGELOG.md", "events/README.md"}, paths...) {
		docs = append(docs, readDocument(t, path))
	}
	return docs
}

func readDocument(t *testing.T, path string) document {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parser := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()
	return document{path, source, parser.Parse(text.NewReader(source))}
}

// nodesOf returns what lies under root and is of the kind N, in the text's order.
func nodesOf[N ast.Node](root ast.Node) []N {
	var nodes []N
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if node, ok := n.(N); ok && entering {
			nodes = append(nodes, node)
		}
		return ast.WalkContinue, nil
	})
	return nodes
}

// plain is the text under a node without its markup.
func (d document) plain(n ast.Node) string {
	var b strings.Builder
	for _, t := range nodesOf[*ast.Text](n) {
		b.Write(t.Value(d.source))
	}
	return b.String()
}

func (d document) links() []string {
	var links []string
	for _, link := range nodesOf[*ast.Link](d.root) {
		links = append(links, string(link.Destination))
	}
	for _, image := range nodesOf[*ast.Image](d.root) {
		links = append(links, string(image.Destination))
	}
	return links
}

// follow fails the test if a link leads nowhere. Other sites are not visited.
func (d document) follow(t *testing.T, link string) {
	t.Helper()
	u, err := url.Parse(link)
	if err == nil && u.IsAbs() {
		return
	}
	target := d.path
	if err == nil && u.Path != "" {
		target = path.Join(path.Dir(d.path), u.Path)
		_, err = os.Stat(target)
	}
	switch {
	case err != nil:
		t.Errorf("%s links to %q: %v", d.path, link, err)
	case !filepath.IsLocal(target):
		t.Errorf("%s links to %q, outside of the repository", d.path, link)
	case u.Fragment != "" && !slices.Contains(readDocument(t, target).anchors(), u.Fragment):
		t.Errorf("%s links to %q, but %s has no such heading", d.path, link, target)
	}
}

// anchors are the headings as GitHub names them in links: in lower case, without
// punctuation, hyphens for spaces, and a number from the second of a name on.
func (d document) anchors() []string {
	var anchors []string
	seen := map[string]int{}
	for _, heading := range nodesOf[*ast.Heading](d.root) {
		anchor := strings.Map(anchorRune, d.plain(heading))
		seen[anchor]++
		if n := seen[anchor]; n > 1 {
			anchor = fmt.Sprintf("%s-%d", anchor, n-1)
		}
		anchors = append(anchors, anchor)
	}
	return anchors
}

// anchorRune is what becomes of a heading's character, -1 for nothing.
func anchorRune(r rune) rune {
	switch {
	case r == ' ':
		return '-'
	case r == '-' || r == '_' || unicode.In(r, unicode.L, unicode.M, unicode.N):
		return unicode.ToLower(r)
	default:
		return -1
	}
}

// code is every line of the code spans and code blocks under a node.
func (d document) code(n ast.Node) []string {
	var lines []string
	for _, span := range nodesOf[*ast.CodeSpan](n) {
		lines = append(lines, d.plain(span))
	}
	for _, block := range nodesOf[*ast.FencedCodeBlock](n) {
		lines = append(lines, strings.Split(string(block.Lines().Value(d.source)), "\n")...)
	}
	return lines
}

// codeUnder is the code in the section of that name, up to the next heading.
func (d document) codeUnder(section string) []string {
	var lines []string
	inside := false
	for n := d.root.FirstChild(); n != nil; n = n.NextSibling() {
		if heading, ok := n.(*ast.Heading); ok {
			inside = strings.EqualFold(d.plain(heading), section)
		} else if inside {
			lines = append(lines, d.code(n)...)
		}
	}
	return lines
}

// layout returns the folders that the section Layout names: the first words of
// lines of code that end in a slash, each two spaces further in than the folder
// that it lies in.
func (d document) layout() []string {
	var folders, open []string
	for _, line := range d.codeUnder("Layout") {
		words := strings.TrimLeft(line, " ")
		name, _, _ := strings.Cut(words, " ")
		if !strings.HasSuffix(name, "/") {
			continue
		}
		depth := (len(line) - len(words)) / 2
		open = append(open[:min(depth, len(open))], name)
		folders = append(folders, path.Join(open...))
	}
	return folders
}

var (
	makeRule = regexp.MustCompile(`(?m)^([a-z][a-z-]*):[^#\n]*(?:## (.*))?$`)
	makeCall = regexp.MustCompile(`(?:^|[\s;&|])make((?: +[\w=.-]+)+)`)
)

// makeTargets maps the Makefile's targets to what make help says of them.
func makeTargets(t *testing.T) map[string]string {
	t.Helper()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]string{}
	for _, rule := range makeRule.FindAllStringSubmatch(string(makefile), -1) {
		targets[rule[1]] = rule[2]
	}
	return targets
}

// targetsMade returns what a line of shell makes, without flags and variables.
func targetsMade(line string) []string {
	command, _, _ := strings.Cut(line, "#")
	var targets []string
	for _, call := range makeCall.FindAllStringSubmatch(command, -1) {
		for word := range strings.FieldsSeq(call[1]) {
			if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
				targets = append(targets, word)
			}
		}
	}
	return targets
}
