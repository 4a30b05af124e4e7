package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A mutant is the code without one protection. A list describes it in three lines:
//
//	mutant: an order is not completed before it is started [F9 I6 I7]
//	edit:   shared/order Order.Advance: case 2 of 4 => false
//	test:   TestAnEarlyTransitionIsRefusedUntilItsTime
//
// The first line says what the protection promises, and names the faults and invariants that
// it is there for. The second line names a folder and a declaration in it, or one file that is
// not Go, and the edit that removes the protection: edit.go lists the kinds. The third line names
// the test that must fail, as go test -run takes it; the folder of the test stands before it
// where it is not the folder of the code.
type mutant struct {
	name   string
	ids    []string
	code   string // the folder of the declaration, or the file, from the root of the module
	decl   string // "" for a file
	edit   edit
	folder string // of the test
	test   string
	line   string // where the list has it, for messages
}

// loadMutants reads all lists below the root of the module.
func loadMutants(root string) (all []mutant, err error) {
	files, err := filepath.Glob(filepath.Join(root, "test/mutation/mutants/*.txt"))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list, err := parseMutants(filepath.Base(name), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, err
}

var (
	blocks = regexp.MustCompile(`(?m)^mutant: *(.*?)(?: \[([^\]]*)\])?\nedit: *([^ :]+)(?: ([^ :]+))?: (.+)\ntest: *(?:(\S+) )?(\S+)\n`)
	noise  = regexp.MustCompile(`(?m)^(?:#.*)?\n`)
)

// parseMutants reads one list: blocks of three lines, and comments that begin with #.
func parseMutants(file, text string) (list []mutant, err error) {
	if rest := strings.TrimSpace(noise.ReplaceAllString(blocks.ReplaceAllString(text, ""), "")); rest != "" {
		return nil, fmt.Errorf("%s: these lines are no mutant, edit and test:\n%s", file, rest)
	}
	for _, at := range blocks.FindAllStringSubmatchIndex(text, -1) {
		part := func(n int) string {
			if at[2*n] < 0 {
				return ""
			}
			return text[at[2*n]:at[2*n+1]]
		}
		m := mutant{
			name: part(1), ids: strings.Fields(part(2)), code: part(3), decl: part(4), folder: part(6), test: part(7),
			line: fmt.Sprintf("%s:%d", file, 1+strings.Count(text[:at[0]], "\n")),
		}
		if m.edit, err = parseEdit(part(5)); err == nil && m.folder == "" && m.decl == "" {
			err = errors.New("the folder of the test is missing")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.line, err)
		}
		if m.folder == "" {
			m.folder = m.code
		}
		list = append(list, m)
	}
	return list, nil
}

// testName returns the name of the test function.
func (m mutant) testName() string {
	name, _, _ := strings.Cut(m.test, "/")
	return name
}

// isChaos reports whether the test plays random histories with faults, for as long as it is told.
func (m mutant) isChaos() bool { return m.test == "TestChaos" }

// deployments returns those that have the protection and whose test notices that it is missing.
func (m mutant) deployments() []deployment {
	return slices.DeleteFunc(deploymentsOf(m.code+"/"), func(d deployment) bool {
		return !slices.Contains(deploymentsOf(m.folder+"/"), d)
	})
}

// mutate returns the name of the mutant's file, from the root of the module, and the file's text
// without the protection. It returns an error when the edit does not fit the code.
func (m mutant) mutate(root string) (file string, text []byte, err error) {
	var s scope
	if m.decl == "" {
		s, err = fileScope(root, m.code)
	} else {
		s, err = declScope(root, m.code, m.decl)
	}
	if err == nil {
		text, err = m.edit.apply(s)
	}
	if err != nil {
		return "", nil, fmt.Errorf("%s: mutant %q: %w", m.line, m.name, err)
	}
	return s.file, text, nil
}
