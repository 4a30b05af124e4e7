package template

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestNoCallIsOverlooked holds what TestTheTemplate has seen the functions do to what
// their programs can do: the linker keeps a method of a client only if something in
// the program may call it. So a new call that no test leads to is found, also where
// another function makes the same one.
//
// The API's functions are one program four times, so they are looked at together:
// which of them makes a call is known only by the requests that its routes bring it.
func TestNoCallIsOverlooked(t *testing.T) {
	programs := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-o", programs+"/", "orders/functions/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, group := range [][]string{{"create", "status", "ids", "metrics"}, {"relay"}, {"tally"}, {"processor"}} {
		var seen []string
		for _, name := range group {
			seen = append(seen, operations(t, name)...)
		}
		slices.Sort(seen)
		seen = slices.Compact(seen)
		for _, name := range group {
			if can := linked(t, filepath.Join(programs, name)); !slices.Equal(can, seen) {
				t.Errorf("%s can call %q, and %q was seen: see to its role, and that drive leads to every call", name, can, seen)
			}
		}
	}
}

// operations are what a function is seen to ask of AWS.
func operations(t *testing.T, name string) (all []string) {
	t.Helper()
	f := function{folder: "functions/" + name, events: map[string]map[string]any{}}
	for path, serving := range serves {
		if serving == f.folder {
			f.events["HttpApi/"+path] = map[string]any{"Path": path}
		}
	}
	for _, r := range answers(t) {
		f.drive(&stack{t: t}, r)
		for operation := range r.operations {
			all = append(all, operation)
		}
	}
	return all
}

var clientMethod = regexp.MustCompile(`aws-sdk-go-v2/service/\w+\.\(\*Client\)\.([A-Z]\w+)\n`)

// linked are the operations of AWS that a program can call. DescribeEndpoints is
// the SDK's own, and only if one asks it to discover endpoints, which nobody does.
func linked(t *testing.T, program string) (all []string) {
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
