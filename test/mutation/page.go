package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A section is a part of the page that is generated.
type section struct {
	name  string
	write func(evidence, string) (string, error)
	// code says that it depends on the code and on what became of the guards alone, and
	// on nothing that is measured elsewhere.
	code bool
}

var sections = []section{
	{"faults", faultTable, true},
	{"invariants", invariantTable, true},
	{"guards", guardTable, true},
	{"chaos", chaosTable, false},
	{"load", loadReport, false},
	{"targets", targets, true},
}

func pagePath(root string) string { return filepath.Join(root, "docs", "proof.md") }

// writePage brings the generated parts of the page up to date. What is not shown, it
// names in its error, and writes the page all the same.
func writePage(root string) error {
	e, err := gather(root)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(pagePath(root))
	if err != nil {
		return err
	}
	page := string(text)
	for _, s := range sections {
		generated, err := s.write(e, filepath.Join(root, resultsFolder))
		if err != nil {
			return err
		}
		if page, err = replaced(page, s.name, generated); err != nil {
			return err
		}
	}
	if err := os.WriteFile(pagePath(root), []byte(page), 0o644); err != nil {
		return err
	}
	if missing := e.gaps(); len(missing) > 0 {
		return errors.New(strings.Join(missing, "\n"))
	}
	return nil
}

// part returns where a generated part begins and ends in the page.
func part(page, name string) (begin, end int, err error) {
	mark := "<!-- generated: " + name + " -->\n"
	begin = strings.Index(page, mark)
	if begin < 0 || strings.Count(page, mark) != 1 {
		return 0, 0, fmt.Errorf("docs/proof.md has not one line %q", strings.TrimSpace(mark))
	}
	begin += len(mark)
	length := strings.Index(page[begin:], "<!-- end -->")
	if length < 0 {
		return 0, 0, fmt.Errorf("docs/proof.md: the part %q has no end", name)
	}
	return begin, begin + length, nil
}

// replaced is the page with another text in that part.
func replaced(page, name, text string) (string, error) {
	begin, end, err := part(page, name)
	if err != nil {
		return "", err
	}
	return page[:begin] + "\n" + strings.TrimSpace(text) + "\n\n" + page[end:], nil
}
