package template

import (
	"cmp"
	"encoding/json/v2"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"orders/tools/cfn"
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
	{"with a restored table nothing names the stack's own", checkRestored, []edit{
		{"ORDERS_TABLE: !If [OwnTable, !Ref OrdersTable, !Ref ExistingTable]", "ORDERS_TABLE: !Ref OrdersTable", "CreateFunction names the stack's own table"},
		{"Stream: !If [OwnTable, !GetAtt OrdersTable.StreamArn, !Ref ExistingStreamArn]", "Stream: !GetAtt OrdersTable.StreamArn", "RelayFunction names the stack's own table"},
		{"    Value: !If [OwnTable, !Ref OrdersTable, !Ref ExistingTable]", "    Value: !Ref OrdersTable", "the outputs name the stack's own table"},
		{"    Condition: OwnTable\n", "", "OrdersTable is still there"},
	}},
	{"a parameter that a function takes makes a new version of it", checkVersions, []edit{
		{"${MemorySize} ", "", "CreateFunction: a change of MemorySize makes no new version"},
		{" ${Tracing}", "", "CreateFunction: a change of Tracing makes no new version"},
		{" ${ExistingTable}", "", "CreateFunction: a change of ExistingTable makes no new version"},
		{"${Architecture} ", "${ThrottleRate} ", "CreateFunction: a change of ThrottleRate makes a version that does not differ"},
	}},
	{"the description of a version fits, whatever the parameters are", checkDescriptions, []edit{
		{"MaxLength: 72", "MaxLength: 82", "FallbackFunction: the description of a version may have 257 characters"},
		{"    MaxLength: 20\n", "", "FallbackFunction: the description"},
		{"${Tracing} ${ExistingTable}", "${Tracing} ${KmsKeyArn} ${ExistingTable}", "CreateFunction: the description"},
	}},
}

// maxDescription is how many characters Lambda takes:
// https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html.
const maxDescription = 256

// checkDescriptions gives each parameter its longest value.
func checkDescriptions(s *stack) {
	for name, p := range s.section("Parameters") {
		s.setTo(name, strings.Repeat("x", longestValue(p)))
	}
	for id, v := range s.versions() {
		if n := len(v.description); n > maxDescription {
			s.fault("%s: the description of a version may have %d characters", id, n)
		}
	}
}

// longestValue is how many characters a parameter may have, too many for a description if it has no limit.
func longestValue(parameter any) (n int) {
	p, _ := parameter.(map[string]any)
	allowed, _ := p["AllowedValues"].([]any)
	for _, value := range allowed {
		n = max(n, len(fmt.Sprint(value)))
	}
	if limit, ok := p["MaxLength"].(int); ok {
		return limit
	}
	if largest, ok := p["MaxValue"].(int); ok {
		return len(strconv.Itoa(largest))
	}
	return cmp.Or(n, maxDescription)
}

// checkRestored looks for the stack's own table in a stack with another one. It would be an error of
// CloudFormation, or orders in two tables.
func checkRestored(s *stack) {
	s.set("ExistingTable")
	s.set("ExistingStreamArn")
	const own = "${OrdersTable"
	for _, r := range s.resources("") {
		if r.ID == "OrdersTable" {
			s.fault("%s is still there", r.ID)
		}
		if strings.Contains(fmt.Sprint(r.Properties), own) {
			s.fault("%s names the stack's own table", r.ID)
		}
	}
	if strings.Contains(fmt.Sprint(s.section("Outputs")), own) {
		s.fault("the outputs name the stack's own table")
	}
}

// checkVersions compares the parameters in a version's description with those that configure the
// function. CloudFormation replaces a version when its description changes, and fails if the function
// is unchanged: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-version.html.
// EndpointUrl is for emulators, and never changes.
func checkVersions(s *stack) {
	given, before := s.template, s.versions()
	for name := range s.section("Parameters") {
		if name == "EndpointUrl" {
			continue
		}
		s.setTo(name, "another")
		for id, after := range s.versions() {
			described, taken := after.description != before[id].description, after.settings != before[id].settings
			if taken && !described {
				s.fault("%s: a change of %s makes no new version", id, name)
			}
			if described && !taken {
				s.fault("%s: a change of %s makes a version that does not differ", id, name)
			}
		}
		s.template = given
	}
}

type version struct{ description, settings string }

// versions returns the versions of the functions that have versions.
func (s *stack) versions() map[string]version {
	all := map[string]version{}
	globals := s.section("Globals")
	for _, f := range s.functions() {
		if property(f.Resource, "AutoPublishAlias") != nil {
			all[f.ID] = version{fmt.Sprint(property(f.Resource, "VersionDescription")), fmt.Sprint(globals, property(f.Resource, "Environment"))}
		}
	}
	return all
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

// A stack links its alarms to a page that there is: a URL to which an anchor can be added or, by
// default, the file of the repository.
func TestTheRunbookIsAURLOrAFileOfTheRepository(t *testing.T) {
	template, err := cfn.Load("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parameters, _ := template.Sections["Parameters"].(map[string]any)
	p, _ := parameters["RunbookUrl"].(map[string]any)
	if _, err := os.Stat(fmt.Sprint(p["Default"])); err != nil {
		t.Error(err)
	}
	allowed := regexp.MustCompile(fmt.Sprint(p["AllowedPattern"]))
	for value, want := range map[string]bool{
		fmt.Sprint(p["Default"]): true, "https://git.example/orders/blob/main/docs/operations.md": true,
		"": false, "operations.md": false, "git.example/docs/operations.md": false, "https://git.example/operations.md#alarms": false,
	} {
		if got := allowed.MatchString(value); got != want {
			t.Errorf("%q is allowed: %t", value, got)
		}
	}
}

// loggedMetrics are the metrics that functions log.
var loggedMetrics = []string{"StartLateness", "CompleteLateness", "PendingOrders", "ProcessingOrders", "CompletedOrders", "FailedOrders", "CancelledOrders", "OverdueOrders"}

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

// What a stack does not use costs nothing: no resource is there for a parameter that has its default.
func TestParametersAddNothingByDefault(t *testing.T) {
	template, err := cfn.Load("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	resources, err := template.Resources("")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resources {
		if strings.HasPrefix(r.Type, "AWS::ApiGatewayV2::") || r.ID == "DeploymentRole" || property(r, "PermissionsBoundary") != nil {
			t.Errorf("%s is there by default, or has a boundary: %v", r.ID, r.Properties)
		}
	}
	set, err := template.With(map[string]string{
		"DomainName": "a.example", "CertificateArn": "arn:aws:acm:x", "BasePath": "shop", "GradualDeployment": "true", "PermissionsBoundaryArn": "arn:aws:iam::x",
	})
	if err != nil {
		t.Fatal(err)
	}
	more, err := set.Resources("")
	if err != nil || len(more) != len(resources)+3 {
		t.Errorf("%d resources with all parameters, %d without (%v), want a domain, its mapping and a role", len(more), len(resources), err)
	}
}
