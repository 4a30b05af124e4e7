package orders_test

import (
	"fmt"
	"strings"

	"orders/shared/template"
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
	}},
	{"a queue is encrypted, and takes nothing but TLS", checkQueues, []edit{
		{"SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false", "OrdersQueue is not encrypted"},
		{"Queues: [!Ref DeadLetterQueue]", "Queues: [!Ref OrdersQueue]", "DeadLetterQueue takes requests without TLS"},
		{`"aws:SecureTransport": "false"`, `"aws:SecureTransport": "true"`, "OrdersQueue takes requests without TLS"},
	}},
	{"every log ends", checkLogs, []edit{
		{"      RetentionInDays: !Ref LogRetentionDays\n", "", "CreateLogs"},
		{"LogGroup: !Ref RelayLogs", "LogGroup: !Ref TallyLogs", "RelayFunction"},
	}},
}

var alarmRules = []rule{
	{"every function has an alarm for errors and one for throttles", checkFunctionAlarms, []edit{
		{"MetricName: Throttles", "MetricName: Duration", "CreateFunction has no alarm for Throttles"},
		{"  TallyErrors:\n    Type: AWS::CloudWatch::Alarm", "  TallyErrors:\n    Type: AWS::CloudWatch::Other", "TallyFunction has no alarm for Errors"},
	}},
	{"what can be lost or late has an alarm", checkFlowAlarms, []edit{
		{"MetricName: IteratorAge\n      Dimensions: [{ Name: FunctionName, Value: !Ref TallyFunction }]", "MetricName: IteratorAge\n      Dimensions: [{ Name: FunctionName, Value: !Ref RelayFunction }]", "IteratorAge of TallyFunction"},
		{"Threshold: 300000", "Threshold: 86400000", "IteratorAge of TallyFunction"},
		{"MetricName: ApproximateNumberOfMessagesVisible", "MetricName: NumberOfMessagesSent", "ApproximateNumberOfMessagesVisible of DeadLetterQueue"},
		{"MetricName: BuriedMessages", "MetricName: Buried", "BuriedMessages"},
		{"MetricName: ApproximateAgeOfOldestMessage", "MetricName: Age", "ApproximateAgeOfOldestMessage"},
	}},
	{"every alarm tells the topic, and silence is none", checkAlarms, []edit{
		{"      AlarmActions: !If [Notified, [!Ref AlarmTopicArn], !Ref AWS::NoValue]\n", "", "RelayBehind: AlarmActions"},
		{"TreatMissingData: notBreaching", "TreatMissingData: breaching", "RelayBehind: TreatMissingData"},
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

func checkTable(s *stack) {
	for _, table := range s.resources("AWS::DynamoDB::Table") {
		for name, want := range map[string]string{
			"PointInTimeRecoverySpecification": "map[PointInTimeRecoveryEnabled:true]",
			"TimeToLiveSpecification":          "map[AttributeName:expires_at Enabled:true]",
		} {
			if got := fmt.Sprint(property(table, name)); got != want {
				s.fault("%s: %s is %s", table.ID, name, got)
			}
		}
	}
}

func checkQueues(s *stack) {
	const tlsOnly = "map[Action:sqs:* Condition:map[Bool:map[aws:SecureTransport:false]] Effect:Deny Principal:* Resource:%s Sid:TlsOnly]"
	policies := map[string]string{}
	for _, p := range s.resources("AWS::SQS::QueuePolicy") {
		policies[fmt.Sprint(property(p, "Queues"))] = fmt.Sprint(property(p, "PolicyDocument", "Statement"))
	}
	for _, q := range s.resources("AWS::SQS::Queue") {
		if property(q, "SqsManagedSseEnabled") != true {
			s.fault("%s is not encrypted", q.ID)
		}
		want := "[" + fmt.Sprintf(tlsOnly, "${"+q.ID+".Arn}") + "]"
		if got := policies["[${"+q.ID+"}]"]; got != want {
			s.fault("%s takes requests without TLS: its policy is %s", q.ID, got)
		}
	}
}

func checkLogs(s *stack) {
	for _, logs := range s.resources("AWS::Logs::LogGroup") {
		if days, _ := property(logs, "RetentionInDays").(int); days == 0 {
			s.fault("%s are kept for ever", logs.ID)
		}
	}
	for _, f := range s.functions() {
		want := "${" + strings.TrimSuffix(f.ID, "Function") + "Logs}"
		if got := property(f.Resource, "LoggingConfig", "LogGroup"); got != want {
			s.fault("%s logs to %v, not %s", f.ID, got, want)
		}
	}
}

// alarm returns the alarm on a metric of what is called name, such as a function.
func (s *stack) alarm(metric, name string) (template.Resource, bool) {
	for _, a := range s.resources("AWS::CloudWatch::Alarm") {
		if property(a, "MetricName") == metric && strings.Contains(fmt.Sprint(property(a, "Dimensions")), "Value:${"+name) {
			return a, true
		}
	}
	return template.Resource{}, false
}

func checkFunctionAlarms(s *stack) {
	for _, f := range s.functions() {
		for _, metric := range []string{"Errors", "Throttles"} {
			if _, ok := s.alarm(metric, f.ID+"}"); !ok {
				s.fault("%s has no alarm for %s", f.ID, metric)
			}
		}
	}
}

// checkFlowAlarms holds the alarms to be early enough: a record of the stream is lost
// after 24 hours, and a message may wait for 15 minutes by itself.
func checkFlowAlarms(s *stack) {
	for _, want := range []struct {
		metric, of  string
		least, most int
	}{
		{"IteratorAge", "RelayFunction}", 1000, 3_600_000},
		{"IteratorAge", "TallyFunction}", 1000, 3_600_000},
		{"ApproximateAgeOfOldestMessage", "OrdersQueue.QueueName}", 901, 3600},
		{"ApproximateNumberOfMessagesVisible", "DeadLetterQueue.QueueName}", 0, 0},
		{"BuriedMessages", "DeadLetterQueue.QueueName}", 0, 0},
		{"Latency", "OrdersApi}", 1, 5000},
	} {
		a, ok := s.alarm(want.metric, want.of)
		threshold, isNumber := property(a, "Threshold").(int)
		if !ok || !isNumber || threshold < want.least || threshold > want.most {
			s.fault("there is no alarm on %s of %s with a threshold of %d to %d", want.metric, want.of, want.least, want.most)
		}
	}
}

func checkAlarms(s *stack) {
	for _, a := range s.resources("AWS::CloudWatch::Alarm") {
		for name, want := range map[string]string{
			"AlarmActions":     "[arn:aws:sns:eu-west-1:000000000000:topic]",
			"OKActions":        "[arn:aws:sns:eu-west-1:000000000000:topic]",
			"TreatMissingData": "notBreaching",
		} {
			if got := fmt.Sprint(property(a, name)); got != want {
				s.fault("%s: %s is %s", a.ID, name, got)
			}
		}
	}
}
