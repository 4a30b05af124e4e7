package cfn_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"orders/tools/cfn"
)

const source = `
Parameters:
  Seconds: { Type: Number, Default: 50 }
  Endpoint: { Type: String, Default: "" }
Conditions:
  HasEndpoint: !Not [!Equals [!Ref Endpoint, ""]]
  Long: !Equals [!Ref Seconds, 900]
Resources:
  Thing:
    Type: A::Thing
    DeletionPolicy: Retain
    Properties:
      Seconds: !Ref Seconds
      Text: !Sub "${Seconds} at ${Other.Arn}/x in ${AWS::Region}, ${!kept}"
      Given: !Sub ["${Name} ${Seconds}", { Name: !If [HasEndpoint, !Ref Endpoint, !Ref Other] }]
      Ref: { Ref: Other }
      Arn: !GetAtt Other.Arn
      Long: { "Fn::GetAtt": [Other, Arn] }
      If: !If [HasEndpoint, !Ref Endpoint, none]
      Gone: !If [HasEndpoint, 1, !Ref AWS::NoValue]
      List: [1, !Ref AWS::NoValue, true]
      Version: 2012-10-17
      Policy: [{ Effect: Deny, Condition: { Bool: { "aws:SecureTransport": false } } }]
      Alone: { Condition: { Bool: {} } }
  Only:
    Type: A::Thing
    Condition: Long
`

func TestPropertiesAreResolved(t *testing.T) {
	want := map[string]any{
		"Seconds": 50,
		"Text":    "50 at ${Other.Arn}/x in ${AWS::Region}, ${!kept}",
		"Given":   "${Other} 50",
		"Ref":     "${Other}",
		"Arn":     "${Other.Arn}",
		"Long":    "${Other.Arn}",
		"If":      "none",
		"List":    []any{1, true},
		"Version": "2012-10-17",
		"Policy":  []any{map[string]any{"Effect": "Deny", "Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": false}}}},
		"Alone":   map[string]any{"Condition": map[string]any{"Bool": map[string]any{}}},
	}
	r, err := parse(t, source).Resource("Thing")
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range want {
		if !reflect.DeepEqual(r.Properties[name], v) {
			t.Errorf("%s is %#v, not %#v", name, r.Properties[name], v)
		}
	}
	if len(r.Properties) != len(want) {
		t.Errorf("properties are %v", r.Properties)
	}
	if r.Attributes["DeletionPolicy"] != "Retain" || r.Type != "A::Thing" {
		t.Errorf("resource is %+v", r)
	}
}

func TestParametersDecideConditionsAndValues(t *testing.T) {
	plain := parse(t, source)
	if _, err := plain.Resource("Only"); !errors.Is(err, cfn.ErrNoResource) {
		t.Errorf("error %v, not %v", err, cfn.ErrNoResource)
	}
	set, err := plain.With(map[string]string{"Endpoint": "http://x", "Seconds": "900"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := set.Resources("A::Thing")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d resources, error %v", len(all), err)
	}
	if p := all[1].Properties; p["If"] != "http://x" || p["Gone"] != 1 || p["Seconds"] != 900 {
		t.Errorf("properties are %v", p)
	}
	if _, err := plain.With(map[string]string{"Unknown": "1"}); err == nil {
		t.Error("an unknown parameter can be set")
	}
}

func TestUnsupportedSyntaxIsAnError(t *testing.T) {
	for name, tt := range map[string]struct{ old, new, want string }{
		"function":          {"!GetAtt Other.Arn", "!ImportValue x", "Fn::ImportValue"},
		"condition":         {"!If [HasEndpoint, 1", "!If [Unknown, 1", `"Unknown"`},
		"arguments":         {"!If [HasEndpoint, 1,", "!If [HasEndpoint,", "two values"},
		"condition's value": {"!Not [!Equals [!Ref Endpoint, \"\"]]", "!Ref Endpoint", "HasEndpoint is"},
	} {
		_, err := parse(t, replace(t, source, tt.old, tt.new)).Resource("Thing")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %s", name, err, tt.want)
		}
	}
	for name, bad := range map[string]string{"duplicate key": "A: 1\nA: 2\n", "not a mapping": "[1]", "not YAML": "a: [", "empty": ""} {
		if _, err := cfn.Parse([]byte(bad)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func parse(t *testing.T, source string) *cfn.Template {
	t.Helper()
	parsed, err := cfn.Parse([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// replace replaces text that must be in the template.
func replace(t *testing.T, s, from, to string) string {
	t.Helper()
	if !strings.Contains(s, from) {
		t.Fatalf("the template has no %q", from)
	}
	return strings.Replace(s, from, to, 1)
}
