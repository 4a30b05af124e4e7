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

const goldenHeader = `# Every value of template.yaml, one a line, resolved for a stack on AWS that sets every parameter. The
# lines at the end say which values differ on an emulator, with all that is optional left out.
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
// and then how a stack differs that uses an emulator, has no key of its own, notifies no topic, is
// not traced and has no dashboard.
func golden(t *testing.T, source string) []string {
	t.Helper()
	s := parse(t, source)
	s.set("KmsKeyArn")
	onAWS := s.lines()
	s = parse(t, source)
	s.set("EndpointUrl")
	for parameter, off := range map[string]string{"AlarmTopicArn": "", "Dashboard": "false", "Tracing": "false"} {
		s.setTo(parameter, off)
	}
	lines := onAWS
	for _, line := range diff(onAWS, s.lines()) {
		lines = append(lines, "emulator: "+line)
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
		case "Conditions":
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

// parse returns the template with a value for each parameter, except for EndpointUrl and KmsKeyArn,
// which are empty on AWS with AWS's own key. The dashboard and tracing are on.
func parse(t *testing.T, source string) *stack {
	t.Helper()
	parsed, err := cfn.Parse([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, template: parsed}
	for name := range s.section("Parameters") {
		if name != "EndpointUrl" && name != "KmsKeyArn" {
			s.set(name)
		}
	}
	s.setTo("Dashboard", "true")
	s.setTo("Tracing", "true")
	return s
}
