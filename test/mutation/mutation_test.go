package main

import (
	"go/format"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// root is that of the module.
const root = "../.."

func load(t *testing.T) []mutant {
	t.Helper()
	mutants, err := loadMutants(root)
	if err != nil {
		t.Fatal(err)
	}
	return mutants
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var example = regexp.MustCompile(`(?m)^(?:    |//\t)((?:mutant|edit|test): .*\n)`)

func TestTheExampleInTheDocsIsInTheLists(t *testing.T) {
	for _, page := range []string{"CONTRIBUTING.md", "test/mutation/mutants.go"} {
		lines := ""
		for _, line := range example.FindAllStringSubmatch(read(t, page), -1) {
			lines += line[1]
		}
		list, err := parseMutants(page, lines)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %d examples, error %v", page, len(list), err)
		}
		want := list[0]
		if !slices.ContainsFunc(load(t), func(m mutant) bool {
			want.line = m.line
			return reflect.DeepEqual(m, want)
		}) {
			t.Errorf("%s: mutant %q is not, or not so, in the lists", page, want.name)
		}
	}
}

// A mutant that does not compile is found when it is run.
func TestEveryMutantChangesOnePlace(t *testing.T) {
	names := map[string]bool{}
	for _, m := range load(t) {
		file, mutated, err := m.mutate(root)
		if err != nil {
			t.Error(err)
			continue
		}
		if string(mutated) == read(t, file) {
			t.Errorf("%s: mutant %q is the original", m.line, m.name)
		}
		if _, err := format.Source(mutated); err != nil && path.Ext(file) == ".go" {
			t.Errorf("%s: mutant %q: %v", m.line, m.name, err)
		}
		if names[m.name] {
			t.Errorf("%s: another mutant is called %q", m.line, m.name)
		}
		names[m.name] = true
	}
}

// A test that was renamed would otherwise be noticed only when the mutant is run.
func TestTheTestOfEveryMutantExists(t *testing.T) {
	sources := map[string]string{} // of the tests, by folder
	for _, m := range load(t) {
		if sources[m.folder] == "" {
			sources[m.folder] = testSources(t, m.folder)
		}
		if !strings.Contains(sources[m.folder], "\nfunc "+m.testName()+"(") {
			t.Errorf("%s: mutant %q: %s has no %s", m.line, m.name, m.folder, m.testName())
		}
	}
}

func testSources(t *testing.T, folder string) (all string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	if err != nil || all == "" {
		t.Fatalf("no tests in %s: %v", folder, err)
	}
	return all
}

func TestEveryFaultAndInvariantHasATestAndAMutantOnEachDeploymentWhereItExists(t *testing.T) {
	faults, invariants := parseFaults(read(t, "docs/verification.md")), parseInvariants(read(t, "docs/design.md"))
	if len(faults) < 36 || len(invariants) < 17 {
		t.Errorf("%d faults and %d invariants; want at least 36 and 17", len(faults), len(invariants))
	}
	tests, err := coveredByTests(root)
	if err != nil {
		t.Fatal(err)
	}
	mutants, exists := coveredBy(load(t)), coverage{}
	for _, name := range append(faults, invariants...) {
		if !tests[name] {
			t.Errorf("%s: no test names it", name)
		}
		if !mutants[name] {
			t.Errorf("%s: no mutant is there for it", name)
		}
		id, _, _ := strings.Cut(name, " ")
		exists[id] = true
	}
	for _, m := range load(t) {
		for _, id := range m.ids {
			if !exists[id] {
				t.Errorf("%s: mutant %q names %q, which does not exist", m.line, m.name, id)
			}
		}
	}
}

func TestAFaultInItalicsCannotHappen(t *testing.T) {
	page := "| F1 | a fault | caused so | caused so |\n| F2 | another | *no such thing* | a `call` that fails |\n"
	if got := parseFaults(page); !slices.Equal(got, []string{"F1 on embedded", "F1 on AWS", "F2 on AWS"}) {
		t.Errorf("%q", got)
	}
}

func TestReferencesAreReadOneByOneAndAsRanges(t *testing.T) {
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

func TestTheShortListHasAMutantForEachFaultAndDeployment(t *testing.T) {
	all := load(t)
	short := shortList(all)
	covered := coveredBy(short)
	for _, fault := range parseFaults(read(t, "docs/verification.md")) {
		if !covered[fault] {
			t.Errorf("no mutant for %s", fault)
		}
	}
	if len(short) > len(all)/4 {
		t.Errorf("%d of %d mutants are no short list", len(short), len(all))
	}
}

func TestAVerdictTellsWhatHappenedToTheTest(t *testing.T) {
	m := mutant{name: "it holds", test: "TestIt/part"}
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
		"it passed":         {"ok  \torders/shared/order", nil, "", "passes"},
		"there is none":     {"ok  \torders/shared/order [no tests to run]", nil, "", "there is no TestIt"},
		"it does not build": {"x.go:1: undefined\nFAIL\torders [build failed]", failed, "", "does not compile"},
		"nobody knows":      {"FAIL", failed, "", "without an outcome"},
	} {
		killer, err := m.outcome(tt.output, tt.err)
		if killer != tt.killer || (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: killed by %q, error %v", name, killer, err)
		}
	}
}

func TestAListThatIsWrongIsToldWithItsLine(t *testing.T) {
	mutant := func(edit, test string) string { return "\nmutant: a\nedit: " + edit + "\ntest: " + test + "\n" }
	for text, want := range map[string]string{
		"edit: a b: if => false\n":                     "no mutant, edit and test",
		"mutant: a\nedit: a b: if => false\n":          "no mutant, edit and test",
		mutant("if => false", "TestIt"):                "no mutant, edit and test",
		mutant("a b: while => false", "TestIt"):        "a.txt:2: \"while => false\" is no edit",
		mutant("a b: delete if", "TestIt"):             "is no edit",
		mutant("a b: if", "TestIt"):                    "is no edit",
		mutant("a b: delete call f => g()", "TestIt"):  "is no edit",
		mutant("a b: text \"a\"", "TestIt"):            "is no edit",
		mutant("b.yaml: text \"a\" => \"\"", "TestIt"): "folder of the test",
	} {
		if _, err := parseMutants("a.txt", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

// tree returns a folder that has one file.
func tree(t *testing.T, name, text string) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.CopyFS(root, fstest.MapFS{name: {Data: []byte(text)}}); err != nil {
		t.Fatal(err)
	}
	return root
}

// mutated applies one edit.
func mutated(root, edit string) (string, error) {
	list, err := parseMutants("a.txt", "mutant: a\nedit: "+edit+"\ntest: p TestIt\n")
	if err != nil {
		return "", err
	}
	_, text, err := list[0].mutate(root)
	return string(text), err
}

const original = `package p

const limit = 2

func (t *T[K]) run(n int) error {
	if err := t.check(n); err != nil {
		return err
	}
	for i := range n {
		t.seen[i] = n
	}
	switch {
	case n > 1, n < -1:
		t.tally.add(n, 1)
	}
	defer t.close(options{Size: n, Name: "x"})
	if n > 2 { return nil }
	return t.done()
}
`

func TestEditsByKind(t *testing.T) {
	root := tree(t, "p/p.go", original)
	for text, change := range map[string][2]string{
		"p T.run: if 1 of 2 => $ && false":      {"; err != nil {", "; err != nil && false {"},
		"p T.run: if 2 of 2 => false":           {"if n > 2 ", "if false "},
		"p T.run: for => n-1":                   {"range n ", "range n-1 "},
		"p T.run: case => n > 1":                {"case n > 1, n < -1:", "case n > 1:"},
		"p T.run: return 3 of 3 => nil":         {"return t.done()", "return nil"},
		"p T.run: set seen => 0":                {"t.seen[i] = n", "t.seen[i] = 0"},
		"p T.run: set Size => -$":               {"Size: n", "Size: -n"},
		"p T.run: call check => error(nil)":     {"t.check(n)", "error(nil)"},
		"p T.run: delete set Size":              {"Size: n,", ""},
		"p T.run: delete set Name":              {`Name: "x"`, ""},
		"p T.run: delete call add":              {"t.tally.add(n, 1)", ""},
		"p T.run: delete call tally.add":        {"t.tally.add(n, 1)", ""},
		"p T.run: delete call close":            {`defer t.close(options{Size: n, Name: "x"})`, ""},
		"p limit: set limit => 3":               {"limit = 2", "limit = 3"},
		"p T.run: text \"n < -1\" => \"n < 0\"": {"n < -1", "n < 0"},
	} {
		got, err := mutated(root, text)
		want := strings.Replace(original, change[0], change[1], 1)
		if err != nil || got != want {
			t.Errorf("%s: error %v:\n%s", text, err, got)
		}
	}
}

func TestAnEditThatFitsNoPlaceOrManyIsAnError(t *testing.T) {
	root := tree(t, "p/p.go", original)
	for text, want := range map[string]string{
		"p T.run: if => false":               "2 places",
		"p T.run: if 1 of 3 => false":        "2 places",
		"p T.run: if 3 of 2 => false":        "2 places",
		"p T.run: delete call ad":            "0 places",
		"p limit: delete set limit":          "no part of a block",
		"p T.run: text \"n\" => \"m\"":       "places",
		"p run: if => false":                 "0 times",
		"q T.run: if => false":               "cannot find",
		"p/p.yaml: text \"n\" => \"m\"":      "no such file",
		"p/p.go: text \"limit = 2\" => \"\"": "",
	} {
		_, err := mutated(root, text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}
