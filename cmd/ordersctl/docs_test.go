package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"orders/shared/workload"
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
	for _, name := range regexp.MustCompile("`([A-Z][A-Za-z]+(?:Errors|Throttles|Behind|Messages|Letters|Latency|Stopped|Blocked|LateStarts|LateCompletions))`").FindAllStringSubmatch(doc, -1) {
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
	for _, name := range []string{
		"AlarmTopicArn", "ProcessorConcurrency", "GradualDeployment", "ThrottleRate", "ThrottleBurst", "ProcessingTimeSeconds",
		"Fulfilment", "AttemptTimeoutSeconds", "MaxAttempts", "IndexBuckets", "ExistingTable", "ExistingStreamArn", "PermissionsBoundaryArn", "DomainName", "CertificateArn", "BasePath",
		"CorsOrigins", "BackupRetentionDays", "Dashboard", "Tracing", "SystemLogLevel", "RunbookUrl",
	} {
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
	if got := (workload.Functions{Memory: c.Memory, RequestMS: c.RequestMS, BatchMS: c.BatchMS, LogBytes: c.LogBytes}); got != workload.UsualFunctions {
		t.Errorf("the functions of cost are %+v, the usual ones %+v", got, workload.UsualFunctions)
	}
	parameters, _ := awstest.Template(t).Sections["Parameters"].(map[string]any)
	parameter := func(name string) any {
		p, _ := parameters[name].(map[string]any)
		return p["Default"]
	}
	for _, test := range []struct {
		name           string
		got, inTheFile any
	}{
		{"the relay's batch", workload.MaxRelayBatch, property(t, "RelayFunction", "Events", "Stream", "Properties", "BatchSize")},
		{"the tally's batch", workload.MaxTallyBatch, property(t, "TallyFunction", "Events", "Stream", "Properties", "BatchSize")},
		{"the tally's wait", workload.TallyWindowSecs, property(t, "TallyFunction", "Events", "Stream", "Properties", "MaximumBatchingWindowInSeconds")},
		{"the processor's batch", workload.MaxQueueBatch, property(t, "ProcessorFunction", "Events", "Queue", "Properties", "BatchSize")},
		{"--memory", c.Memory, parameter("MemorySize")},
		{"--throttle-rate", c.ThrottleRate, parameter("ThrottleRate")},
		{"--index-buckets", c.IndexBuckets, parameter("IndexBuckets")},
	} {
		if test.got != test.inTheFile {
			t.Errorf("%s is %v, and %v in the template", test.name, test.got, test.inTheFile)
		}
	}
}

var update = flag.Bool("update", false, "write the output of ordersctl cost into docs/operations.md")

// A call of cost in the page has its output below it, up to what cost says last.
func TestOperationsShowsWhatCostSays(t *testing.T) {
	call := regexp.MustCompile("(?s)```console\n\\$ ordersctl (cost[^\n]*)\n(.*?)```")
	doc := operations(t)
	fresh := call.ReplaceAllStringFunc(doc, func(block string) string {
		args := call.FindStringSubmatch(block)[1]
		_, stdout, _ := invoke(t, strings.Fields(args)...)
		stdout, _, _ = strings.Cut(stdout, "\nNot counted")
		return "```console\n$ ordersctl " + args + "\n" + stdout + "```"
	})
	if n := len(call.FindAllString(doc, -1)); n != 2 {
		t.Errorf("found %d calls of cost in docs/operations.md", n)
	}
	if *update {
		if err := os.WriteFile("../../docs/operations.md", []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if fresh != doc {
		t.Error("docs/operations.md does not show what cost says: go test ./cmd/ordersctl -run TestOperationsShowsWhatCostSays -update")
	}
}

func TestReadmeSaysTheRangeOfTheCost(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	prices := regexp.MustCompile(`\$([0-9.]+)\sat\s([0-9,]+)`).FindAllStringSubmatch(string(readme), -1)
	if len(prices) < 3 {
		t.Errorf("README.md has the prices %q", prices)
	}
	c := defaultCost(t)
	for _, price := range prices {
		rate, _ := strconv.ParseFloat(strings.ReplaceAll(price[2], ",", ""), 64)
		if got := fmt.Sprintf("%.2f", c.priced(rate).TotalUSD); got != price[1] {
			t.Errorf("README.md says %s, cost says $%s", price[0], got)
		}
	}
}

// The variables of a usual request at their longest; see
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html.
var usual = map[string]string{
	"requestId": "JKJaXmPLvHcESHA=",
	"routeKey":  "ANY /api/orders/{order_id}/status/{proxy+}", "status": "201", "responseLatency": "123", "integrationLatency": "123",
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
