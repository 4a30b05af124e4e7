package template

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestNoCallIsOverlooked compares the calls that TestRules has recorded with the calls that are
// linked into the programs: the linker keeps a method of a client only if the program may call it.
// So it finds a new call that the recorder never sees.
//
// The API's four functions contain the same handlers, so they are compared together.
func TestNoCallIsOverlooked(t *testing.T) {
	programs := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-o", programs+"/", "orders/functions/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, group := range [][]string{{"create", "status", "ids", "metrics"}, {"relay"}, {"tally"}, {"processor"}, {"check"}} {
		var recorded []string
		for _, name := range group {
			recorded = append(recorded, recordedOperations(t, name)...)
		}
		slices.Sort(recorded)
		recorded = slices.Compact(recorded)
		for _, name := range group {
			if linked := linkedOperations(t, filepath.Join(programs, name)); !slices.Equal(linked, recorded) {
				t.Errorf("%s can call %q, recorded are %q: check its role, and that drive reaches every call", name, linked, recorded)
			}
		}
	}
}

// recordedOperations returns the operations of AWS that a function calls when it is driven.
func recordedOperations(t *testing.T, name string) (all []string) {
	t.Helper()
	f := function{folder: "functions/" + name, events: map[string]map[string]any{}}
	for path, folder := range functionOfPath {
		if folder == f.folder {
			f.events["HttpApi/"+path] = map[string]any{"Path": path}
		}
	}
	for _, r := range recorders(t) {
		f.drive(&stack{t: t}, r)
		for operation := range r.operations {
			all = append(all, operation)
		}
	}
	return all
}

var clientMethod = regexp.MustCompile(`aws-sdk-go-v2/service/\w+\.\(\*Client\)\.([A-Z]\w+)\n`)

// linkedOperations returns the operations of AWS that a program can call. DescribeEndpoints belongs
// to the SDK's endpoint discovery, which is off.
func linkedOperations(t *testing.T, program string) (all []string) {
	t.Helper()
	symbols, err := exec.CommandContext(t.Context(), "go", "tool", "nm", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range clientMethod.FindAllSubmatch(symbols, -1) {
		if name := string(found[1]); name != "DescribeEndpoints" && name != "Options" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
