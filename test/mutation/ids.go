package main

import (
	"regexp"
	"slices"
	"strconv"
)

// reference is a fault or an invariant, or several in a row: F7, I1..I4, "I1 to I12".
var reference = regexp.MustCompile(`\b([FI])([1-9][0-9]?)\b(?:(?:\.\.| to |-)([FI])([1-9][0-9]?)\b)?`)

// ids are the faults and invariants that a text names, each once.
func ids(text string) (found []string) {
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(m[2])
		last := first
		if m[3] == m[1] {
			last, _ = strconv.Atoi(m[4])
		}
		for n := first; n <= last; n++ {
			if id := m[1] + strconv.Itoa(n); !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
	}
	return found
}
