package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
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

// lists is the folder of the lists, from the root of the module.
const lists = "test/mutation/mutants"

// loadMutants reads all lists below the root of the module.
func loadMutants(root fs.FS) (all []mutant, err error) {
	files, err := fs.Glob(root, lists+"/*.txt")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return nil, err
		}
		list, err := parseMutants(path.Base(name), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// parseMutants reads one list: blocks of three lines, and comments that begin with #.
func parseMutants(name, text string) (list []mutant, err error) {
	var m mutant
	keys := []string{"mutant", "edit", "test"}
	next := 0 // the index of the key that the next line must have
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case key != keys[next]:
			err = fmt.Errorf("the line begins with %q, want %q", key, keys[next])
		case key == "mutant":
			m = newMutant(value, fmt.Sprintf("%s:%d", name, i+1))
		case key == "edit":
			err = m.parseEdit(value)
		default:
			err = m.parseTest(value)
			list = append(list, m)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		next = (next + 1) % len(keys)
	}
	if next != 0 {
		return nil, fmt.Errorf("%s: the last mutant has no line %q", name, keys[next])
	}
	return list, nil
}

var nameWithIDs = regexp.MustCompile(`^(.*?)(?: \[([^\]]*)\])?$`)

func newMutant(value, line string) mutant {
	parts := nameWithIDs.FindStringSubmatch(value)
	return mutant{name: parts[1], ids: strings.Fields(parts[2]), line: line}
}

func (m *mutant) parseEdit(value string) (err error) {
	place, text, found := strings.Cut(value, ": ")
	if !found {
		return errors.New(`want "FOLDER DECLARATION: EDIT" or "FILE: EDIT"`)
	}
	m.code, m.decl, _ = strings.Cut(place, " ")
	m.edit, err = parseEdit(text)
	return err
}

func (m *mutant) parseTest(value string) error {
	var found bool
	if m.folder, m.test, found = strings.Cut(value, " "); found {
		return nil
	}
	if m.test = value; m.decl == "" {
		return errors.New("the folder of the test is missing")
	}
	m.folder = m.code
	return nil
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
func (m mutant) mutate(root fs.FS) (file string, text []byte, err error) {
	s, err := m.scope(root)
	if err == nil {
		text, err = m.edit.apply(s)
	}
	if err != nil {
		return "", nil, fmt.Errorf("%s: mutant %q: %w", m.line, m.name, err)
	}
	return s.file, text, nil
}

func (m mutant) scope(root fs.FS) (scope, error) {
	if m.decl == "" {
		return fileScope(root, m.code)
	}
	return declScope(root, m.code, m.decl)
}
