// Package cfn reads template.yaml, so that the table, the queues and the
// rest of the home on AWS have one definition: AWS's own. Tests and a laptop
// create from it what AWS creates from it.
//
// Resource(id).Properties are a resource's properties as map[string]any, with
// []any, string, bool, int, float64 and nil within. Parameters have their
// defaults, or what With sets; conditions are decided; intrinsic functions are
// worked out; properties that are AWS::NoValue are gone. What only AWS knows
// stays as Fn::Sub writes it: a Ref to a resource is "${OrdersTable}", a GetAtt
// "${OrdersTable.Arn}", a pseudo parameter "${AWS::Region}".
//
// It is no validator: cfn-lint is. It knows nothing of what SAM makes of a
// template, of Globals in particular, and leaves creating things to others.
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
	// Sections are the template's top-level sections, with all functions in
	// their long form ("Fn::If"), and nothing resolved.
	Sections   map[string]any
	parameters map[string]any
}

// A Resource is one entry of the section Resources, resolved.
type Resource struct {
	ID, Type   string
	Properties map[string]any
	// Attributes are the entries beside Properties, such as DeletionPolicy.
	Attributes map[string]any
}

// ErrNoResource says that the template has no resource of that logical id, or
// that its condition leaves it out.
var ErrNoResource = errors.New("no such resource")

// Load reads the template in a file.
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

// Parse reads a template.
func Parse(source []byte) (*Template, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(source, &document); err != nil {
		return nil, fmt.Errorf("parse template: %w", err)
	}
	value, err := fromYAML(&document)
	if err != nil {
		return nil, fmt.Errorf("parse template: %w", err)
	}
	sections, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("parse template: it is no mapping")
	}
	t := &Template{Sections: sections, parameters: map[string]any{}}
	for name, p := range section(sections, "Parameters") {
		if parameter, ok := p.(map[string]any); ok {
			t.parameters[name] = parameter["Default"]
		}
	}
	return t, nil
}

// With returns the template with other values for some of its parameters.
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

// Resource returns the resource of a logical id, or ErrNoResource.
func (t *Template) Resource(id string) (Resource, error) {
	entry, ok := section(t.Sections, "Resources")[id].(map[string]any)
	if !ok {
		return Resource{}, fmt.Errorf("%s: %w", id, ErrNoResource)
	}
	if name, ok := entry["Condition"].(string); ok {
		met, err := t.condition(name)
		if err != nil {
			return Resource{}, fmt.Errorf("%s: %w", id, err)
		}
		if !met {
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

// Resources returns the resources of a type, all for "", in the order of their ids.
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

// section returns a mapping's entry that is a mapping itself, empty when absent.
func section(m map[string]any, name string) map[string]any {
	s, _ := m[name].(map[string]any)
	return s
}
