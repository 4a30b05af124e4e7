package orders_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

var functionRules = []rule{
	{"every folder of functions/ is deployed, and nothing else", checkFolders, []edit{
		{"CodeUri: functions/tally/", "CodeUri: functions/relay/", "functions/tally is not deployed"},
		{"CodeUri: functions/tally/", "CodeUri: functions/other/", "functions/other is no folder"},
	}},
	{"a function gets the variables that it reads, and no other", checkVariables, []edit{
		{"          PROCESSING_TIME: !Sub", "          OTHER: !Sub", "RelayFunction reads PROCESSING_TIME"},
		{"          ORDERS_TABLE: !Ref", "          ORDERS_QUEUE_URL: !Ref OrdersQueue\n          ORDERS_TABLE: !Ref", "CreateFunction does not read ORDERS_QUEUE_URL"},
		{"AWS_ENDPOINT_URL: !Ref EndpointUrl", "AWS_ENDPOINT: !Ref EndpointUrl", "CreateFunction reads AWS_ENDPOINT_URL"},
	}},
	{"a batch is answered record by record", checkBatchAnswers, []edit{
		{"            FunctionResponseTypes: [ReportBatchItemFailures]\n            ScalingConfig", "            ScalingConfig", "ProcessorFunction"},
		{"FunctionResponseTypes: [ReportBatchItemFailures]", "FunctionResponseTypes: []", "RelayFunction"},
	}},
	{"a reader of the stream skips nothing and sees orders alone", checkStreamReaders, []edit{
		{"TRIM_HORIZON", "LATEST", "RelayFunction: StartingPosition"},
		{"MaximumRetryAttempts: -1", "MaximumRetryAttempts: 5", "RelayFunction: MaximumRetryAttempts"},
		{"MaximumRecordAgeInSeconds: -1", "MaximumRecordAgeInSeconds: 3600", "RelayFunction: MaximumRecordAgeInSeconds"},
		{"BisectBatchOnFunctionError: false", "BisectBatchOnFunctionError: true", "RelayFunction: BisectBatchOnFunctionError"},
		{`"ORDER#"`, `"order#"`, "RelayFunction: FilterCriteria"},
	}},
	{"the tally's events name their shard, and one batch of a shard is counted at a time", checkTally, []edit{
		{"            TumblingWindowInSeconds: 900\n", "", "TumblingWindowInSeconds"},
		{"            # More than one would overtake each other's checkpoints.\n            ParallelizationFactor: 1", "            ParallelizationFactor: 2", "ParallelizationFactor"},
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

func checkVariables(s *stack) {
	for _, f := range s.functions() {
		given, _ := property(f.Resource, "Environment", "Variables").(map[string]any)
		reads := variablesOf(s, filepath.Join(f.folder, "main.go"))
		for _, name := range reads {
			if _, ok := given[name]; !ok {
				s.fault("%s reads %s, which it is not given", f.ID, name)
			}
		}
		for name := range given {
			if !slices.Contains(reads, name) {
				s.fault("%s does not read %s", f.ID, name)
			}
		}
	}
}

var variableName = regexp.MustCompile(`^[A-Z]+(_[A-Z]+)+$`)

// variablesOf returns the environment variables that a main names: its texts in
// capitals. Those that Lambda sets by itself are named elsewhere.
func variablesOf(s *stack, path string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil && variableName.MatchString(text) {
				names[text] = true
			}
		}
		return true
	})
	return slices.Sorted(maps.Keys(names))
}

func checkBatchAnswers(s *stack) {
	batches := 0
	for _, f := range s.functions() {
		for _, kind := range []string{"SQS", "DynamoDB"} {
			e := f.event(kind)
			if e == nil {
				continue
			}
			batches++
			if got := fmt.Sprint(e["FunctionResponseTypes"]); got != "[ReportBatchItemFailures]" {
				s.fault("%s: FunctionResponseTypes is %s", f.ID, got)
			}
		}
	}
	if batches != 3 {
		s.fault("%d functions get batches, not 3", batches)
	}
}

func checkStreamReaders(s *stack) {
	for _, f := range s.functions() {
		e := f.event("DynamoDB")
		if e == nil {
			continue
		}
		for name, want := range map[string]any{
			"StartingPosition": "TRIM_HORIZON", "MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": -1,
			"BisectBatchOnFunctionError": false,
			"FilterCriteria":             `map[Filters:[map[Pattern:{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"ORDER#"}]}}}}]]]`,
		} {
			if fmt.Sprint(e[name]) != fmt.Sprint(want) {
				s.fault("%s: %s is %v, not %v", f.ID, name, e[name], want)
			}
		}
	}
}

func checkTally(s *stack) {
	for _, f := range s.functions() {
		if f.ID != "TallyFunction" {
			continue
		}
		for name, want := range map[string]any{"TumblingWindowInSeconds": 900, "ParallelizationFactor": 1} {
			if got := f.event("DynamoDB")[name]; got != want {
				s.fault("%s is %v, not %v", name, got, want)
			}
		}
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
