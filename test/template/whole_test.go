package template

import (
	"fmt"
	"maps"
	"slices"
)

var wholeRules = []rule{
	{"there is nothing that no rule looks at", checkContents, []edit{
		{"  CreateRole:\n", "  Wide:\n    Type: AWS::IAM::Policy\n    Properties: { PolicyName: wide, Roles: [!Ref CreateRole] }\n\n  CreateRole:\n", "Wide is of type AWS::IAM::Policy"},
		{"  CreateRole:\n", "  Wide:\n    Type: AWS::IAM::ManagedPolicy\n    Condition: OwnKey\n\n  CreateRole:\n", "Wide is of type AWS::IAM::ManagedPolicy"},
		{"  CreateRole:\n", "  Second:\n    Type: AWS::Lambda::EventSourceMapping\n\n  CreateRole:\n", "Second is of type AWS::Lambda::EventSourceMapping"},
		{"  RelayBehind:\n", "  RelayBehind:\n    Condition: OwnKey\n", "conditions: RelayBehind is OwnKey"},
		{`!Equals [!Ref EndpointUrl, ""]`, `!Equals [!Ref KmsKeyArn, ""]`, "Conditions: OnAws"},
		{"Value: !Ref DeadLetterQueue\n", "Value: !Ref OrdersQueue\n", "Outputs: DeadLetterQueueUrl"},
	}},
	{"what all functions have is what their programs are built for", checkGlobals, []edit{
		{"Runtime: provided.al2023", "Runtime: nodejs20.x", "Globals: Runtime is nodejs20.x"},
		{"LogFormat: JSON", "LogFormat: Text", "Globals: LoggingConfig"},
		{"MemorySize: !Ref MemorySize", "MemorySize: !Ref MemorySize\n    ReservedConcurrentExecutions: 0", "Globals: ReservedConcurrentExecutions"},
		{"Architectures: [!Ref Architecture]", "Architectures: [x86_64]", "Globals: Architectures"},
	}},
	{"a parameter takes only what works", checkParameters, []edit{
		{"[DEBUG, INFO, WARN]", "[DEBUG, INFO, WARN, ERROR]", "LogLevel: AllowedValues"},
		{"MaxValue: 900", "MaxValue: 901", "ProcessingTimeSeconds: MaxValue"},
		{"MinValue: 1\n    MaxValue: 900", "MinValue: 0\n    MaxValue: 900", "ProcessingTimeSeconds: MinValue"},
		{"MinValue: 2\n", "MinValue: 1\n", "ProcessorConcurrency: MinValue"},
		{"AllowedPattern: ^(https?://.+)?$", "AllowedPattern: .*", "EndpointUrl: AllowedPattern"},
	}},
}

// kinds are the types that rules look at: in particular, no policy that stands
// beside the roles, and no event source that stands beside the functions.
var kinds = []string{
	"AWS::CloudWatch::Alarm", "AWS::DynamoDB::Table", "AWS::IAM::Role", "AWS::Logs::LogGroup", "AWS::Logs::MetricFilter",
	"AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::Serverless::Function", "AWS::Serverless::HttpApi",
}

func checkContents(s *stack) {
	resources, _ := s.template.Sections["Resources"].(map[string]any)
	conditions := map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		entry, _ := resources[id].(map[string]any)
		if !slices.Contains(kinds, fmt.Sprint(entry["Type"])) {
			s.fault("%s is of type %v, which no test knows", id, entry["Type"])
		}
		if condition, ok := entry["Condition"]; ok {
			conditions[id] = condition
		}
	}
	s.same("conditions", conditions, map[string]any{
		"OrdersQueuePolicy": "OnAws", "DeadLetterQueuePolicy": "OnAws", "UndoneMessages": "OnAws", "ApiErrors": "OnAws",
	})
	definitions, _ := s.template.Sections["Conditions"].(map[string]any)
	s.same("Conditions", definitions, map[string]any{
		"OnAws":    "map[Fn::Equals:[map[Ref:EndpointUrl] ]]",
		"OwnKey":   "map[Fn::Not:[map[Fn::Equals:[map[Ref:KmsKeyArn] ]]]]",
		"Notified": "map[Fn::Not:[map[Fn::Equals:[map[Ref:AlarmTopicArn] ]]]]",
	})
	outputs := map[string]any{}
	for name, output := range s.section("Outputs") {
		o, _ := output.(map[string]any)
		outputs[name] = o["Value"]
	}
	s.same("Outputs", outputs, map[string]any{
		"ApiUrl":    "https://${OrdersApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}",
		"TableName": "${OrdersTable}", "QueueUrl": "${OrdersQueue}", "DeadLetterQueueUrl": "${DeadLetterQueue}",
	})
}

func checkGlobals(s *stack) {
	globals := s.section("Globals")
	function, _ := globals["Function"].(map[string]any)
	s.same("Globals", function, map[string]any{
		"Runtime": "provided.al2023", "Handler": "bootstrap", "Architectures": "[${Architecture}]", "MemorySize": "${MemorySize}",
		"LoggingConfig": "map[ApplicationLogLevel:${LogLevel} LogFormat:JSON SystemLogLevel:WARN]",
	})
	s.same("Globals", without(globals, "Function"), nil)
}

// parameters are all that there are, but for what describes them. An order waits by
// SQS's delay, of 15 minutes at most. DeadLetteredMessages is counted in lines at WARN, so
// they must be kept. Concurrency begins at two:
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html.
var parameters = map[string]map[string]any{
	"ProcessingTimeSeconds": {"Type": "Number", "Default": 50, "MinValue": 1, "MaxValue": 900},
	"ThrottleRate":          {"Type": "Number", "Default": 1000, "MinValue": 1},
	"ThrottleBurst":         {"Type": "Number", "Default": 2000, "MinValue": 1},
	"Architecture":          {"Type": "String", "Default": "arm64", "AllowedValues": "[arm64 x86_64]"},
	"MemorySize":            {"Type": "Number", "Default": 512, "MinValue": 128, "MaxValue": 3008},
	"ProcessorConcurrency":  {"Type": "Number", "Default": 50, "MinValue": 2, "MaxValue": 1000},
	"GradualDeployment":     {"Type": "String", "Default": "false", "AllowedValues": "[true false]"},
	"EndpointUrl":           {"Type": "String", "Default": "", "AllowedPattern": "^(https?://.+)?$"},
	"DeletionProtection":    {"Type": "String", "Default": "false", "AllowedValues": "[true false]"},
	"KmsKeyArn":             {"Type": "String", "Default": "", "AllowedPattern": "^(arn:[a-z-]+:kms:.+)?$"},
	"LogLevel":              {"Type": "String", "Default": "INFO", "AllowedValues": "[DEBUG INFO WARN]"},
	"LogRetentionDays":      {"Type": "Number", "Default": 30, "AllowedValues": "[1 3 7 14 30 60 90 180 365 731]"},
	"AlarmTopicArn":         {"Type": "String", "Default": "", "AllowedPattern": "^(arn:[a-z-]+:sns:.+)?$"},
}

func checkParameters(s *stack) {
	found := s.section("Parameters")
	for name, want := range parameters {
		parameter, _ := found[name].(map[string]any)
		s.same(name, without(parameter, "Description"), want)
	}
	for name := range found {
		if parameters[name] == nil {
			s.fault("%s is a parameter that no test knows", name)
		}
	}
}
