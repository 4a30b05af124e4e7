package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is that of the module.
const root = "../.."

func TestEveryGuardIsFoundOnceInItsFile(t *testing.T) {
	names := map[string]bool{}
	for _, g := range mutants() {
		if _, err := g.without(root); err != nil {
			t.Error(err)
		}
		if names[g.name] {
			t.Errorf("two guards are called %q", g.name)
		}
		names[g.name] = true
	}
}

func TestEveryFaultAndInvariantHasATestAndAGuardOnEachHomeWhereItExists(t *testing.T) {
	e, err := gather(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, gap := range e.gaps() {
		t.Error(gap)
	}
	if len(faults) != 26 || len(e.invariants) != 17 {
		t.Errorf("%d faults and %d invariants; want 26 and 17", len(faults), len(e.invariants))
	}
}

func TestAFaultExistsOnAHomeOrThePageSaysWhyNot(t *testing.T) {
	for _, f := range faults {
		for _, h := range []home{embedded, onAWS} {
			if (f.on[h] == "") == (f.not[h] == "") {
				t.Errorf("%s on the home %s: brought about by %q, none because %q", f.id, h, f.on[h], f.not[h])
			}
		}
	}
}

// A test whose name has changed would be an error only when the guard is taken out.
func TestTheTestsOfTheGuardsExist(t *testing.T) {
	sources := map[string]string{} // of the tests, by folder
	for _, g := range mutants() {
		if sources[g.folder()] == "" {
			sources[g.folder()] = testSources(t, g.folder())
		}
		if !strings.Contains(sources[g.folder()], "\nfunc "+g.testName()+"(") {
			t.Errorf("guard %q: %s has no %s", g.name, g.folder(), g.testName())
		}
	}
}

func testSources(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(root + "/" + folder)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), "_test.go") {
			text, err := os.ReadFile(root + "/" + folder + "/" + entry.Name())
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

func TestReferencesAreReadOneByOneAndInRows(t *testing.T) {
	for text, want := range map[string][]string{
		"F7, I4: Lambda repeats":  {"F7", "I4"},
		"I1..I3 and I9":           {"I1", "I2", "I3", "I9"},
		"(I1 to I3, I2), F1-F2.":  {"I1", "I2", "I3", "F1", "F2"},
		"%F0%9F RFC1 XI1 F100 I0": nil,
	} {
		if got := ids(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestAVerdictTellsWhatHappenedToTheTest(t *testing.T) {
	g := mutant{name: "it holds", test: "TestIt/part"}
	failed := os.ErrProcessDone
	for name, tt := range map[string]struct {
		output string
		err    error
		killer string
		wrong  string
	}{
		"it failed":         {"--- FAIL: TestIt (0.00s)\n    --- FAIL: TestIt/part (0.00s)\nFAIL", failed, "TestIt", ""},
		"it panicked":       {"panic: out of range\n\ngoroutine 1", failed, "TestIt", ""},
		"it took too long":  {"--- FAIL: TestBefore\npanic: test timed out after 1s", failed, "", "did not end"},
		"it passed":         {"ok  \torders/shared/order", nil, "", "passes without it"},
		"there is none":     {"ok  \torders/shared/order [no tests to run]", nil, "", "there is no TestIt"},
		"it does not build": {"x.go:1: undefined\nFAIL\torders [build failed]", failed, "", "does not compile"},
		"nobody knows":      {"FAIL", failed, "", "without a verdict"},
	} {
		killer, err := g.verdict(tt.output, tt.err)
		if killer != tt.killer || (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: killed by %q, error %v", name, killer, err)
		}
	}
}

func TestTheShortListHasAGuardForEachFaultAndHome(t *testing.T) {
	few := evidence{guards: oneEach(mutants())}
	for _, f := range faults {
		for h := range f.on {
			if len(few.guardsOf(f.id, h)) == 0 {
				t.Errorf("no guard against %s on the home %s", f.id, h)
			}
		}
	}
	if all := matching(mutants(), regexp.MustCompile("")); len(few.guards) >= len(all) {
		t.Errorf("%d of %d guards are no short list", len(few.guards), len(all))
	}
}
