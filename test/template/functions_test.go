package template

import (
	"path/filepath"
	"slices"
	"strings"
)

var functionRules = []rule{
	{"every folder of functions/ is deployed, and nothing else", checkFolders, []edit{
		{"CodeUri: functions/tally/", "CodeUri: functions/relay/", "functions/tally is not deployed"},
		{"CodeUri: functions/tally/", "CodeUri: functions/other/", "functions/other is no folder"},
	}},
	{"a function has a role, a log and a way back of its own", checkOwn, []edit{
		{"      Role: !GetAtt StatusRole.Arn\n", "      Role: !GetAtt CreateRole.Arn\n", "StatusFunction: Role"},
		{"      Role: !GetAtt StatusRole.Arn\n", "      Policies: [AdministratorAccess]\n", "StatusFunction: Policies"},
		{"      AutoPublishAlias: live\n", "", "CreateFunction: AutoPublishAlias"},
		{"[!Ref CreateErrors, !Ref CreateThrottles, !Ref ServerErrors]", "[]", "CreateFunction: DeploymentPreference"},
		{"LogGroup: !Ref RelayLogs", "LogGroup: !Ref TallyLogs", "RelayFunction: LoggingConfig"},
		{"      Timeout: 30\n", "      Timeout: 30\n      ReservedConcurrentExecutions: 0\n", "RelayFunction: ReservedConcurrentExecutions is 0"},
		{"      Timeout: 30\n", "      Timeout: 30\n      Runtime: nodejs20.x\n", "RelayFunction: Runtime is nodejs20.x"},
		{"BuildMethod: go1.x", "BuildMethod: makefile", "CreateFunction: Metadata"},
		{"      RecursiveLoop: Allow\n", "", "ProcessorFunction: RecursiveLoop"},
		{"      RecursiveLoop: Allow\n", "      RecursiveLoop: Terminate\n", "ProcessorFunction: RecursiveLoop"},
		{"      Timeout: 30\n", "      Timeout: 30\n      RecursiveLoop: Allow\n", "RelayFunction: RecursiveLoop is Allow"},
	}},
	{"an answer comes before whoever waits for it gives up", checkTimeouts, []edit{
		{"VisibilityTimeout: 60", "VisibilityTimeout: 59", "VisibilityTimeout 59 is less than 6 x 10"},
		{"Timeout: 10 #", "Timeout: 11 #", "VisibilityTimeout 60 is less than 6 x 11"},
		{"      CodeUri: functions/create/\n      Timeout: 10", "      CodeUri: functions/create/\n      Timeout: 30", "CreateFunction"},
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
			s.fault("%s: %s is no folder of a function", f.ID, f.folder)
		}
	}
	for _, main := range mains {
		if folder := filepath.Dir(main); !deployed[folder] {
			s.fault("%s is not deployed", folder)
		}
	}
}

// checkOwn holds what a function has beside its variables and its events. The API's
// functions have an alias, by which a new version can be tried and taken back.
func checkOwn(s *stack) {
	for _, f := range s.functions() {
		name := strings.TrimSuffix(f.ID, "Function")
		want := map[string]any{
			"CodeUri": "functions/" + strings.ToLower(name) + "/", "Timeout": 10,
			"Role": "${" + name + "Role.Arn}", "LoggingConfig": "map[LogGroup:${" + name + "Logs}]",
		}
		switch name {
		case "Relay", "Tally":
			want["Timeout"] = 30
		case "Processor": // the one that sends to the queue that it is fed from
			want["RecursiveLoop"] = "Allow"
		default:
			want["AutoPublishAlias"], want["AutoPublishAliasAllProperties"] = "live", true
			want["DeploymentPreference"] = "map[Alarms:[${" + name + "Errors} ${" + name + "Throttles} ${ServerErrors}]" +
				" Enabled:${GradualDeployment} Type:Canary10Percent5Minutes]"
		}
		s.same(f.ID, without(f.Properties, "Description", "Environment", "Events"), want)
		s.same(f.ID, f.Attributes, map[string]any{
			"Type": "AWS::Serverless::Function", "Metadata": "map[BuildMethod:go1.x BuildProperties:map[TrimGoPath:true]]",
		})
	}
}

// checkTimeouts goes by what API Gateway waits, 30 s, with room for the client's own
// patience, and by what Lambda's documentation asks of a queue:
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
