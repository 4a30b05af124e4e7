package template

import (
	"fmt"
	"maps"
	"strings"
)

var alarmRules = []rule{
	{"what can be lost, late or refused has an alarm, and the alarm goes off", checkAlarms, []edit{
		{"MetricName: Throttles", "MetricName: Duration", "CreateThrottles: MetricName"},
		{"  TallyErrors:\n", "  TallyMistakes:\n", "TallyErrors is missing"},
		{"  TallyErrors:\n", "  TallyMistakes:\n", "TallyMistakes is an alarm that no test knows"},
		{"MetricName: IteratorAge\n      Dimensions: [{ Name: FunctionName, Value: !Ref TallyFunction }]", "MetricName: IteratorAge\n      Dimensions: [{ Name: FunctionName, Value: !Ref RelayFunction }]", "TallyBehind: Dimensions"},
		{"Threshold: 300000", "Threshold: 86400000", "TallyBehind: Threshold"},
		{"MetricName: ApproximateNumberOfMessagesVisible", "MetricName: NumberOfMessagesSent", "DeadLetters: MetricName"},
		{"MetricName: DeadLetteredMessages", "MetricName: Buried", "DeadLetteredMessages: MetricName"},
		{"Namespace: Orders\n", "Namespace: AWS/SQS\n", "DeadLetteredMessages: Namespace"},
		{"MetricName: ApproximateAgeOfOldestMessage", "MetricName: Age", "QueueBehind: MetricName"},
		{"Threshold: 60000\n      ComparisonOperator: GreaterThanThreshold", "Threshold: 60000\n      ComparisonOperator: LessThanThreshold", "RelayBehind: ComparisonOperator"},
		{"EvaluationPeriods: 5", "EvaluationPeriods: 1440", "RelayBehind: EvaluationPeriods"},
		{"DatapointsToAlarm: 3", "DatapointsToAlarm: 5", "RelayBehind: DatapointsToAlarm"},
		{"Period: 60\n", "Period: 86400\n", "RelayBehind: Period"},
		{"Statistic: Maximum", "Statistic: Minimum", "RelayBehind: Statistic"},
		{"  UndoneMessages:\n    Type: AWS::CloudWatch::Alarm", "  UndoneMessages:\n    Type: AWS::CloudWatch::Other", "UndoneMessages is missing"},
		{"(received - done) / received", "done / received", "UndoneMessages: Metrics"},
		{"  ApiErrors:\n    Type: AWS::CloudWatch::Alarm", "  ApiErrors:\n    Type: AWS::CloudWatch::Other", "ApiErrors is missing"},
		{"MetricName: 5xx", "MetricName: 4xx", "ApiErrors: Metrics"},
		{"  ServerErrors:\n    Type: AWS::CloudWatch::Alarm", "  ServerErrors:\n    Type: AWS::CloudWatch::Other", "ServerErrors is missing"},
		{"      AlarmActions: !If [Notified, [!Ref AlarmTopicArn], !Ref AWS::NoValue]\n", "", "RelayBehind: AlarmActions"},
		{"      TreatMissingData: notBreaching\n", "      TreatMissingData: notBreaching\n      ActionsEnabled: false\n", "RelayBehind: ActionsEnabled"},
		{"TreatMissingData: notBreaching", "TreatMissingData: breaching", "RelayBehind: TreatMissingData"},
	}},
}

// flowAlarms are those on what flows through the functions; each function has two
// more, see alarms. A record of the stream is lost after 24 hours, a message may wait
// for 15 minutes by itself. DeadLetteredMessages is what sqsqueue logs.
var flowAlarms = map[string]map[string]any{
	"RelayBehind": {
		"Namespace": "AWS/Lambda", "MetricName": "IteratorAge", "Dimensions": "[map[Name:FunctionName Value:${RelayFunction}]]",
		"Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": 3, "Threshold": 60_000,
	},
	"TallyBehind": {
		"Namespace": "AWS/Lambda", "MetricName": "IteratorAge", "Dimensions": "[map[Name:FunctionName Value:${TallyFunction}]]",
		"Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": 3, "Threshold": 300_000,
	},
	"QueueBehind": {
		"Namespace": "AWS/SQS", "MetricName": "ApproximateAgeOfOldestMessage", "Dimensions": "[map[Name:QueueName Value:${OrdersQueue.QueueName}]]",
		"Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 5, "Threshold": 1200,
	},
	"UndoneMessages": {
		"Metrics": "[map[Expression:IF(received > 0, (received - done) / received, 0) Id:undone]" +
			sum("received", 300, "AWS/SQS NumberOfMessagesReceived QueueName ${OrdersQueue.QueueName}") +
			sum("done", 300, "AWS/SQS NumberOfMessagesDeleted QueueName ${OrdersQueue.QueueName}") + "]",
		"EvaluationPeriods": 3, "Threshold": 0.01,
	},
	"DeadLetters": {
		"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Dimensions": "[map[Name:QueueName Value:${DeadLetterQueue.QueueName}]]",
		"Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 0,
	},
	"DeadLetteredMessages": {
		"Namespace": "Orders", "MetricName": "DeadLetteredMessages", "Dimensions": "[map[Name:QueueName Value:${DeadLetterQueue.QueueName}]]",
		"Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 0,
	},
	"ApiErrors": {
		"Metrics": "[map[Expression:IF(requests > 20, errors / requests, 0) Id:rate]" +
			sum("errors", 60, "AWS/ApiGateway 5xx ApiId ${OrdersApi}") +
			sum("requests", 60, "AWS/ApiGateway Count ApiId ${OrdersApi}") + "]",
		"EvaluationPeriods": 5, "DatapointsToAlarm": 3, "Threshold": 0.01,
	},
	"ApiLatency": {
		"Namespace": "AWS/ApiGateway", "MetricName": "Latency", "Dimensions": "[map[Name:ApiId Value:${OrdersApi}]]",
		"ExtendedStatistic": "p99", "EvaluateLowSampleCountPercentile": "ignore",
		"Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": 3, "Threshold": 1000,
	},
	"ServerErrors": {
		"Namespace": "Orders/${AWS::StackName}", "MetricName": "ServerErrors",
		"Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5,
	},
}

// sum is one of the metrics that an expression is about, given as its namespace, its
// name, and its dimension's name and value.
func sum(id string, period int, metric string) string {
	of := strings.Fields(metric)
	return fmt.Sprintf(" map[Id:%s MetricStat:map[Metric:map[Dimensions:[map[Name:%s Value:%s]] MetricName:%s Namespace:%s] Period:%d Stat:Sum] ReturnData:false]",
		id, of[2], of[3], of[1], of[0], period)
}

// alarms are all that there are to be. Each goes off above its threshold, tells the
// topic then and when it is over, and takes silence for none.
func (s *stack) alarms() map[string]map[string]any {
	all := map[string]map[string]any{}
	for id, alarm := range flowAlarms {
		all[id] = maps.Clone(alarm)
	}
	for _, f := range s.functions() {
		for _, metric := range []string{"Errors", "Throttles"} {
			all[strings.TrimSuffix(f.ID, "Function")+metric] = map[string]any{
				"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": "[map[Name:FunctionName Value:${" + f.ID + "}]]",
				"Statistic": "Sum", "Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": 2, "Threshold": 0,
			}
		}
	}
	for _, alarm := range all {
		alarm["ComparisonOperator"], alarm["TreatMissingData"] = "GreaterThanThreshold", "notBreaching"
		alarm["AlarmActions"], alarm["OKActions"] = "[${AlarmTopicArn}]", "[${AlarmTopicArn}]"
	}
	return all
}

func checkAlarms(s *stack) {
	wanted := s.alarms()
	for _, a := range s.resources("AWS::CloudWatch::Alarm") {
		if want, ok := wanted[a.ID]; ok {
			s.same(a.ID, without(a.Properties, "AlarmDescription"), want)
		} else {
			s.fault("%s is an alarm that no test knows", a.ID)
		}
		delete(wanted, a.ID)
	}
	for id := range wanted {
		s.fault("%s is missing", id)
	}
}
