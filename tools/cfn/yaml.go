package cfn

import (
	"fmt"
	"strings"

	"github.com/pb33f/go-yaml"
)

// decodeNode returns a YAML node as plain Go values. A function in its short form, such as !Sub,
// becomes its long form: a mapping with one entry, "Fn::Sub".
func decodeNode(n *yaml.Node) (any, error) {
	value, err := decodeUntagged(n)
	if err != nil || !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
		return value, err
	}
	name := strings.TrimPrefix(n.Tag, "!")
	if name == "Ref" {
		return map[string]any{name: value}, nil
	}
	if path, ok := value.(string); ok && name == "GetAtt" {
		resource, attribute, _ := strings.Cut(path, ".")
		value = []any{resource, attribute}
	}
	return map[string]any{"Fn::" + name: value}, nil
}

func decodeUntagged(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return decodeNode(n.Content[0])
	case yaml.AliasNode:
		return decodeNode(n.Alias)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			v, err := decodeNode(item)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case yaml.MappingNode:
		return decodeMapping(n)
	default:
		return decodeScalar(n)
	}
}

func decodeMapping(n *yaml.Node) (any, error) {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, duplicate := m[key.Value]; duplicate {
			return nil, fmt.Errorf("line %d: duplicate key %q", key.Line, key.Value)
		}
		v, err := decodeNode(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		m[key.Value] = v
	}
	return m, nil
}

// decodeScalar reads numbers and booleans. Everything else is text, also what YAML would read as
// a date, such as the Version of a policy.
func decodeScalar(n *yaml.Node) (v any, err error) {
	switch n.Tag {
	case "!!int", "!!float", "!!bool", "!!null":
		err = n.Decode(&v)
		return v, err
	default:
		return n.Value, nil
	}
}
