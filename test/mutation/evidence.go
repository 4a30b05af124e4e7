package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// evidence is all that there is to show.
type evidence struct {
	tests      []proofTest
	guards     []mutant
	invariants []invariant
}

// An invariant is what must always hold.
type invariant struct{ id, what string }

// gather reads the tests, the guards and what came of taking them out, below the root of
// the module.
func gather(root string) (e evidence, err error) {
	e.guards = mutants()
	if e.tests, err = proofTests(root); err != nil {
		return e, err
	}
	e.invariants, err = invariants(filepath.Join(root, "docs", "design.md"))
	return e, err
}

var invariantRow = regexp.MustCompile(`(?m)^\| (I[0-9]+) \| (.+) \|$`)

// invariants are those of the design, which states them.
func invariants(design string) (list []invariant, err error) {
	text, err := os.ReadFile(design)
	if err != nil {
		return nil, err
	}
	for _, m := range invariantRow.FindAllSubmatch(text, -1) {
		list = append(list, invariant{string(m[1]), string(m[2])})
	}
	return list, nil
}

// testsOf are the tests that name a fault or an invariant, on one of the homes.
func (e evidence) testsOf(id string, homes ...home) (found []proofTest) {
	for _, t := range e.tests {
		if slices.ContainsFunc(homes, func(h home) bool { return t.shows(id, h) }) {
			found = append(found, t)
		}
	}
	return found
}

// guardsOf are the numbers, from 1, of the guards against a fault, or for an invariant,
// on one of the homes.
func (e evidence) guardsOf(id string, homes ...home) (numbers []int) {
	for i, g := range e.guards {
		if slices.Contains(ids(g.holds), id) && slices.ContainsFunc(homes, func(h home) bool { return slices.Contains(g.homes(), h) }) {
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}

// gaps are the faults and invariants without a test or a guard, where they exist. A guard
// counts when a test has missed it.
func (e evidence) gaps() (missing []string) {
	look := func(id, where string, homes ...home) {
		if len(e.testsOf(id, homes...)) == 0 {
			missing = append(missing, fmt.Sprintf("%s%s has no test that names it", id, where))
		}
		if len(e.guardsOf(id, homes...)) == 0 {
			missing = append(missing, fmt.Sprintf("%s%s has no mutant", id, where))
		}
	}
	for _, f := range faults {
		for _, h := range []home{embedded, onAWS} {
			if f.on[h] != "" {
				look(f.id, " on the home "+string(h), h)
			}
		}
	}
	for _, i := range e.invariants {
		look(i.id, "", embedded, onAWS)
	}
	return missing
}
