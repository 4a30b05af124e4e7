package template

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"orders/shared/dynamostore"
	"orders/tools/eventsource"
)

var mappingRules = []rule{
	{"an event source loses nothing, sends only orders, and takes partial failures", checkMappings, []edit{
		{"            FunctionResponseTypes: [ReportBatchItemFailures]\n            ScalingConfig", "            ScalingConfig", "ProcessorFunction SQS/Queue: FunctionResponseTypes is <nil>"},
		{"FunctionResponseTypes: [ReportBatchItemFailures]", "FunctionResponseTypes: []", "RelayFunction DynamoDB/Stream: FunctionResponseTypes is []"},
		{"            BatchSize: 10\n", "            Enabled: false\n            BatchSize: 10\n", "ProcessorFunction SQS/Queue: Enabled is false"},
		{"BatchSize: 10\n", "BatchSize: 1\n", "ProcessorFunction SQS/Queue: BatchSize is 1, want 10"},
		{"BatchSize: 1000\n", "BatchSize: 100\n", "TallyFunction DynamoDB/Stream: BatchSize is 100, want 1000"},
		{"        Queue:\n          Type: SQS", "        Second: { Type: SQS, Properties: { Queue: !GetAtt OrdersQueue.Arn, BatchSize: 10 } }\n        Queue:\n          Type: SQS", "unexpected event source ProcessorFunction SQS/Second"},
		{"        Metrics: {", "        Rate: { Type: Schedule, Properties: { Schedule: rate(1 minute) } }\n        Metrics: {", "unexpected event source MetricsFunction Schedule/Rate"},
		{"rate(10 minutes)", "rate(20 minutes)", "CheckFunction ScheduleV2/Schedule: ScheduleExpression is rate(20 minutes)"},
		{"          Type: SQS", "          Type: SNS", "ProcessorFunction SQS/Queue is missing"},
		{"Queue: !GetAtt OrdersQueue.Arn\n", "Queue: !GetAtt DeadLetterQueue.Arn\n", "ProcessorFunction SQS/Queue: Queue is ${DeadLetterQueue.Arn}"},
		{"TRIM_HORIZON", "LATEST", "RelayFunction DynamoDB/Stream: StartingPosition"},
		{"MaximumRetryAttempts: -1", "MaximumRetryAttempts: 5", "RelayFunction DynamoDB/Stream: MaximumRetryAttempts"},
		{"MaximumRecordAgeInSeconds: -1", "MaximumRecordAgeInSeconds: 3600", "RelayFunction DynamoDB/Stream: MaximumRecordAgeInSeconds"},
		{`"ORDER#"}`, `"order#"}`, "RelayFunction DynamoDB/Stream: FilterCriteria"},
		{"            TumblingWindowInSeconds: 900\n", "", "TallyFunction DynamoDB/Stream: TumblingWindowInSeconds"},
		{"checkpoints.\n            ParallelizationFactor: 1", "checkpoints.\n            ParallelizationFactor: 2", "TallyFunction DynamoDB/Stream: ParallelizationFactor"},
		{"      RecursiveLoop: Allow\n", "", "ProcessorFunction: RecursiveLoop is <nil>"},
		{"      Timeout: 30\n", "      Timeout: 30\n      RecursiveLoop: Allow\n", "RelayFunction: RecursiveLoop is Allow"},
	}},
}

// streamMapping is what both stream readers need: they begin with the first record of the stream
// and retry a batch until it succeeds. Two batches of one shard at the same time would overtake each
// other's checkpoints. The golden file shows the other properties.
var streamMapping = map[string]any{
	"Stream": "${OrdersTable.StreamArn}", "StartingPosition": "TRIM_HORIZON", "Enabled": nil,
	"FilterCriteria":       `map[Filters:[map[Pattern:{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"` + dynamostore.OrderPrefix + `"}]}}}}]]]`,
	"MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1, "ParallelizationFactor": 1,
	"FunctionResponseTypes": "[ReportBatchItemFailures]",
}

// mappings are the event sources besides the API's routes. A check that runs less often than its
// interval would miss orders, and an account has one schedule of a name. Only a mapping with a
// tumbling window sends the id of the shard, which the tally needs.
var mappings = map[string]map[string]any{
	"RelayFunction DynamoDB/Stream": {"BatchSize": eventsource.RelayBatch, "TumblingWindowInSeconds": nil},
	"TallyFunction DynamoDB/Stream": {"BatchSize": eventsource.TallyBatch, "TumblingWindowInSeconds": int(eventsource.TallyWindow / time.Second)},
	"CheckFunction ScheduleV2/Schedule": {
		"ScheduleExpression": fmt.Sprintf("rate(%d minutes)", int(dynamostore.CheckInterval/time.Minute)), "State": nil, "OmitName": true,
		"Input": `{"time": "<aws.scheduler.scheduled-time>"}`,
	},
	"ProcessorFunction SQS/Queue": {
		"BatchSize": eventsource.ProcessorBatch, "Queue": "${OrdersQueue.Arn}", "Enabled": nil,
		"FunctionResponseTypes": "[ReportBatchItemFailures]",
	},
}

func checkMappings(s *stack) {
	found := map[string]bool{}
	for _, f := range s.functions() {
		for name, properties := range f.events {
			if strings.HasPrefix(name, "HttpApi/") {
				continue
			}
			id := f.ID + " " + name
			found[id] = true
			s.contains(id, properties, mappings[id])
			if strings.HasPrefix(name, "DynamoDB/") {
				s.contains(id, properties, streamMapping)
			}
			if mappings[id] == nil {
				s.fault("unexpected event source %s", id)
			}
		}
		f.checkRecursiveLoop(s)
	}
	for id := range mappings {
		if !found[id] {
			s.fault("%s is missing", id)
		}
	}
}

// checkRecursiveLoop looks for functions that send to the queue that invokes them. Lambda takes that
// for a loop and stops it after 16 turns, unless RecursiveLoop allows it.
func (f function) checkRecursiveLoop(s *stack) {
	s.t.Helper()
	var want any
	if e := f.event("SQS"); e != nil && slices.Contains(f.calls(s), call{"sqs:SendMessage", fmt.Sprint(e["Queue"]), ""}) {
		want = "Allow"
	}
	s.contains(f.ID, f.Properties, map[string]any{"RecursiveLoop": want})
}
