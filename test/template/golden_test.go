package template

import (
	"encoding/json/v2"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"orders/tools/cfn"
)

var update = flag.Bool("update", false, "rewrite the golden file from template.yaml")

const goldenFile = "test/template/testdata/template.golden"

const goldenHeader = `# Every value of template.yaml, one a line, resolved for a stack on AWS that sets every parameter but
# those of a restored table. The lines at the end say which values differ on an emulator, with all that
# is optional left out, with a restored table, with gradual deployments, and with external workers.
# Review a change of this file as a diff. To write it: go test ./test/template -update
`

// TestGoldenFile makes every change of a value in template.yaml visible as a change of the golden
// file, so that no property changes by accident.
func TestGoldenFile(t *testing.T) {
	lines := golden(t, readTemplate(t))
	if *update {
		if err := os.WriteFile(goldenFile, []byte(goldenHeader+strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(strings.TrimPrefix(string(content), goldenHeader), "\n"), "\n")
	for _, line := range diff(want, lines) {
		t.Error(line)
	}
	if t.Failed() {
		t.Error("if these changes of template.yaml are intended: go test ./test/template -update")
	}
}

// TestGoldenFileShowsEveryChange changes the template and expects the line of the golden file that
// changes.
func TestGoldenFileShowsEveryChange(t *testing.T) {
	source := readTemplate(t)
	before := golden(t, source)
	for _, e := range []edit{
		{"MaxValue: 900", "MaxValue: 901", `+ Parameters.ProcessingTimeSeconds.MaxValue = 901`},
		{`!Equals [!Ref EndpointUrl, ""]`, `!Equals [!Ref KmsKeyArn, ""]`, `+ Conditions.OnAws.Fn::Equals[0].Ref = "KmsKeyArn"`},
		{"    LoggingConfig:\n", "    ReservedConcurrentExecutions: 0\n    LoggingConfig:\n", `+ Globals.Function.ReservedConcurrentExecutions = 0`},
		{"    DeletionPolicy: Retain\n", "", `- Resources.OrdersTable.DeletionPolicy = "Retain"`},
		{"  RelayBehind:\n", "  RelayBehind:\n    Condition: OnAws\n", `+ Resources.RelayBehind.Condition = "OnAws"`},
		{"(received - done)", "(done)", `- Resources.UndoneMessages.Properties.Metrics[0].Expression = "IF(received > 0, (received - done)`},
		{"KMSMasterKeyId: !Ref KmsKeyArn }\n        - !Ref AWS::NoValue", "KMSMasterKeyId: !Ref KmsKeyArn }\n        - { SSEEnabled: true }", `- emulator: - Resources.OrdersTable.Properties.SSESpecification.SSEEnabled = true`},
		{"Queues: [!Ref OrdersQueue]", "Queues: []", "+ Resources.OrdersQueuePolicy.Properties.Queues = []"},
		{"Value: !Ref DeadLetterQueue\n", "Value: !Ref OrdersQueue\n", `+ Outputs.DeadLetterQueueUrl.Value = "${OrdersQueue}"`},
	} {
		changes := diff(before, golden(t, e.apply(t, source)))
		if !slices.ContainsFunc(changes, func(line string) bool { return strings.HasPrefix(line, e.want) }) {
			t.Errorf("with %q for %q the golden file changes by %q, want %q", e.new, e.old, changes, e.want)
		}
	}
}

// golden returns the lines of the golden file. They show a stack on AWS with every parameter given,
// and then how other stacks differ: one that uses an emulator, has no key of its own, notifies no
// topic, is not traced and has no dashboard, one with a restored table, one that deploys gradually,
// and one with external workers.
func golden(t *testing.T, source string) []string {
	t.Helper()
	s := parse(t, source)
	s.set("KmsKeyArn")
	onAWS := s.lines()
	lines := onAWS
	for _, other := range []struct {
		name   string
		values map[string]string
	}{
		{"emulator", map[string]string{"KmsKeyArn": "", "EndpointUrl": "${EndpointUrl}", "AlarmTopicArn": "", "Dashboard": "false", "Tracing": "false"}},
		{"restored", map[string]string{"ExistingTable": "${ExistingTable}", "ExistingStreamArn": "${ExistingStreamArn}"}},
		{"gradual", map[string]string{"GradualDeployment": "true"}},
		{"external", map[string]string{"Fulfilment": "external"}},
	} {
		s := parse(t, source)
		s.set("KmsKeyArn")
		for parameter, value := range other.values {
			s.setTo(parameter, value)
		}
		for _, line := range diff(onAWS, s.lines()) {
			lines = append(lines, other.name+": "+line)
		}
	}
	return lines
}

// lines returns every value of the template as a line "path = value", sorted by path.
func (s *stack) lines() []string {
	s.t.Helper()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(s.template.Sections)) {
		switch name {
		case "Resources":
			for _, r := range s.resources("") {
				lines = append(lines, flatten(name+"."+r.ID, r.Attributes)...)
				lines = append(lines, flatten(name+"."+r.ID+".Properties", r.Properties)...)
			}
		case "Conditions", "Rules":
			lines = append(lines, flatten(name, s.template.Sections[name])...)
		default:
			lines = append(lines, flatten(name, s.resolve(s.template.Sections[name]))...)
		}
	}
	return lines
}

func flatten(path string, value any) (lines []string) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, flatten(path+"."+name, v[name])...)
		}
	case []any:
		for i, item := range v {
			lines = append(lines, flatten(fmt.Sprintf("%s[%d]", path, i), item)...)
		}
	}
	if lines == nil {
		text, err := json.Marshal(value)
		if err != nil {
			text = []byte(err.Error())
		}
		lines = []string{path + " = " + string(text)}
	}
	return lines
}

// diff returns the lines of before that are not in after, marked with "-", and those of after that
// are not in before, marked with "+".
func diff(before, after []string) (changes []string) {
	for _, side := range []struct {
		mark         string
		lines, other []string
	}{{"- ", before, after}, {"+ ", after, before}} {
		present := map[string]bool{}
		for _, line := range side.other {
			present[line] = true
		}
		for _, line := range side.lines {
			if !present[line] {
				changes = append(changes, side.mark+line)
			}
		}
	}
	return changes
}

func readTemplate(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// empty are the parameters that are empty on AWS, with AWS's own key and the stack's own table.
var empty = []string{"EndpointUrl", "KmsKeyArn", "ExistingTable", "ExistingStreamArn"}

// parse returns the template with a value for each parameter, except for those that are empty. The
// dashboard and tracing are on.
func parse(t *testing.T, source string) *stack {
	t.Helper()
	parsed, err := cfn.Parse([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, template: parsed}
	for name := range s.section("Parameters") {
		if !slices.Contains(empty, name) {
			s.set(name)
		}
	}
	s.setTo("Dashboard", "true")
	s.setTo("Tracing", "true")
	return s
}
