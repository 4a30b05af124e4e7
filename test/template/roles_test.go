package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"orders/tools/cfn"
)

var roleRules = []rule{
	{"a role allows the calls of its function, and nothing else", checkRoles, []edit{
		{"Action: dynamodb:GetItem", "Action: [dynamodb:GetItem, dynamodb:Scan]", "StatusRole allows dynamodb:Scan on ${OrdersTable.Arn}, which is never used"},
		{"Action: dynamodb:GetItem", "Action: dynamodb:Query", "StatusFunction may not dynamodb:GetItem"},
		{"/index/by_creation", "/index/by_user", "IdsFunction may not dynamodb:Query on ${OrdersTable.Arn}/index/by_creation"},
		{`Resource: !If [OwnTable, !Sub "${OrdersTable.Arn}/index/by_creation",`, `Resource: !If [OwnTable, [!GetAtt OrdersTable.Arn, !Sub "${OrdersTable.Arn}/index/by_creation"],`, "IdsRole allows dynamodb:Query on ${OrdersTable.Arn}, which is never used"},
		{"[TALLY, CHECKPOINT]", "[TALLY]", "TallyFunction may not dynamodb:UpdateItem on ${OrdersTable.Arn} (CHECKPOINT)"},
		{"[TALLY, CHECKPOINT]", "[TALLY, CHECKPOINT, OTHER]", "TallyRole allows items with OTHER, which is never used"},
		{"                Condition: { \"ForAllValues:StringEquals\": { \"dynamodb:LeadingKeys\": [TALLY, CHECKPOINT] } }\n", "", "TallyFunction may dynamodb:UpdateItem on all items"},
		{"                Condition: { \"ForAllValues:StringLike\": { \"dynamodb:LeadingKeys\": [\"ORDER#*\", BUCKETS] } }\n", "", "CreateFunction may dynamodb:PutItem on all items"},
		{`["ORDER#*", BUCKETS]`, `["ORDER#*"]`, "CreateFunction may not dynamodb:PutItem on ${OrdersTable.Arn} (BUCKETS)"},
		{`["ORDER#*", BUCKETS]`, `["ORDERS#*", BUCKETS]`, "CreateFunction may not dynamodb:PutItem"},
		{`["ORDER#*", BUCKETS]`, `["O*", BUCKETS]`, "CreateFunction may not dynamodb:PutItem"},
		{"ForAllValues:StringLike", "ForAllValues:StringEquals", "CreateRole has an unknown condition"},
		{"ForAllValues:StringLike", "ForAnyValue:StringLike", "CreateRole has an unknown condition"},
		{`"dynamodb:LeadingKeys": ["ORDER#*", BUCKETS]`, `"dynamodb:LeadingKeys": ["ORDER#*", BUCKETS], "dynamodb:Attributes": [pk]`, "CreateRole has an unknown condition"},
		{"Resource: [!GetAtt OrdersQueue.Arn, !GetAtt DeadLetterQueue.Arn]", "Resource: !GetAtt OrdersQueue.Arn", "RelayFunction may not sqs:SendMessage on ${DeadLetterQueue.Arn}"},
		{"[dynamodb:GetItem, dynamodb:UpdateItem]", "[dynamodb:UpdateItem]", "TransitionFunction may not dynamodb:GetItem"},
		{"[dynamodb:GetItem, dynamodb:UpdateItem]", "[dynamodb:GetItem, dynamodb:UpdateItem, dynamodb:PutItem]", "TransitionRole allows dynamodb:PutItem on ${OrdersTable.Arn}, which is never used"},
		{"[dynamodb:GetItem, dynamodb:UpdateItem]\n                Resource: !If [OwnTable, !GetAtt OrdersTable.Arn, !Sub \"arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${ExistingTable}\"]\n                Condition: { \"ForAllValues:StringLike\": { \"dynamodb:LeadingKeys\": [\"ORDER#*\"] } }\n", "[dynamodb:GetItem, dynamodb:UpdateItem]\n                Resource: !GetAtt OrdersTable.Arn\n", "TransitionFunction may dynamodb:GetItem on all items"},
		{"[sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes]", "[sqs:ReceiveMessage, sqs:DeleteMessage]", "ProcessorFunction may not sqs:GetQueueAttributes"},
		{"dynamodb:GetShardIterator, dynamodb:GetRecords, ", "dynamodb:GetRecords, ", "RelayFunction may not dynamodb:GetShardIterator"},
		{"Resource: !GetAtt MetricsLogs.Arn", "Resource: !GetAtt CreateLogs.Arn", "MetricsFunction may not logs:PutLogEvents on ${MetricsLogs.Arn}"},
		{"Role: !GetAtt StatusRole.Arn", "Role: !GetAtt CreateRole.Arn", "StatusRole is not used by a function"},
	}},
	{"a role is for Lambda, bounded, has no wildcard, and nothing else gives permissions", checkNarrow, []edit{
		{"    Properties:\n      PermissionsBoundary: !If [Bounded, !Ref PermissionsBoundaryArn, !Ref AWS::NoValue]\n", "    Properties:\n", "CreateRole: PermissionsBoundary is <nil>"},
		{"            OmitName: true\n            PermissionsBoundary: !If [Bounded, !Ref PermissionsBoundaryArn, !Ref AWS::NoValue]\n", "", "CheckFunction: PermissionsBoundary is <nil>"},
		{"- Effect: Allow\n                Action: dynamodb:PutItem", "- Effect: Deny\n                Action: dynamodb:PutItem", "CreateRole has Effect: Deny"},
		{"- Effect: Allow\n                Action: dynamodb:PutItem", "- Action: dynamodb:PutItem", "CreateRole has Effect: <nil>"},
		{"Resource: !If [OwnTable, !GetAtt OrdersTable.Arn,", `Resource: !If [OwnTable, "*",`, "CreateRole has Resource: *"},
		{"Action: dynamodb:PutItem", "Action: dynamodb:*", "CreateRole has Action: dynamodb:*"},
		{"Action: dynamodb:PutItem", "NotAction: dynamodb:PutItem", "CreateRole has NotAction"},
		{"Service: lambda.amazonaws.com", `AWS: "*"`, "CreateRole is for"},
		{"      Policies:\n", "      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n      Policies:\n", "CreateRole has ManagedPolicyArns"},
		{"        - PolicyName: create\n", "        - { PolicyName: wide, PolicyDocument: { Statement: { Effect: Allow, Action: \"*\", Resource: \"*\" } } }\n        - PolicyName: create\n", "CreateRole has a policy without a list"},
		{"        - !Ref CheckRole\n", "", "TracingPolicy is of"},
		{"[xray:PutTraceSegments, xray:PutTelemetryRecords]", "[xray:PutTraceSegments, xray:PutTelemetryRecords, dynamodb:PutItem]", "TracingPolicy allows"},
		{"  CreateRole:\n", "  Wide:\n    Type: AWS::IAM::Policy\n    Condition: OwnKey\n\n  CreateRole:\n", "Wide is of the unknown type AWS::IAM::Policy"},
		{"  CreateRole:\n", "  Second:\n    Type: AWS::Lambda::EventSourceMapping\n\n  CreateRole:\n", "Second is of the unknown type AWS::Lambda::EventSourceMapping"},
	}},
}

// Lambda uses a function's role to read its event source and to write its log. See
// https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html and
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
var (
	streamActions = []string{"dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords", "dynamodb:ListStreams"}
	queueActions  = []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
	logActions    = []string{"logs:CreateLogStream", "logs:PutLogEvents"}
)

var knownTypes = []string{
	"AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::DomainName",
	"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::DynamoDB::Table", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role", "AWS::Logs::LogGroup", "AWS::Logs::MetricFilter",
	"AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::Serverless::Function", "AWS::Serverless::HttpApi",
}

// A call is an action on a resource, and on items with a partition key: "" if there is none, or if it
// does not matter.
type call struct{ action, resource, pk string }

// callsOfLambda returns the calls that Lambda makes with the function's role.
func (f function) callsOfLambda() []call {
	var calls []call
	add := func(actions []string, resource any) {
		for _, action := range actions {
			calls = append(calls, call{action, fmt.Sprint(resource), ""})
		}
	}
	if e := f.event("DynamoDB"); e != nil {
		add(streamActions, e["Stream"])
	}
	if e := f.event("SQS"); e != nil {
		add(queueActions, e["Queue"])
	}
	group, _ := property(f.Resource, "LoggingConfig", "LogGroup").(string)
	add(logActions, strings.TrimSuffix(group, "}")+".Arn}")
	return calls
}

// A grant is a statement that allows actions on resources: on items with one of the partition keys,
// if there are keys. It remembers what calls have used.
type grant struct {
	actions, resources, keys []string
	used                     map[string]bool
}

// allows reports whether a grant allows a call. It compares the pattern for keys of orders as text, so
// a wider pattern does not match.
func (g grant) allows(c call) bool {
	if !slices.Contains(g.actions, c.action) || !slices.Contains(g.resources, c.resource) {
		return false
	}
	if len(g.keys) > 0 && !slices.Contains(g.keys, c.pk) {
		return false
	}
	g.used[c.action+" on "+c.resource], g.used["items with "+c.pk] = true, true
	return true
}

// unused returns what a grant allows and no call has used: actions and keys, not combinations of
// them.
func (g grant) unused() (all []string) {
	for _, action := range g.actions {
		for _, resource := range g.resources {
			all = append(all, action+" on "+resource)
		}
	}
	for _, key := range g.keys {
		all = append(all, "items with "+key)
	}
	return slices.DeleteFunc(all, func(what string) bool { return g.used[what] })
}

func checkRoles(s *stack) {
	roles := map[string]cfn.Resource{}
	for _, r := range s.resources("AWS::IAM::Role") {
		roles["${"+r.ID+".Arn}"] = r
	}
	unused := maps.Clone(roles)
	for _, f := range s.functions() {
		arn := fmt.Sprint(property(f.Resource, "Role"))
		role, ok := roles[arn]
		if !ok {
			s.fault("%s has no role", f.ID)
			continue
		}
		delete(unused, arn)
		grants := parseGrants(s, role)
		for _, c := range append(f.callsOfLambda(), f.calls(s)...) {
			f.checkAllowed(s, grants, c)
		}
		for _, g := range grants {
			for _, what := range g.unused() {
				s.fault("%s allows %s, which is never used", role.ID, what)
			}
		}
	}
	for _, role := range unused {
		s.fault("%s is not used by a function", role.ID)
	}
}

// checkAllowed checks that a function may make a call; on the table, only with a condition on the
// partition key.
func (f function) checkAllowed(s *stack, grants []grant, c call) {
	allowed := false
	for _, g := range grants {
		if !g.allows(c) {
			continue
		}
		allowed = true
		if c.resource == "${OrdersTable.Arn}" && len(g.keys) == 0 {
			s.fault("%s may %s on all items of %s, and needs those with %s", f.ID, c.action, c.resource, c.pk)
		}
	}
	if !allowed {
		s.fault("%s may not %s on %s (%s)", f.ID, c.action, c.resource, c.pk)
	}
}

func parseGrants(s *stack, role cfn.Resource) []grant {
	var grants []grant
	for _, statement := range statements(s, role) {
		g := grant{actions: stringList(statement["Action"]), resources: stringList(statement["Resource"]), used: map[string]bool{}}
		if condition, ok := statement["Condition"]; ok {
			if g.keys = leadingKeys(condition); len(g.keys) == 0 {
				s.fault("%s has an unknown condition: %v", role.ID, condition)
			}
		}
		grants = append(grants, g)
	}
	return grants
}

// leadingKeys returns the partition keys that a condition requires, none if it requires anything
// else. Only StringLike takes patterns.
func leadingKeys(condition any) []string {
	operators, _ := condition.(map[string]any)
	for operator, value := range operators {
		of, _ := value.(map[string]any)
		keys := stringList(of["dynamodb:LeadingKeys"])
		like := operator == "ForAllValues:StringLike"
		equals := operator == "ForAllValues:StringEquals" && !strings.Contains(fmt.Sprint(keys), "*")
		if len(operators) == 1 && len(of) == 1 && (like || equals) {
			return keys
		}
	}
	return nil
}

// checkNarrow also finds types of resources that could give permissions, or invoke functions, beside
// the roles and events that the rules check.
func checkNarrow(s *stack) {
	resources, _ := s.template.Sections["Resources"].(map[string]any)
	for id, entry := range resources {
		r, _ := entry.(map[string]any)
		if !slices.Contains(knownTypes, fmt.Sprint(r["Type"])) {
			s.fault("%s is of the unknown type %v", id, r["Type"])
		}
	}
	checkTracing(s)
	for _, f := range s.functions() {
		if e := f.event("ScheduleV2"); e != nil { // for which SAM makes a role
			s.contains(f.ID, e, map[string]any{"PermissionsBoundary": "${PermissionsBoundaryArn}"})
		}
	}
	for _, role := range s.resources("AWS::IAM::Role") {
		for name := range role.Properties {
			if name != "AssumeRolePolicyDocument" && name != "Policies" && name != "PermissionsBoundary" {
				s.fault("%s has %s", role.ID, name)
			}
		}
		s.contains(role.ID, role.Properties, map[string]any{"PermissionsBoundary": "${PermissionsBoundaryArn}"})
		const lambda = "[map[Action:sts:AssumeRole Effect:Allow Principal:map[Service:lambda.amazonaws.com]]]"
		if got := fmt.Sprint(property(role, "AssumeRolePolicyDocument", "Statement")); got != lambda {
			s.fault("%s is for %s", role.ID, got)
		}
		for _, statement := range statements(s, role) {
			if statement["Effect"] != "Allow" {
				s.fault("%s has Effect: %v", role.ID, statement["Effect"])
			}
			for name, value := range statement {
				known := name == "Effect" || name == "Action" || name == "Resource" || name == "Condition"
				if !known || name != "Condition" && strings.Contains(fmt.Sprint(value), "*") {
					s.fault("%s has %s: %v", role.ID, name, value)
				}
			}
		}
	}
}

// checkTracing checks the one policy that is for several roles: those of all functions. X-Ray's
// calls have no resource.
func checkTracing(s *stack) {
	var roles []any
	for _, r := range s.resources("AWS::IAM::Role") {
		roles = append(roles, "${"+r.ID+"}")
	}
	for _, p := range s.resources("AWS::IAM::ManagedPolicy") {
		of, _ := property(p, "Roles").([]any)
		slices.SortFunc(of, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		if fmt.Sprint(of) != fmt.Sprint(roles) {
			s.fault("%s is of %v, want all roles", p.ID, of)
		}
		const want = "[map[Action:[xray:PutTraceSegments xray:PutTelemetryRecords] Effect:Allow Resource:*]]"
		if got := fmt.Sprint(property(p, "PolicyDocument", "Statement")); got != want {
			s.fault("%s allows %s, want %s", p.ID, got, want)
		}
	}
}

func statements(s *stack, role cfn.Resource) []map[string]any {
	var all []map[string]any
	policies, ok := property(role, "Policies").([]any)
	if !ok {
		s.fault("%s has no list of policies", role.ID)
	}
	for _, p := range policies {
		policy, _ := p.(map[string]any)
		document, _ := policy["PolicyDocument"].(map[string]any)
		list, ok := document["Statement"].([]any)
		if !ok {
			s.fault("%s has a policy without a list of statements: %v", role.ID, p)
		}
		for _, entry := range list {
			statement, _ := entry.(map[string]any)
			all = append(all, statement)
		}
	}
	return all
}

// stringList returns the strings of a list, or a single string.
func stringList(value any) []string {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var all []string
	for _, v := range list {
		if text, ok := v.(string); ok {
			all = append(all, text)
		}
	}
	return all
}
