package cfn

import (
	"fmt"
	"regexp"
	"strings"
)

// noValue is AWS::NoValue, until the mapping or list that contains it drops it.
type noValue struct{}

// Resolve evaluates the functions in a value of the template, see the package comment. A function
// that the package does not support is an error.
func (t *Template) Resolve(value any) (any, error) {
	switch v := value.(type) {
	case []any:
		resolved := make([]any, 0, len(v))
		for _, item := range v {
			r, err := t.Resolve(item)
			if err != nil {
				return nil, err
			}
			if r != (noValue{}) {
				resolved = append(resolved, r)
			}
		}
		return resolved, nil
	case map[string]any:
		return t.resolveMapping(v)
	default:
		return value, nil
	}
}

func (t *Template) resolveMapping(m map[string]any) (any, error) {
	resolved := make(map[string]any, len(m))
	for key, value := range m {
		if len(m) == 1 && (key == "Ref" || strings.HasPrefix(key, "Fn::")) {
			return t.call(key, value)
		}
		v, err := t.Resolve(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if v != (noValue{}) {
			resolved[key] = v
		}
	}
	return resolved, nil
}

// call evaluates a function. The arguments of Fn::If are not evaluated before it: the branch that
// is not chosen may be meaningless.
func (t *Template) call(name string, argument any) (any, error) {
	if list, ok := argument.([]any); ok && name == "Fn::If" {
		return t.choose(list)
	}
	argument, err := t.Resolve(argument)
	if err != nil {
		return nil, err
	}
	return t.evaluate(name, argument)
}

func (t *Template) evaluate(name string, argument any) (any, error) {
	text, isText := argument.(string)
	list, _ := argument.([]any)
	switch {
	case name == "Ref" && isText:
		return t.ref(text), nil
	case name == "Fn::Sub":
		return t.substitute(argument)
	case name == "Fn::GetAtt" && len(list) == 2:
		return fmt.Sprintf("${%v.%v}", list[0], list[1]), nil
	case name == "Fn::Equals" && len(list) == 2:
		return fmt.Sprint(list[0]) == fmt.Sprint(list[1]), nil
	case name == "Fn::Not" && len(list) == 1:
		return list[0] == false, nil
	default:
		return nil, fmt.Errorf("unsupported function: %s of %v", name, argument)
	}
}

func (t *Template) choose(list []any) (any, error) {
	if len(list) != 3 {
		return nil, fmt.Errorf("Fn::If has %d arguments, not a condition and two values", len(list))
	}
	yes, err := t.condition(fmt.Sprint(list[0]))
	if err != nil {
		return nil, err
	}
	if yes {
		return t.Resolve(list[1])
	}
	return t.Resolve(list[2])
}

func (t *Template) condition(name string) (bool, error) {
	definition, ok := section(t.Sections, "Conditions")[name]
	if !ok {
		return false, fmt.Errorf("the template has no condition %q", name)
	}
	v, err := t.Resolve(definition)
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", name, err)
	}
	yes, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("condition %s is %v", name, v)
	}
	return yes, nil
}

func (t *Template) ref(name string) any {
	if name == "AWS::NoValue" {
		return noValue{}
	}
	if value, ok := t.parameters[name]; ok {
		return value
	}
	return "${" + name + "}"
}

var variable = regexp.MustCompile(`\$\{[^!}][^}]*\}`)

// substitute is Fn::Sub of a text, or of a text and values for some of its names. It leaves
// "${!name}" as it is.
func (t *Template) substitute(argument any) (any, error) {
	var values map[string]any
	text, ok := argument.(string)
	if list, _ := argument.([]any); len(list) == 2 {
		text, ok = list[0].(string)
		values, _ = list[1].(map[string]any)
	}
	if !ok {
		return nil, fmt.Errorf("unsupported function: Fn::Sub of %v", argument)
	}
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		name := strings.TrimSpace(found[2 : len(found)-1])
		if value, ok := values[name]; ok {
			return fmt.Sprint(value)
		}
		return fmt.Sprint(t.ref(name))
	}), nil
}
