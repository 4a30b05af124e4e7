package cfn

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// noValue stands for AWS::NoValue until it is removed from what holds it.
type noValue struct{}

// Resolve works out the functions in a value of the template, as the package
// comment says. A function that it does not know is an error.
func (t *Template) Resolve(value any) (any, error) {
	switch v := value.(type) {
	case []any:
		return t.resolveList(v)
	case map[string]any:
		if name, argument, ok := function(v); ok {
			return t.call(name, argument)
		}
		return t.resolveMap(v)
	default:
		return value, nil
	}
}

// function tells whether a mapping is the long form of a function.
func function(m map[string]any) (name string, argument any, ok bool) {
	if len(m) != 1 {
		return "", nil, false
	}
	for name, argument = range m {
	}
	if name == "Condition" {
		_, ok = argument.(string) // else it is part of a policy
		return name, argument, ok
	}
	return name, argument, name == "Ref" || strings.HasPrefix(name, "Fn::")
}

func (t *Template) resolveMap(m map[string]any) (any, error) {
	resolved := make(map[string]any, len(m))
	for key, value := range m {
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

func (t *Template) resolveList(list []any) (any, error) {
	resolved := make([]any, 0, len(list))
	for _, value := range list {
		v, err := t.Resolve(value)
		if err != nil {
			return nil, err
		}
		if v != (noValue{}) {
			resolved = append(resolved, v)
		}
	}
	return resolved, nil
}

func (t *Template) call(name string, argument any) (any, error) {
	if name == "Fn::If" {
		return t.choose(argument)
	}
	argument, err := t.Resolve(argument)
	if err != nil {
		return nil, err
	}
	switch v := argument.(type) {
	case string:
		return t.callWithText(name, v)
	case []any:
		return t.callWithList(name, v)
	default:
		return nil, fmt.Errorf("%s of %v: not known here", name, v)
	}
}

func (t *Template) callWithText(name, text string) (any, error) {
	switch name {
	case "Ref":
		return t.ref(text), nil
	case "Condition":
		return t.condition(text)
	case "Fn::Sub":
		return t.substitute(text, nil), nil
	default:
		return nil, fmt.Errorf("%s of %q: not known here", name, text)
	}
}

func (t *Template) callWithList(name string, list []any) (any, error) {
	switch name {
	case "Fn::Not":
		return !slices.Contains(list, any(true)), nil
	case "Fn::And":
		return !slices.Contains(list, any(false)), nil
	case "Fn::Or":
		return slices.Contains(list, any(true)), nil
	}
	if len(list) != 2 {
		return nil, fmt.Errorf("%s of %v: not known here", name, list)
	}
	switch name {
	case "Fn::Sub":
		variables, _ := list[1].(map[string]any)
		return t.substitute(fmt.Sprint(list[0]), variables), nil
	case "Fn::GetAtt":
		return fmt.Sprintf("${%v.%v}", list[0], list[1]), nil
	case "Fn::Join":
		return join(list)
	case "Fn::Equals":
		return fmt.Sprint(list[0]) == fmt.Sprint(list[1]), nil
	default:
		return nil, fmt.Errorf("%s of %v: not known here", name, list)
	}
}

// choose is Fn::If: only the branch that is taken needs to make sense.
func (t *Template) choose(argument any) (any, error) {
	list, _ := argument.([]any)
	if len(list) != 3 {
		return nil, errors.New("Fn::If takes a condition and two values")
	}
	met, err := t.condition(fmt.Sprint(list[0]))
	if err != nil {
		return nil, err
	}
	if met {
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
	met, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("condition %s is %v", name, v)
	}
	return met, nil
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

// substitute is Fn::Sub. "${!name}" is left as it is.
func (t *Template) substitute(text string, variables map[string]any) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		name := strings.TrimSpace(found[2 : len(found)-1])
		if v, ok := variables[name]; ok {
			return fmt.Sprint(v)
		}
		return fmt.Sprint(t.ref(name))
	})
}

func join(list []any) (any, error) {
	parts, ok := list[1].([]any)
	if !ok {
		return nil, fmt.Errorf("Fn::Join of %v", list[1])
	}
	var texts []string
	for _, p := range parts {
		texts = append(texts, fmt.Sprint(p))
	}
	return strings.Join(texts, fmt.Sprint(list[0])), nil
}
