package template

import (
	"encoding/json/v2"
	"fmt"
	"strings"
)

var dataRules = []rule{
	{"what holds orders outlives the stack", checkRetained, []edit{
		{"    DeletionPolicy: Retain\n", "", "OrdersTable: DeletionPolicy"},
		{"UpdateReplacePolicy: Retain", "UpdateReplacePolicy: Delete", "OrdersTable: UpdateReplacePolicy"},
		{"  DeadLetterQueue:\n    Type: AWS::SQS::Queue\n    DeletionPolicy: Retain", "  DeadLetterQueue:\n    Type: AWS::SQS::Queue", "DeadLetterQueue: DeletionPolicy"},
	}},
	{"a message that is buried is kept for longer than one that waits", checkRetention, []edit{
		{"MessageRetentionPeriod: 345600", "MessageRetentionPeriod: 1209600", "keeps messages"},
	}},
	{"the table can be restored, and forgets what expires", checkTable, []edit{
		{"PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "PointInTimeRecoverySpecification"},
		{"AttributeName: expires_at", "AttributeName: expires", "TimeToLiveSpecification"},
		{"ProjectionType: KEYS_ONLY", "ProjectionType: ALL", "GlobalSecondaryIndexes"},
		{"StreamViewType: NEW_AND_OLD_IMAGES", "StreamViewType: NEW_IMAGE", "StreamSpecification"},
		{"DeletionProtectionEnabled: !Ref DeletionProtection", "DeletionProtectionEnabled: false", "DeletionProtectionEnabled"},
		{"SSEType: KMS, KMSMasterKeyId: !Ref KmsKeyArn", "SSEType: KMS", "SSESpecification"},
		{"KMSMasterKeyId: !Ref KmsKeyArn }\n        - !Ref AWS::NoValue", "KMSMasterKeyId: !Ref KmsKeyArn }\n        - { SSEEnabled: true }", "OrdersTable without a key: SSESpecification"},
		{"      BillingMode:", "      ResourcePolicy: { PolicyDocument: {} }\n      BillingMode:", "ResourcePolicy"},
	}},
	{"a queue has time for its messages, is encrypted, and takes nothing but TLS", checkQueues, []edit{
		{"SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false", "OrdersQueue: SqsManagedSseEnabled"},
		{"VisibilityTimeout: 60", "VisibilityTimeout: 60\n      DelaySeconds: 900", "OrdersQueue: DelaySeconds"},
		{"maxReceiveCount: 1000", "maxReceiveCount: 3", "OrdersQueue: RedrivePolicy"},
		{"Queues: [!Ref DeadLetterQueue]", "Queues: [!Ref OrdersQueue]", "DeadLetterQueue takes requests without TLS"},
		{`"aws:SecureTransport": "false"`, `"aws:SecureTransport": "true"`, "OrdersQueue takes requests without TLS"},
		{"  OrdersQueuePolicy:\n", "  Another:\n    Type: AWS::SQS::QueuePolicy\n    Properties: { Queues: [!Ref OrdersQueue] }\n\n  OrdersQueuePolicy:\n", "Another is a policy"},
	}},
	{"every log ends", checkLogs, []edit{
		{"      RetentionInDays: !Ref LogRetentionDays\n", "", "CreateLogs"},
		{"LogGroupName: !Sub \"/aws/vendedlogs/", "LogGroupName: !Sub \"/orders/", "ApiLogs"},
	}},
	{"the API is called at a bounded rate, and its failures are counted in its log", checkAPI, []edit{
		{"ThrottlingBurstLimit: !Ref ThrottleBurst", "ThrottlingBurstLimit: 0", "OrdersApi: DefaultRouteSettings"},
		{"      DefaultRouteSettings:\n", "      DisableExecuteApiEndpoint: true\n      DefaultRouteSettings:\n", "OrdersApi: DisableExecuteApiEndpoint"},
		{`"status":"$context.status"`, `"status":$context.status`, "status in the access log"},
		{`"time":`, `"ip":"$context.identity.sourceIp","time":`, "$context.identity"},
		{`$.status = "5*"`, "$.status = 5*", "ServerErrorsCount: FilterPattern"},
		{"    Type: AWS::Logs::MetricFilter", "    Type: AWS::Logs::Other", "0 filters"},
		{"MetricName: ServerErrors\n          MetricValue", "MetricName: Errors\n          MetricValue", "ServerErrorsCount: MetricTransformations"},
	}},
}

func checkRetained(s *stack) {
	for _, kind := range []string{"AWS::DynamoDB::Table", "AWS::SQS::Queue"} {
		all := s.resources(kind)
		if len(all) == 0 {
			s.fault("there is no %s", kind)
		}
		for _, r := range all {
			for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
				if got := r.Attributes[policy]; got != "Retain" {
					s.fault("%s: %s is %v", r.ID, policy, got)
				}
			}
		}
	}
}

// checkRetention is for how SQS counts: from the first sending, also in the
// dead-letter queue.
func checkRetention(s *stack) {
	kept := map[string]int{}
	for _, q := range s.resources("AWS::SQS::Queue") {
		kept[q.ID], _ = property(q, "MessageRetentionPeriod").(int)
	}
	if queue, dead := kept["OrdersQueue"], kept["DeadLetterQueue"]; queue == 0 || queue >= dead {
		s.fault("OrdersQueue keeps messages for %d s, DeadLetterQueue for %d s", queue, dead)
	}
}

// checkTable looks at the table with a key of one's own. Without, nothing is said of
// encryption.
func checkTable(s *stack) {
	for _, table := range s.resources("AWS::DynamoDB::Table") {
		if got := property(table, "SSESpecification"); got != nil {
			s.fault("%s without a key: SSESpecification is %v", table.ID, got)
		}
	}
	s.set("KmsKeyArn")
	for _, table := range s.resources("AWS::DynamoDB::Table") {
		s.same(table.ID, table.Properties, map[string]any{
			"BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": "${DeletionProtection}",
			"KeySchema": "[map[AttributeName:pk KeyType:HASH] map[AttributeName:sk KeyType:RANGE]]",
			"GlobalSecondaryIndexes": "[map[IndexName:by_creation" +
				" KeySchema:[map[AttributeName:bucket KeyType:HASH] map[AttributeName:created_key KeyType:RANGE]]" +
				" Projection:map[ProjectionType:KEYS_ONLY]]]",
			"AttributeDefinitions": "[map[AttributeName:pk AttributeType:S] map[AttributeName:sk AttributeType:S]" +
				" map[AttributeName:bucket AttributeType:S] map[AttributeName:created_key AttributeType:S]]",
			"StreamSpecification":              "map[StreamViewType:NEW_AND_OLD_IMAGES]",
			"PointInTimeRecoverySpecification": "map[PointInTimeRecoveryEnabled:true]",
			"SSESpecification":                 "map[KMSMasterKeyId:${KmsKeyArn} SSEEnabled:true SSEType:KMS]",
			"TimeToLiveSpecification":          "map[AttributeName:expires_at Enabled:true]",
		})
	}
}

func checkQueues(s *stack) {
	const tlsOnly = "[map[Action:sqs:* Condition:map[Bool:map[aws:SecureTransport:false]] Effect:Deny Principal:* Resource:${%s.Arn} Sid:TlsOnly]]"
	protected := map[string]bool{}
	for _, p := range s.resources("AWS::SQS::QueuePolicy") {
		id := strings.TrimSuffix(p.ID, "Policy")
		if fmt.Sprint(property(p, "Queues")) == "[${"+id+"}]" && fmt.Sprint(property(p, "PolicyDocument", "Statement")) == fmt.Sprintf(tlsOnly, id) {
			protected[id] = true
		} else {
			s.fault("%s is a policy for other than TLS: %v", p.ID, p.Properties)
		}
	}
	wanted := map[string]map[string]any{
		"OrdersQueue": {
			"SqsManagedSseEnabled": true, "VisibilityTimeout": 60, "MessageRetentionPeriod": 345600,
			"RedrivePolicy": "map[deadLetterTargetArn:${DeadLetterQueue.Arn} maxReceiveCount:1000]",
		},
		"DeadLetterQueue": {"SqsManagedSseEnabled": true, "MessageRetentionPeriod": 1209600},
	}
	for _, q := range s.resources("AWS::SQS::Queue") {
		s.same(q.ID, q.Properties, wanted[q.ID])
		if !protected[q.ID] {
			s.fault("%s takes requests without TLS", q.ID)
		}
	}
}

// checkLogs also looks at the name that lets API Gateway write without a policy of
// the account's:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html.
func checkLogs(s *stack) {
	for _, logs := range s.resources("AWS::Logs::LogGroup") {
		folder, part := "lambda", strings.ToLower(strings.TrimSuffix(logs.ID, "Logs"))
		if part == "api" {
			folder = "vendedlogs"
		}
		s.same(logs.ID, logs.Properties, map[string]any{
			"LogGroupName": "/aws/" + folder + "/${AWS::StackName}/" + part, "RetentionInDays": "${LogRetentionDays}",
		})
	}
}

// checkAPI holds the access log and the filter that counts in it to each other. A
// caller's address is personal data, which nothing here needs.
func checkAPI(s *stack) {
	for _, api := range s.resources("AWS::Serverless::HttpApi") {
		s.same(api.ID, without(api.Properties, "AccessLogSettings"), map[string]any{
			"DefaultRouteSettings": "map[ThrottlingBurstLimit:${ThrottleBurst} ThrottlingRateLimit:${ThrottleRate}]",
		})
		format := fmt.Sprint(property(api, "AccessLogSettings", "Format"))
		var line map[string]string
		if err := json.Unmarshal([]byte(format), &line); err != nil || line["status"] != "$context.status" {
			s.fault("there is no text for the status in the access log: %s", format)
		}
		if strings.Contains(format, "$context.identity") {
			s.fault("the access log has $context.identity")
		}
		if got := property(api, "AccessLogSettings", "DestinationArn"); got != "${ApiLogs.Arn}" {
			s.fault("the access log goes to %v", got)
		}
	}
	filters := s.resources("AWS::Logs::MetricFilter")
	if len(filters) != 1 {
		s.fault("%d filters count in the access log, not 1", len(filters))
	}
	for _, filter := range filters {
		s.same(filter.ID, filter.Properties, map[string]any{
			"LogGroupName": "${ApiLogs}", "FilterPattern": `{ $.status = "5*" }`,
			"MetricTransformations": "[map[MetricName:ServerErrors MetricNamespace:Orders/${AWS::StackName} MetricValue:1 Unit:Count]]",
		})
	}
}
