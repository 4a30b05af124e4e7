package template

import (
	"strings"
)

// Where a mapping has a line that others have too, these tell it apart.
const (
	relayMapping     = "            ParallelizationFactor: 1\n            BisectBatchOnFunctionError: false\n            MaximumRetryAttempts: -1\n            MaximumRecordAgeInSeconds: -1\n            FunctionResponseTypes: [ReportBatchItemFailures]\n"
	processorMapping = "            FunctionResponseTypes: [ReportBatchItemFailures]\n            ScalingConfig"
)

var mappingRules = []rule{
	{"an event source skips nothing, brings orders alone, and is answered record by record", checkMappings, []edit{
		{processorMapping, "            ScalingConfig", "ProcessorFunction SQS/Queue: FunctionResponseTypes is <nil>"},
		{processorMapping, "            Enabled: false\n" + processorMapping, "ProcessorFunction SQS/Queue: Enabled is false"},
		{processorMapping, "            MaximumBatchingWindowInSeconds: 300\n" + processorMapping, "ProcessorFunction SQS/Queue: MaximumBatchingWindowInSeconds is 300"},
		{"BatchSize: 10\n", "BatchSize: 1\n", "ProcessorFunction SQS/Queue: BatchSize"},
		{"MaximumConcurrency: !Ref ProcessorConcurrency", "MaximumConcurrency: 2", "ProcessorFunction SQS/Queue: ScalingConfig"},
		{"        Queue:\n          Type: SQS", "        Second: { Type: SQS, Properties: { Queue: !GetAtt OrdersQueue.Arn, BatchSize: 10 } }\n        Queue:\n          Type: SQS", "ProcessorFunction SQS/Second is an event source that no test knows"},
		{"        Metrics: {", "        Rate: { Type: Schedule, Properties: { Schedule: rate(1 minute) } }\n        Metrics: {", "MetricsFunction Schedule/Rate is an event source that no test knows"},
		{"          Type: SQS", "          Type: SNS", "ProcessorFunction SQS/Queue is missing"},
		{"FunctionResponseTypes: [ReportBatchItemFailures]", "FunctionResponseTypes: []", "RelayFunction DynamoDB/Stream: FunctionResponseTypes is []"},
		{"MaximumBatchingWindowInSeconds: 0", "MaximumBatchingWindowInSeconds: 300", "RelayFunction DynamoDB/Stream: MaximumBatchingWindowInSeconds"},
		{relayMapping, strings.Replace(relayMapping, "Factor: 1", "Factor: 10", 1), "RelayFunction DynamoDB/Stream: ParallelizationFactor is 10"},
		{"TRIM_HORIZON", "LATEST", "RelayFunction DynamoDB/Stream: StartingPosition"},
		{"MaximumRetryAttempts: -1", "MaximumRetryAttempts: 5", "RelayFunction DynamoDB/Stream: MaximumRetryAttempts"},
		{"MaximumRecordAgeInSeconds: -1", "MaximumRecordAgeInSeconds: 3600", "RelayFunction DynamoDB/Stream: MaximumRecordAgeInSeconds"},
		{"BisectBatchOnFunctionError: false", "BisectBatchOnFunctionError: true", "RelayFunction DynamoDB/Stream: BisectBatchOnFunctionError"},
		{`"ORDER#"}`, `"order#"}`, "RelayFunction DynamoDB/Stream: FilterCriteria"},
		{"            TumblingWindowInSeconds: 900\n", "", "TallyFunction DynamoDB/Stream: TumblingWindowInSeconds"},
		{"overtake each other's checkpoints.\n            ParallelizationFactor: 1", "overtake each other's checkpoints.\n            ParallelizationFactor: 2", "TallyFunction DynamoDB/Stream: ParallelizationFactor"},
	}},
}

// mappings are the event sources of all functions but the API's. A reader of the
// stream begins with its first record and repeats a batch until it succeeds. Of the
// tally's, the window is what makes an event name its shard, and a second batch of a
// shard at the same time would overtake the first one's checkpoint.
var mappings = map[string]map[string]any{
	"RelayFunction DynamoDB/Stream": {
		"Stream": "${OrdersTable.StreamArn}", "StartingPosition": "TRIM_HORIZON", "FilterCriteria": ordersOnly,
		"BatchSize": 100, "MaximumBatchingWindowInSeconds": 0, "ParallelizationFactor": 1,
		"MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1, "BisectBatchOnFunctionError": false,
		"FunctionResponseTypes": "[ReportBatchItemFailures]",
	},
	"TallyFunction DynamoDB/Stream": {
		"Stream": "${OrdersTable.StreamArn}", "StartingPosition": "TRIM_HORIZON", "FilterCriteria": ordersOnly,
		"BatchSize": 1000, "MaximumBatchingWindowInSeconds": 1, "ParallelizationFactor": 1, "TumblingWindowInSeconds": 900,
		"MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1, "BisectBatchOnFunctionError": false,
		"FunctionResponseTypes": "[ReportBatchItemFailures]",
	},
	"ProcessorFunction SQS/Queue": {
		"Queue": "${OrdersQueue.Arn}", "BatchSize": 10,
		"ScalingConfig":         "map[MaximumConcurrency:${ProcessorConcurrency}]",
		"FunctionResponseTypes": "[ReportBatchItemFailures]",
	},
}

const ordersOnly = `map[Filters:[map[Pattern:{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"ORDER#"}]}}}}]]]`

func checkMappings(s *stack) {
	found := map[string]map[string]any{}
	for _, f := range s.functions() {
		for name, properties := range f.events {
			if !strings.HasPrefix(name, "HttpApi/") {
				found[f.ID+" "+name] = properties
			}
		}
	}
	for name, want := range mappings {
		if found[name] == nil {
			s.fault("%s is missing", name)
			continue
		}
		s.same(name, found[name], want)
	}
	for name := range found {
		if mappings[name] == nil {
			s.fault("%s is an event source that no test knows", name)
		}
	}
}
