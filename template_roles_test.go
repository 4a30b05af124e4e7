package orders_test

import (
	"fmt"
	"strings"

	"orders/shared/template"
)

var roleRules = []rule{
	{"a role allows what its function does, and nothing else", checkRoles, []edit{
		{"Action: dynamodb:GetItem", "Action: [dynamodb:GetItem, dynamodb:Scan]", "StatusFunction may dynamodb:Scan on ${OrdersTable.Arn}, which it never does"},
		{"Action: dynamodb:GetItem", "Action: dynamodb:Query", "StatusFunction may not dynamodb:GetItem"},
		{"/index/by_creation", "/index/by_user", "IdsFunction may not dynamodb:Query on ${OrdersTable.Arn}/index/by_creation"},
		{`Resource: !Sub "${OrdersTable.Arn}/index/by_creation"`, `Resource: [!GetAtt OrdersTable.Arn, !Sub "${OrdersTable.Arn}/index/by_creation"]`, "IdsFunction may dynamodb:Query on ${OrdersTable.Arn}, which it never does"},
		{"[CHECKPOINT]", "[TALLY]", "TallyFunction may not dynamodb:PutItem on ${OrdersTable.Arn} (CHECKPOINT)"},
		{`["ORDER#*"]`, `["ORDERS#*"]`, "CreateFunction may not dynamodb:PutItem"},
		{"Resource: [!GetAtt OrdersQueue.Arn, !GetAtt DeadLetterQueue.Arn]", "Resource: !GetAtt OrdersQueue.Arn", "RelayFunction may not sqs:SendMessage on ${DeadLetterQueue.Arn}"},
		{"[sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes]", "[sqs:ReceiveMessage, sqs:DeleteMessage]", "ProcessorFunction may not sqs:GetQueueAttributes"},
		{"dynamodb:GetShardIterator, dynamodb:GetRecords, ", "dynamodb:GetRecords, ", "RelayFunction may not dynamodb:GetShardIterator"},
		{"Resource: !GetAtt MetricsLogs.Arn", "Resource: !GetAtt CreateLogs.Arn", "MetricsFunction may not logs:PutLogEvents on ${MetricsLogs.Arn}"},
	}},
	{"no role is wide open", checkNarrow, []edit{
		{"Resource: !GetAtt OrdersTable.Arn", `Resource: "*"`, "CreateRole"},
		{"Action: dynamodb:PutItem", "Action: dynamodb:*", "CreateRole"},
		{"Action: dynamodb:PutItem", "NotAction: dynamodb:PutItem", "CreateRole"},
		{"Service: lambda.amazonaws.com", `AWS: "*"`, "CreateRole is for"},
		{"      Policies:\n", "      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n      Policies:\n", "CreateRole has ManagedPolicyArns"},
	}},
}

// What Lambda does in a function's name: read its event source, and write its log.
// ListStreams is on the list that Lambda asks for when a mapping is made, though it
// is content with the three others. See
// https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html and
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
var (
	streamActions = []string{"dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords", "dynamodb:ListStreams"}
	queueActions  = []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
	logActions    = []string{"logs:CreateLogStream", "logs:PutLogEvents"}
)

// A call is what a role must allow: an action on a resource, and on items with that
// partition key, "" where there is none or it does not matter.
type call struct{ action, resource, pk string }

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

// A grant allows an action on a resource, on items whose partition key matches a
// pattern, if there are patterns.
type grant struct {
	action, resource string
	patterns         []string
}

func (g grant) allows(c call) bool {
	if g.action != c.action || g.resource != c.resource {
		return false
	}
	for _, pattern := range g.patterns {
		prefix, open := strings.CutSuffix(pattern, "*")
		if c.pk == pattern || open && strings.HasPrefix(c.pk, prefix) {
			return true
		}
	}
	return len(g.patterns) == 0
}

func checkRoles(s *stack) {
	roles := map[string]template.Resource{}
	for _, r := range s.resources("AWS::IAM::Role") {
		roles["${"+r.ID+".Arn}"] = r
	}
	for _, f := range s.functions() {
		role, ok := roles[fmt.Sprint(property(f.Resource, "Role"))]
		if !ok {
			s.fault("%s has no role", f.ID)
			continue
		}
		grants := grantsOf(s, role)
		used := make([]bool, len(grants))
		for _, c := range append(f.callsOfLambda(), f.calls(s)...) {
			allowed := false
			for i, g := range grants {
				if g.allows(c) {
					allowed, used[i] = true, true
				}
			}
			if !allowed {
				s.fault("%s may not %s on %s (%s)", f.ID, c.action, c.resource, c.pk)
			}
		}
		for i, g := range grants {
			if !used[i] {
				s.fault("%s may %s on %s, which it never does", f.ID, g.action, g.resource)
			}
		}
	}
}

func grantsOf(s *stack, role template.Resource) []grant {
	var grants []grant
	for _, statement := range statements(role) {
		var patterns []string
		conditions, _ := statement["Condition"].(map[string]any)
		for operator, condition := range conditions {
			keys, _ := condition.(map[string]any)
			patterns = texts(keys["dynamodb:LeadingKeys"])
			if len(patterns) == 0 || operator != "ForAllValues:StringLike" && operator != "ForAllValues:StringEquals" {
				s.fault("%s has a condition that the test does not know: %s %v", role.ID, operator, condition)
			}
		}
		for _, action := range texts(statement["Action"]) {
			for _, resource := range texts(statement["Resource"]) {
				grants = append(grants, grant{action, resource, patterns})
			}
		}
	}
	return grants
}

func checkNarrow(s *stack) {
	for _, role := range s.resources("AWS::IAM::Role") {
		for name := range role.Properties {
			if name != "AssumeRolePolicyDocument" && name != "Policies" {
				s.fault("%s has %s", role.ID, name)
			}
		}
		const lambda = "[map[Action:sts:AssumeRole Effect:Allow Principal:map[Service:lambda.amazonaws.com]]]"
		if got := fmt.Sprint(property(role, "AssumeRolePolicyDocument", "Statement")); got != lambda {
			s.fault("%s is for %s", role.ID, got)
		}
		for _, statement := range statements(role) {
			for name, value := range statement {
				known := name == "Effect" || name == "Action" || name == "Resource" || name == "Condition"
				if !known || name != "Condition" && strings.Contains(fmt.Sprint(value), "*") {
					s.fault("%s has %s: %v", role.ID, name, value)
				}
			}
		}
	}
}

func statements(role template.Resource) []map[string]any {
	var all []map[string]any
	policies, _ := property(role, "Policies").([]any)
	for _, p := range policies {
		policy, _ := p.(map[string]any)
		document, _ := policy["PolicyDocument"].(map[string]any)
		list, _ := document["Statement"].([]any)
		for _, s := range list {
			statement, _ := s.(map[string]any)
			all = append(all, statement)
		}
	}
	return all
}

// texts are the members of a list, or a single one.
func texts(value any) []string {
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
