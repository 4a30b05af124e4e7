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
// The API's functions contain the same handlers, so they are compared together.
//
// A client that is linked and never called would make a function start later. So a program links the
// clients of those services alone that it calls.
func TestNoCallIsOverlooked(t *testing.T) {
	programs := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-o", programs+"/", "orders/functions/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, group := range []struct {
		names    []string
		services []string
	}{
		{[]string{"create", "status", "transition", "ids", "metrics", "fallback"}, []string{"dynamodb"}},
		{[]string{"relay"}, []string{"sqs"}},
		{[]string{"tally"}, []string{"dynamodb"}},
		{[]string{"processor"}, []string{"dynamodb", "sqs"}},
		{[]string{"check"}, []string{"dynamodb"}},
	} {
		var recorded []string
		for _, name := range group.names {
			recorded = append(recorded, recordedOperations(t, name)...)
		}
		slices.Sort(recorded)
		recorded = slices.Compact(recorded)
		for _, name := range group.names {
			symbols, err := exec.CommandContext(t.Context(), "go", "tool", "nm", filepath.Join(programs, name)).Output()
			if err != nil {
				t.Fatal(err)
			}
			if linked := linkedNames(symbols, clientMethod); !slices.Equal(linked, recorded) {
				t.Errorf("%s can call %q, recorded are %q: check its role, and that drive reaches every call", name, linked, recorded)
			}
			if linked := linkedNames(symbols, service); !slices.Equal(linked, group.services) {
				t.Errorf("%s links clients of %q, not of %q alone", name, linked, group.services)
			}
		}
	}
}

// recordedOperations returns the operations of AWS that a function calls when it is driven.
func recordedOperations(t *testing.T, name string) (all []string) {
	t.Helper()
	f := function{folder: "functions/" + name}
	for _, r := range recorders(t) {
		f.drive(&stack{t: t}, r)
		for operation := range r.operations {
			all = append(all, operation)
		}
	}
	return all
}

var (
	clientMethod = regexp.MustCompile(`aws-sdk-go-v2/service/\w+\.\(\*Client\)\.([A-Z]\w+)\n`)
	service      = regexp.MustCompile(`aws-sdk-go-v2/service/(dynamodb\w*|sqs|lambda)[./]`)
)

// linkedNames returns what a pattern finds in the symbols of a program. DescribeEndpoints belongs to
// the SDK's endpoint discovery, which is off.
func linkedNames(symbols []byte, pattern *regexp.Regexp) (all []string) {
	for _, found := range pattern.FindAllSubmatch(symbols, -1) {
		if name := string(found[1]); name != "DescribeEndpoints" && name != "Options" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
