package orders_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"orders/shared/template"
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
	for _, r := range slices.Concat(functionRules, dataRules, alarmRules, routeRules, roleRules) {
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
	parsed, err := template.Parse([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	// With a topic, so that what tells it can be seen.
	parsed, err = parsed.With(map[string]string{"AlarmTopicArn": "arn:aws:sns:eu-west-1:000000000000:topic"})
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, template: parsed}
	r.check(s)
	return s.faults
}

// A stack is a template under test, and what is wrong with it.
type stack struct {
	t        *testing.T
	template *template.Template
	faults   []string
}

func (s *stack) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// resources returns those of a type, all for "".
func (s *stack) resources(kind string) []template.Resource {
	s.t.Helper()
	all, err := s.template.Resources(kind)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// property returns what lies at a path of names in a resource's properties, nil
// when there is nothing.
func property(r template.Resource, path ...string) any {
	var value any = r.Properties
	for _, name := range path {
		m, _ := value.(map[string]any)
		value = m[name]
	}
	return value
}

// A function is one of the template's, with the folder of its code.
type function struct {
	template.Resource
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
