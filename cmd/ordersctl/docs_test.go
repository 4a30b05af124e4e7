package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

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

// property is a value in the resolved properties of a resource, under those keys.
func property(t *testing.T, resource string, keys ...string) any {
	t.Helper()
	found, err := awstest.Template(t).Resource(resource)
	if err != nil {
		t.Fatal(err)
	}
	var value any = found.Properties
	for _, key := range keys {
		properties, _ := value.(map[string]any)
		value = properties[key]
	}
	return value
}

// defaultCost is the command cost without flags.
func defaultCost(t *testing.T) (c costCommand) {
	t.Helper()
	if _, err := awstest.Must(kong.New(&c)).Parse(nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheDefaultsOfCostAreThoseOfTheTemplate(t *testing.T) {
	c := defaultCost(t)
	parameters, _ := awstest.Template(t).Sections["Parameters"].(map[string]any)
	memory, _ := parameters["MemorySize"].(map[string]any)
	for _, test := range []struct {
		flag           string
		got, inTheFile any
	}{
		{"relay-batch", c.RelayBatch, property(t, "RelayFunction", "Events", "Stream", "Properties", "BatchSize")},
		{"tally-batch", c.TallyBatch, property(t, "TallyFunction", "Events", "Stream", "Properties", "BatchSize")},
		{"queue-batch", c.QueueBatch, property(t, "ProcessorFunction", "Events", "Queue", "Properties", "BatchSize")},
		{"memory", c.Memory, memory["Default"]},
	} {
		if test.got != test.inTheFile {
			t.Errorf("--%s is %v, and %v in the template", test.flag, test.got, test.inTheFile)
		}
	}
}

// The variables of a usual request at their longest; see
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html.
var usual = map[string]string{
	"requestTime": "22/Nov/2026:20:54:39 +0000", "requestId": "JKJaXmPLvHcESHA=", "httpMethod": "POST",
	"routeKey": "ANY /api/orders/{order_id}/status/{proxy+}", "status": "201", "responseLatency": "123", "integrationLatency": "123",
	"integrationErrorMessage": "-", "error.message": "-",
}

func TestAnAccessLogLineIsNoLongerThanCostCounts(t *testing.T) {
	format, _ := property(t, "OrdersApi", "AccessLogSettings", "Format").(string)
	line := regexp.MustCompile(`\$context\.([A-Za-z.]*[A-Za-z])`).ReplaceAllStringFunc(format, func(variable string) string {
		value, known := usual[variable[len("$context."):]]
		if !known {
			t.Errorf("how long is %s?", variable)
		}
		return value
	})
	if n, counted := float64(len(line)), defaultCost(t).LogBytes; n == 0 || n > counted || n < counted*0.8 {
		t.Errorf("the line has %v bytes, cost counts %v:\n%s", n, counted, line)
	}
}
