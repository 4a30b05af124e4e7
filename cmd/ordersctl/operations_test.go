package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"orders/test/awstest"
)

func operations(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOperationsExplainsEveryAlarm(t *testing.T) {
	doc := operations(t)
	alarms := map[string]bool{}
	resources, _ := awstest.Template(t).Sections["Resources"].(map[string]any)
	for id, resource := range resources {
		if r, _ := resource.(map[string]any); r["Type"] == "AWS::CloudWatch::Alarm" {
			alarms[id] = true
			if !strings.Contains(doc, "`"+id+"`") {
				t.Errorf("docs/operations.md does not explain the alarm %s", id)
			}
		}
	}
	for _, name := range regexp.MustCompile("`([A-Z][A-Za-z]+(?:Errors|Throttles|Behind|Messages|Letters|Latency))`").FindAllStringSubmatch(doc, -1) {
		if !alarms[name[1]] {
			t.Errorf("docs/operations.md explains %s, which is no alarm of the template", name[1])
		}
	}
}

func TestOperationsUsesCommandsFlagsAndParametersThatExist(t *testing.T) {
	doc := operations(t)
	calls := regexp.MustCompile(`\bordersctl ([a-z]+)((?: --[a-z-]+(?: [0-9]+)?)*)`).FindAllStringSubmatch(doc, -1)
	if len(calls) < 5 {
		t.Fatalf("found %d calls of ordersctl", len(calls))
	}
	for _, call := range calls {
		code, help, _ := invoke(t, call[1], "--help")
		if code != exitOK {
			t.Errorf("%s: there is no such command", call[0])
		}
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(call[2], -1) {
			if !strings.Contains(help, flag) {
				t.Errorf("%s: there is no such flag", call[0])
			}
		}
	}
	parameters, _ := awstest.Template(t).Sections["Parameters"].(map[string]any)
	outputs, _ := awstest.Template(t).Sections["Outputs"].(map[string]any)
	for _, name := range []string{"AlarmTopicArn", "ProcessorConcurrency", "GradualDeployment", "ThrottleRate", "ThrottleBurst", "ProcessingTimeSeconds"} {
		if parameters[name] == nil || !strings.Contains(doc, name) {
			t.Errorf("%s is not both a parameter of the template and in docs/operations.md", name)
		}
	}
	for _, output := range regexp.MustCompile(`\$\(output ([A-Za-z]+)\)`).FindAllStringSubmatch(doc, -1) {
		if outputs[output[1]] == nil {
			t.Errorf("the template has no output %s", output[1])
		}
	}
}
