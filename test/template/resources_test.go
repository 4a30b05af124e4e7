package template

import (
	"encoding/json/v2"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var resourceRules = []rule{
	{"every folder of functions/ is deployed, and nothing else", checkFolders, []edit{
		{"CodeUri: functions/tally/", "CodeUri: functions/relay/", "functions/tally is not deployed"},
		{"CodeUri: functions/tally/", "CodeUri: functions/other/", "functions/other is not a folder"},
	}},
	{"a function times out before its caller does", checkTimeouts, []edit{
		{"VisibilityTimeout: 60", "VisibilityTimeout: 59", "VisibilityTimeout 59 is less than 6 x 10"},
		{"Timeout: 10 #", "Timeout: 11 #", "VisibilityTimeout 60 is less than 6 x 11"},
		{"      CodeUri: functions/create/\n      Timeout: 10", "      CodeUri: functions/create/\n      Timeout: 30", "CreateFunction"},
	}},
	{"the dead-letter queue keeps a message longer than the queue", checkRetention, []edit{
		{"MessageRetentionPeriod: 345600", "MessageRetentionPeriod: 1209600", "keeps messages"},
	}},
	{"an alarm's description links its paragraph in docs/operations.md", checkRunbook, []edit{
		{"${RunbookUrl}#relaybehind", "${RunbookUrl}#relay-behind", "RelayBehind: docs/operations.md has no heading for #relay-behind"},
		{"See ${RunbookUrl}#relaybehind", "", "RelayBehind links no paragraph"},
	}},
	{"the dashboard is JSON, and shows metrics that the stack has", checkDashboard, []edit{
		{`{"widgets": [`, `{"widgets": `, "the body of the dashboard"},
		{`["AWS/Lambda", "Errors", "FunctionName", "${CreateFunction}"`, `["AWS/Lambda", "Errors", "FunctionName", "${CreatFunction}"`, "the dashboard shows ${CreatFunction}"},
		{`["Orders", "StartLateness", "TableName"`, `["Orders", "StartLatenes", "TableName"`, "the dashboard shows StartLatenes, which the functions do not log"},
		{`["AWS/Lambda", "Throttles", "FunctionName", "${RelayFunction}"`, `["AWS/Lambda", "Errors", "FunctionName", "${RelayFunction}"`, "the dashboard lacks Throttles of RelayFunction"},
	}},
	{"every function that fails or falls behind has an alarm, and every alarm notifies", checkAlarms, []edit{
		{"MetricName: Throttles", "MetricName: Duration", "no alarm on Throttles of CreateFunction"},
		{"MetricName: IteratorAge\n      Dimensions: [{ Name: FunctionName, Value: !Ref TallyFunction }]", "MetricName: IteratorAge\n      Dimensions: [{ Name: FunctionName, Value: !Ref RelayFunction }]", "no alarm on IteratorAge of TallyFunction"},
		{"      AlarmActions: !If [Notified, [!Ref AlarmTopicArn], !Ref AWS::NoValue]\n", "", "RelayBehind: AlarmActions"},
		{"      TreatMissingData: notBreaching\n", "      TreatMissingData: notBreaching\n      ActionsEnabled: false\n", "RelayBehind: ActionsEnabled"},
		{"TreatMissingData: notBreaching", "TreatMissingData: breaching", "RelayBehind: TreatMissingData"},
	}},
}

func checkFolders(s *stack) {
	mains, err := filepath.Glob("functions/*/main.go")
	if err != nil || len(mains) == 0 {
		s.t.Fatalf("there are no functions: %v", err)
	}
	deployed := map[string]bool{}
	for _, f := range s.functions() {
		deployed[f.folder] = true
		if !slices.Contains(mains, filepath.Join(f.folder, "main.go")) {
			s.fault("%s: %s is not a folder of a function", f.ID, f.folder)
		}
	}
	for _, main := range mains {
		if folder := filepath.Dir(main); !deployed[folder] {
			s.fault("%s is not deployed", folder)
		}
	}
}

// checkTimeouts knows that API Gateway waits for 30 s, and clients often for less; and that the
// visibility timeout has to be six times the function's:
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
func checkTimeouts(s *stack) {
	queue, err := s.template.Resource("OrdersQueue")
	if err != nil {
		s.t.Fatal(err)
	}
	visibility, _ := property(queue, "VisibilityTimeout").(int)
	for _, f := range s.functions() {
		timeout, _ := property(f.Resource, "Timeout").(int)
		switch {
		case timeout <= 0:
			s.fault("%s has no timeout", f.ID)
		case f.event("SQS") != nil && visibility < 6*timeout:
			s.fault("VisibilityTimeout %d is less than 6 x %d of %s", visibility, timeout, f.ID)
		case f.event("HttpApi") != nil && timeout > 10:
			s.fault("%s may take %d s", f.ID, timeout)
		}
	}
}

// checkRetention relies on how SQS counts: from the first sending, also in the dead-letter queue.
func checkRetention(s *stack) {
	kept := map[string]int{}
	for _, q := range s.resources("AWS::SQS::Queue") {
		kept[q.ID], _ = property(q, "MessageRetentionPeriod").(int)
	}
	if queue, dead := kept["OrdersQueue"], kept["DeadLetterQueue"]; queue == 0 || queue >= dead {
		s.fault("OrdersQueue keeps messages for %d s, DeadLetterQueue for %d s", queue, dead)
	}
}

// checkRunbook knows how GitHub makes anchors of headings.
func checkRunbook(s *stack) {
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		s.t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(page), -1) {
		kept := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		anchors[strings.ReplaceAll(kept, " ", "-")] = true
	}
	for _, a := range s.resources("AWS::CloudWatch::Alarm") {
		_, anchor, ok := strings.Cut(fmt.Sprint(property(a, "AlarmDescription")), " See ${RunbookUrl}#")
		if !ok {
			s.fault("%s links no paragraph", a.ID)
		} else if !anchors[anchor] {
			s.fault("%s: docs/operations.md has no heading for #%s", a.ID, anchor)
		}
	}
}

// loggedMetrics are the metrics that functions log.
var loggedMetrics = []string{"StartLateness", "CompleteLateness", "PendingOrders", "ProcessingOrders", "CompletedOrders", "OverdueOrders"}

func checkDashboard(s *stack) {
	dashboard, err := s.template.Resource("OrdersDashboard")
	if err != nil {
		s.t.Fatal(err)
	}
	var body struct {
		Widgets []struct {
			Properties struct{ Metrics [][]any }
		}
	}
	text := fmt.Sprint(property(dashboard, "DashboardBody"))
	if err := json.Unmarshal([]byte(text), &body, json.MatchCaseInsensitiveNames(true)); err != nil {
		s.fault("the body of the dashboard: %v", err)
		return
	}
	known := map[string]bool{"${AWS::Region}": true}
	for _, r := range s.resources("") {
		known["${"+r.ID+"}"], known["${"+r.ID+".QueueName}"] = true, true
	}
	for _, reference := range regexp.MustCompile(`\$\{[^}]+\}`).FindAllString(text, -1) {
		if !known[reference] {
			s.fault("the dashboard shows %s, which is not in the stack", reference)
		}
	}
	shown := map[string]bool{}
	for _, w := range body.Widgets {
		for _, m := range w.Properties.Metrics {
			shown[fmt.Sprint(m[1], " of ", m[3])] = true
			if m[0] == "Orders" && !slices.Contains(loggedMetrics, fmt.Sprint(m[1])) {
				s.fault("the dashboard shows %s, which the functions do not log", m[1])
			}
		}
	}
	for _, f := range s.functions() {
		for _, metric := range []string{"Errors", "Throttles", "Invocations"} {
			if !shown[metric+" of ${"+f.ID+"}"] {
				s.fault("the dashboard lacks %s of %s", metric, f.ID)
			}
		}
	}
}

func checkAlarms(s *stack) {
	covered := map[string]bool{}
	for _, a := range s.resources("AWS::CloudWatch::Alarm") {
		covered[fmt.Sprint(property(a, "MetricName"), property(a, "Dimensions"))] = true
		s.contains(a.ID, a.Properties, map[string]any{
			"AlarmActions": "[${AlarmTopicArn}]", "OKActions": "[${AlarmTopicArn}]", "ActionsEnabled": nil, "TreatMissingData": "notBreaching",
		})
	}
	for _, f := range s.functions() {
		metrics := []string{"Errors", "Throttles"}
		if f.event("DynamoDB") != nil {
			metrics = append(metrics, "IteratorAge")
		}
		for _, metric := range metrics {
			if !covered[metric+"[map[Name:FunctionName Value:${"+f.ID+"}]]"] {
				s.fault("no alarm on %s of %s", metric, f.ID)
			}
		}
	}
}
