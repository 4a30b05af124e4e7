package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"orders/tools/cfn"
)

var roleRules = []rule{
	{"a role allows what its function does, and nothing else", checkRoles, []edit{
		{"Action: dynamodb:GetItem", "Action: [dynamodb:GetItem, dynamodb:Scan]", "StatusRole allows dynamodb:Scan on ${OrdersTable.Arn}, which is never done"},
		{"Action: dynamodb:GetItem", "Action: dynamodb:Query", "StatusFunction may not dynamodb:GetItem"},
		{"/index/by_creation", "/index/by_user", "IdsFunction may not dynamodb:Query on ${OrdersTable.Arn}/index/by_creation"},
		{`Resource: !Sub "${OrdersTable.Arn}/index/by_creation"`, `Resource: [!GetAtt OrdersTable.Arn, !Sub "${OrdersTable.Arn}/index/by_creation"]`, "IdsRole allows dynamodb:Query on ${OrdersTable.Arn}, which is never done"},
		{"[TALLY, CHECKPOINT]", "[TALLY]", "TallyFunction may not dynamodb:PutItem on ${OrdersTable.Arn} (CHECKPOINT)"},
		{"[TALLY, CHECKPOINT]", "[TALLY, CHECKPOINT, OTHER]", "TallyRole allows items with OTHER, which is never done"},
		{"[dynamodb:UpdateItem, dynamodb:PutItem]", "[dynamodb:UpdateItem, dynamodb:PutItem, dynamodb:DeleteItem]", "TallyRole allows dynamodb:DeleteItem"},
		{"                Condition: { \"ForAllValues:StringEquals\": { \"dynamodb:LeadingKeys\": [TALLY, CHECKPOINT] } }\n", "", "TallyFunction may dynamodb:PutItem on all items"},
		{"                Condition: { \"ForAllValues:StringLike\": { \"dynamodb:LeadingKeys\": [\"ORDER#*\"] } }\n", "", "CreateFunction may dynamodb:PutItem on all items"},
		{`["ORDER#*"]`, `["ORDERS#*"]`, "CreateFunction may not dynamodb:PutItem"},
		{`["ORDER#*"]`, `["O*"]`, "CreateFunction may not dynamodb:PutItem"},
		{"ForAllValues:StringLike", "ForAllValues:StringEquals", "CreateRole has a condition"},
		{"ForAllValues:StringLike", "ForAnyValue:StringLike", "CreateRole has a condition"},
		{`"dynamodb:LeadingKeys": ["ORDER#*"]`, `"dynamodb:LeadingKeys": ["ORDER#*"], "dynamodb:Attributes": [pk]`, "CreateRole has a condition"},
		{"Resource: [!GetAtt OrdersQueue.Arn, !GetAtt DeadLetterQueue.Arn]", "Resource: !GetAtt OrdersQueue.Arn", "RelayFunction may not sqs:SendMessage on ${DeadLetterQueue.Arn}"},
		{"[sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes]", "[sqs:ReceiveMessage, sqs:DeleteMessage]", "ProcessorFunction may not sqs:GetQueueAttributes"},
		{"dynamodb:GetShardIterator, dynamodb:GetRecords, ", "dynamodb:GetRecords, ", "RelayFunction may not dynamodb:GetShardIterator"},
		{"Resource: !GetAtt MetricsLogs.Arn", "Resource: !GetAtt CreateLogs.Arn", "MetricsFunction may not logs:PutLogEvents on ${MetricsLogs.Arn}"},
		{"Role: !GetAtt StatusRole.Arn", "Role: !GetAtt CreateRole.Arn", "StatusRole is no function's"},
	}},
	{"a role is a list of what Lambda may do, and no part of it is wide open", checkNarrow, []edit{
		{"- Effect: Allow\n                Action: dynamodb:PutItem", "- Effect: Deny\n                Action: dynamodb:PutItem", "CreateRole has Effect: Deny"},
		{"- Effect: Allow\n                Action: dynamodb:PutItem", "- Action: dynamodb:PutItem", "CreateRole has Effect: <nil>"},
		{"Resource: !GetAtt OrdersTable.Arn", `Resource: "*"`, "CreateRole has Resource: *"},
		{"Action: dynamodb:PutItem", "Action: dynamodb:*", "CreateRole has Action: dynamodb:*"},
		{"Action: dynamodb:PutItem", "NotAction: dynamodb:PutItem", "CreateRole has NotAction"},
		{"Service: lambda.amazonaws.com", `AWS: "*"`, "CreateRole is for"},
		{"      Policies:\n", "      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n      Policies:\n", "CreateRole has ManagedPolicyArns"},
		{"        - PolicyName: create\n", "        - { PolicyName: wide, PolicyDocument: { Statement: { Effect: Allow, Action: \"*\", Resource: \"*\" } } }\n        - PolicyName: create\n", "CreateRole has a policy without a list"},
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

// A grant is a statement that allows actions on resources, with keys on items of
// those partition keys only. Used are those of all three that a call has needed.
type grant struct {
	actions, resources, keys []string
	used                     map[string]bool
}

// allows tells whether a grant allows a call. The pattern for orders' keys is
// compared as it is, so that no wider one does.
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

// unused tells what a grant allows and no call needs. That each action is needed and
// each key, though not each action with each key, is as far as it goes: the two
// writes of a transaction may be judged together.
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
		grants := grantsOf(s, role)
		for _, c := range append(f.callsOfLambda(), f.calls(s)...) {
			f.checkAllowed(s, grants, c)
		}
		for _, g := range grants {
			for _, what := range g.unused() {
				s.fault("%s allows %s, which is never done", role.ID, what)
			}
		}
	}
	for _, role := range unused {
		s.fault("%s is no function's", role.ID)
	}
}

// checkAllowed holds a function to be allowed a call, and no more than that: on the
// table, where items of all kinds lie, on its kind alone.
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

func grantsOf(s *stack, role cfn.Resource) []grant {
	var grants []grant
	for _, statement := range statements(s, role) {
		g := grant{actions: texts(statement["Action"]), resources: texts(statement["Resource"]), used: map[string]bool{}}
		if condition, ok := statement["Condition"]; ok {
			if g.keys = leadingKeys(condition); len(g.keys) == 0 {
				s.fault("%s has a condition that no test knows: %v", role.ID, condition)
			}
		}
		grants = append(grants, g)
	}
	return grants
}

// leadingKeys are the partition keys that a condition asks for, none if it asks for
// anything else. Only StringLike takes patterns.
func leadingKeys(condition any) []string {
	operators, _ := condition.(map[string]any)
	for operator, value := range operators {
		of, _ := value.(map[string]any)
		keys := texts(of["dynamodb:LeadingKeys"])
		like := operator == "ForAllValues:StringLike"
		equals := operator == "ForAllValues:StringEquals" && !strings.Contains(fmt.Sprint(keys), "*")
		if len(operators) == 1 && len(of) == 1 && (like || equals) {
			return keys
		}
	}
	return nil
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
