package cfn

import (
	"fmt"
	"strings"

	"github.com/pb33f/go-yaml"
)

// fromYAML returns a node as plain Go values. Functions in their short form,
// such as !Sub, get their long one: a mapping with one entry, "Fn::Sub".
func fromYAML(n *yaml.Node) (any, error) {
	value, err := untagged(n)
	if err != nil || !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
		return value, err
	}
	switch name := strings.TrimPrefix(n.Tag, "!"); name {
	case "Ref", "Condition":
		return map[string]any{name: value}, nil
	case "GetAtt":
		if path, ok := value.(string); ok {
			resource, attribute, _ := strings.Cut(path, ".")
			value = []any{resource, attribute}
		}
		return map[string]any{"Fn::GetAtt": value}, nil
	default:
		return map[string]any{"Fn::" + name: value}, nil
	}
}

func untagged(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return fromYAML(n.Content[0])
	case yaml.AliasNode:
		return fromYAML(n.Alias)
	case yaml.SequenceNode:
		return sequence(n)
	case yaml.MappingNode:
		return mapping(n)
	default:
		return scalar(n)
	}
}

func sequence(n *yaml.Node) (any, error) {
	list := make([]any, 0, len(n.Content))
	for _, item := range n.Content {
		v, err := fromYAML(item)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func mapping(n *yaml.Node) (any, error) {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, twice := m[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %q is there twice", key.Line, key.Value)
		}
		v, err := fromYAML(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		m[key.Value] = v
	}
	return m, nil
}

// scalar reads numbers and booleans; all else is text, also what YAML would take
// for a date: a policy's Version is none.
func scalar(n *yaml.Node) (v any, err error) {
	switch n.Tag {
	case "!!int", "!!float", "!!bool", "!!null":
		err = n.Decode(&v)
		return v, err
	default:
		return n.Value, nil
	}
}
