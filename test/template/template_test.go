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

// A rule is what template.yaml keeps to, and edits of the template that break it:
// after each, the rule finds a fault that contains want.
type rule struct {
	name   string
	check  func(*stack)
	broken []edit
}

type edit struct{ old, new, want string }

// TestTheTemplate holds template.yaml to the code and to what docs/design.md says of
// the home on AWS, and each rule to finding what it is there for.
func TestTheTemplate(t *testing.T) {
	source, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range slices.Concat(wholeRules, functionRules, variableRules, mappingRules, dataRules, alarmRules, routeRules, roleRules) {
		t.Run(r.name, func(t *testing.T) {
			for _, fault := range faults(t, r, string(source)) {
				t.Error(fault)
			}
			for _, e := range r.broken {
				if !strings.Contains(string(source), e.old) {
					t.Errorf("template.yaml has no %q to replace", e.old)
				}
				found := faults(t, r, strings.Replace(string(source), e.old, e.new, 1))
				if !slices.ContainsFunc(found, func(fault string) bool { return strings.Contains(fault, e.want) }) {
					t.Errorf("with %q for %q no fault is %q, but: %q", e.new, e.old, e.want, found)
				}
			}
		})
	}
}

func faults(t *testing.T, r rule, source string) []string {
	t.Helper()
	parsed, err := cfn.Parse([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, template: parsed}
	for name := range s.section("Parameters") {
		if name != "EndpointUrl" && name != "KmsKeyArn" { // AWS, and its own key, are where those are empty
			s.set(name)
		}
	}
	r.check(s)
	return s.faults
}

// A stack is a template under test, and what is wrong with it.
type stack struct {
	t        *testing.T
	template *cfn.Template
	faults   []string
}

func (s *stack) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// set gives a parameter a value that shows where it goes: ${Name}.
func (s *stack) set(parameter string) {
	s.t.Helper()
	set, err := s.template.With(map[string]string{parameter: "${" + parameter + "}"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.template = set
}

// same holds a mapping to what is wanted of it: those entries, and no other.
func (s *stack) same(name string, got, want map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if fmt.Sprint(got[key]) != fmt.Sprint(want[key]) {
			s.fault("%s: %s is %v, not %v", name, key, got[key], want[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			s.fault("%s: %s is %v, which no test knows", name, key, got[key])
		}
	}
}

// section returns one of the template's, resolved.
func (s *stack) section(name string) map[string]any {
	s.t.Helper()
	resolved, err := s.template.Resolve(s.template.Sections[name])
	if err != nil {
		s.t.Fatal(err)
	}
	m, _ := resolved.(map[string]any)
	return m
}

// without returns a copy of a mapping that lacks some entries.
func without(m map[string]any, names ...string) map[string]any {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(name string, _ any) bool { return slices.Contains(names, name) })
	return m
}

// resources returns those of a type, all for "".
func (s *stack) resources(kind string) []cfn.Resource {
	s.t.Helper()
	all, err := s.template.Resources(kind)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// property returns what lies at a path of names in a resource's properties, nil
// when there is nothing.
func property(r cfn.Resource, path ...string) any {
	var value any = r.Properties
	for _, name := range path {
		m, _ := value.(map[string]any)
		value = m[name]
	}
	return value
}

// A function is one of the template's, with the folder of its code.
type function struct {
	cfn.Resource
	folder string
	// events are its events' properties by type and the event's name, such as
	// "SQS/Queue".
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

// event returns the properties of a function's event of that type, nil without one.
func (f function) event(kind string) map[string]any {
	for _, name := range slices.Sorted(maps.Keys(f.events)) {
		if strings.HasPrefix(name, kind+"/") {
			return f.events[name]
		}
	}
	return nil
}
