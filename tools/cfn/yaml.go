package cfn

import (
	"strings"

	"github.com/pb33f/go-yaml"
)

// expand gives the functions of a node their long form: !Sub becomes a mapping with one entry,
// "Fn::Sub". Dates become text, such as the Version of a policy.
func expand(n *yaml.Node) {
	for _, child := range n.Content {
		expand(child)
	}
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	name, isFunction := strings.CutPrefix(n.Tag, "!")
	if !isFunction || strings.HasPrefix(name, "!") {
		return
	}
	argument := *n
	argument.Tag = map[yaml.Kind]string{yaml.ScalarNode: "!!str", yaml.SequenceNode: "!!seq", yaml.MappingNode: "!!map"}[n.Kind]
	if name == "GetAtt" && n.Kind == yaml.ScalarNode {
		argument = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, part := range strings.SplitN(n.Value, ".", 2) {
			argument.Content = append(argument.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: part})
		}
	}
	if name != "Ref" {
		name = "Fn::" + name
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}
	*n = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{key, &argument}}
}
