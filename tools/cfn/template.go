// Package cfn reads template.yaml, so that tests and emulators create the table and the queues
// from the definition that AWS gets.
//
// Parameters have their defaults, or the values that With sets. Conditions are decided, intrinsic
// functions are evaluated, and properties that are AWS::NoValue are removed. A value that only AWS
// knows stays in the notation of Fn::Sub: a Ref to a resource is "${OrdersTable}", a GetAtt
// "${OrdersTable.Arn}", a pseudo parameter "${AWS::Region}".
//
// The package supports the functions that template.yaml uses; any other is an error. It does not
// validate (cfn-lint does), does not apply SAM's Globals, and leaves creating resources to others.
package cfn

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/pb33f/go-yaml"
)

// A Template is a CloudFormation template with values for its parameters.
type Template struct {
	// Sections are the top-level sections, unresolved, with functions in their long form ("Fn::If").
	Sections   map[string]any
	parameters map[string]any
}

// A Resource is one entry of the section Resources, resolved.
type Resource struct {
	ID, Type string
	// Properties holds map[string]any, []any, string, bool, int, float64 and nil.
	Properties map[string]any
	// Attributes are the entries beside Properties, such as DeletionPolicy.
	Attributes map[string]any
}

// ErrNoResource means that the template has no resource with this logical id, or that the
// resource's condition is false.
var ErrNoResource = errors.New("no such resource")

// Load reads a template file.
func Load(path string) (*Template, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	t, err := Parse(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Parse reads a template from its YAML.
func Parse(source []byte) (*Template, error) {
	var document yaml.Node
	var sections map[string]any
	err := yaml.Unmarshal(source, &document)
	if err == nil {
		expand(&document)
		err = document.Decode(&sections)
	}
	if err == nil && sections == nil {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("parse template: %w", err)
	}
	t := &Template{Sections: sections, parameters: map[string]any{}}
	for name := range section(sections, "Parameters") {
		t.parameters[name] = section(section(sections, "Parameters"), name)["Default"]
	}
	return t, nil
}

// With returns a copy of the template with other values for some of its parameters.
func (t *Template) With(parameters map[string]string) (*Template, error) {
	u := &Template{Sections: t.Sections, parameters: maps.Clone(t.parameters)}
	for name, value := range parameters {
		parameter, ok := section(t.Sections, "Parameters")[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the template has no parameter %q", name)
		}
		u.parameters[name] = value
		if n, err := strconv.Atoi(value); err == nil && parameter["Type"] == "Number" {
			u.parameters[name] = n
		}
	}
	return u, nil
}

// Resource returns the resource with a logical id, or ErrNoResource.
func (t *Template) Resource(id string) (Resource, error) {
	entry, ok := section(t.Sections, "Resources")[id].(map[string]any)
	if !ok {
		return Resource{}, fmt.Errorf("%s: %w", id, ErrNoResource)
	}
	if name, ok := entry["Condition"].(string); ok {
		exists, err := t.condition(name)
		if err != nil {
			return Resource{}, fmt.Errorf("%s: %w", id, err)
		}
		if !exists {
			return Resource{}, fmt.Errorf("%s: %w", id, ErrNoResource)
		}
	}
	r := Resource{ID: id, Attributes: maps.Clone(entry)}
	delete(r.Attributes, "Properties")
	r.Type, _ = entry["Type"].(string)
	properties, err := t.Resolve(section(entry, "Properties"))
	if err != nil {
		return Resource{}, fmt.Errorf("%s: %w", id, err)
	}
	r.Properties, _ = properties.(map[string]any)
	return r, nil
}

// Resources returns the resources of a type, or all resources if kind is "", sorted by logical id.
func (t *Template) Resources(kind string) ([]Resource, error) {
	var all []Resource
	for _, id := range slices.Sorted(maps.Keys(section(t.Sections, "Resources"))) {
		r, err := t.Resource(id)
		if errors.Is(err, ErrNoResource) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if kind == "" || r.Type == kind {
			all = append(all, r)
		}
	}
	return all, nil
}

// section returns an entry that is a mapping, nil if there is none.
func section(m map[string]any, name string) map[string]any {
	s, _ := m[name].(map[string]any)
	return s
}
