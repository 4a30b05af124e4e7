// Package template tests template.yaml. A golden file shows every change of a value; rules compare
// the template with the code, and parts of it with each other. cfn-lint and checkov check the rest
// (make template-lint).
package template

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"orders/tools/cfn"
)

// The tests read files by their paths in the repository.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// A rule relates template.yaml to the code, or parts of the template to each other. Each of its
// edits breaks the rule: after the edit, the rule finds a fault that contains want.
type rule struct {
	name  string
	check func(*stack)
	edits []edit
}

// An edit replaces the first occurrence of old.
type edit struct{ old, new, want string }

func (e edit) apply(t *testing.T, source string) string {
	t.Helper()
	if !strings.Contains(source, e.old) {
		t.Errorf("template.yaml has no %q to replace", e.old)
	}
	return strings.Replace(source, e.old, e.new, 1)
}

// TestRules checks template.yaml with each rule, and that each rule finds the faults that it is
// meant to find.
func TestRules(t *testing.T) {
	source := readTemplate(t)
	for _, r := range slices.Concat(resourceRules, variableRules, mappingRules, routeRules, roleRules) {
		t.Run(r.name, func(t *testing.T) {
			for _, fault := range r.faults(t, source) {
				t.Error(fault)
			}
			for _, e := range r.edits {
				found := r.faults(t, e.apply(t, source))
				if !slices.ContainsFunc(found, func(fault string) bool { return strings.Contains(fault, e.want) }) {
					t.Errorf("with %q for %q the faults are %q, want %q", e.new, e.old, found, e.want)
				}
			}
		})
	}
}

func (r rule) faults(t *testing.T, source string) []string {
	t.Helper()
	s := parse(t, source)
	r.check(s)
	return s.faults
}

// A stack is a template with values for its parameters, and the faults that a rule has found in it.
type stack struct {
	t        *testing.T
	template *cfn.Template
	faults   []string
}

func (s *stack) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// set gives a parameter a value that shows where it is used: ${Name}.
func (s *stack) set(parameter string) { s.t.Helper(); s.setTo(parameter, "${"+parameter+"}") }

func (s *stack) setTo(parameter, value string) {
	s.t.Helper()
	set, err := s.template.With(map[string]string{parameter: value})
	if err != nil {
		s.t.Fatal(err)
	}
	s.template = set
}

// contains checks that a mapping has certain entries; nil stands for an entry that it must not have.
func (s *stack) contains(name string, got, want map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if fmt.Sprint(got[key]) != fmt.Sprint(want[key]) {
			s.fault("%s: %s is %v, want %v", name, key, got[key], want[key])
		}
	}
}

// equal checks that a mapping has certain entries, and no others.
func (s *stack) equal(name string, got, want map[string]any) {
	s.contains(name, got, want)
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			s.fault("%s: unexpected %s: %v", name, key, got[key])
		}
	}
}

func (s *stack) resolve(value any) any {
	s.t.Helper()
	resolved, err := s.template.Resolve(value)
	if err != nil {
		s.t.Fatal(err)
	}
	return resolved
}

// section returns a section of the template, resolved.
func (s *stack) section(name string) map[string]any {
	s.t.Helper()
	m, _ := s.resolve(s.template.Sections[name]).(map[string]any)
	return m
}

// resources returns the resources of a type, all resources for "".
func (s *stack) resources(kind string) []cfn.Resource {
	s.t.Helper()
	all, err := s.template.Resources(kind)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// property returns the property at a path of names, nil if there is none.
func property(r cfn.Resource, path ...string) any {
	var value any = r.Properties
	for _, name := range path {
		m, _ := value.(map[string]any)
		value = m[name]
	}
	return value
}

// A function is a Lambda function of the template.
type function struct {
	cfn.Resource
	folder string // of its code
	// events holds the properties of its events by type and name, such as "SQS/Queue".
	events map[string]map[string]any
}

func (s *stack) functions() []function {
	var all []function
	for _, r := range s.resources("AWS::Serverless::Function") {
		f := function{Resource: r, events: map[string]map[string]any{}}
		code, _ := property(r, "CodeUri").(string)
		f.folder = filepath.Clean(code)
		events, _ := property(r, "Events").(map[string]any)
		for name, e := range events {
			event, _ := e.(map[string]any)
			properties, _ := event["Properties"].(map[string]any)
			f.events[fmt.Sprint(event["Type"], "/", name)] = properties
		}
		all = append(all, f)
	}
	return all
}

// event returns the properties of the first event of a type, nil if there is none.
func (f function) event(kind string) map[string]any {
	for _, name := range slices.Sorted(maps.Keys(f.events)) {
		if strings.HasPrefix(name, kind+"/") {
			return f.events[name]
		}
	}
	return nil
}
