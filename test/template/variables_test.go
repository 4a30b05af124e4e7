package template

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var variableRules = []rule{
	{"a function gets the variables that it reads, and no other", checkVariables, []edit{
		{"          PROCESSING_TIME: !Sub", "          OTHER: !Sub", "TransitionFunction: PROCESSING_TIME is <nil>"},
		{"          FULFILMENT: !Ref Fulfilment\n", "", "TransitionFunction: FULFILMENT is <nil>"},
		{"          ORDERS_TABLE: !If", "          ORDERS_QUEUE_URL: !Ref OrdersQueue\n          ORDERS_TABLE: !If", "CreateFunction: unexpected ORDERS_QUEUE_URL: ${OrdersQueue}"},
		{"AWS_ENDPOINT_URL: !Ref EndpointUrl", "AWS_ENDPOINT: !Ref EndpointUrl", "CreateFunction: AWS_ENDPOINT_URL is <nil>"},
		{"AWS_ENDPOINT_URL: !Ref EndpointUrl", "AWS_ENDPOINT_URL: \"\"", "CreateFunction: AWS_ENDPOINT_URL is ,"},
		{"ORDERS_TABLE: !If [OwnTable, !Ref OrdersTable,", "ORDERS_TABLE: !If [OwnTable, !Ref OrdersQueue,", "CreateFunction: ORDERS_TABLE is ${OrdersQueue}"},
		{"DEAD_LETTER_QUEUE_URL: !Ref DeadLetterQueue", "DEAD_LETTER_QUEUE_URL: !Ref OrdersQueue", "RelayFunction: DEAD_LETTER_QUEUE_URL is ${OrdersQueue}"},
		{"          INDEX_BUCKETS: !Ref IndexBuckets\n", "", "CreateFunction: INDEX_BUCKETS is <nil>"},
		{`!Sub "${ProcessingTimeSeconds}s"`, `!Sub "${ProcessingTimeSeconds}m"`, "TransitionFunction: PROCESSING_TIME"},
		{`ATTEMPT_TIMEOUT: !Sub "${AttemptTimeoutSeconds}s"`, `ATTEMPT_TIMEOUT: !Sub "${ProcessingTimeSeconds}s"`, "TransitionFunction: ATTEMPT_TIMEOUT"},
	}},
}

// variables are what a function may read, and where each leads.
var variables = map[string]any{
	"ORDERS_TABLE": "${OrdersTable}", "ORDERS_QUEUE_URL": "${OrdersQueue}", "DEAD_LETTER_QUEUE_URL": "${DeadLetterQueue}",
	"FULFILMENT": "${Fulfilment}", "PROCESSING_TIME": "${ProcessingTimeSeconds}s",
	"ATTEMPT_TIMEOUT": "${AttemptTimeoutSeconds}s", "MAX_ATTEMPTS": "${MaxAttempts}",
	"INDEX_BUCKETS": "${IndexBuckets}", "AWS_ENDPOINT_URL": "${EndpointUrl}", "CORS_ORIGINS": "${CorsOrigins}", "BASE_PATH": "${BasePath}",
}

// readers are the methods of awsclient.Env that read variables. A test of awsclient holds that they do.
var readers = map[string][]string{
	"Table": {"ORDERS_TABLE"}, "QueueURL": {"ORDERS_QUEUE_URL"}, "DeadLetterQueueURL": {"DEAD_LETTER_QUEUE_URL"},
	"Fulfilment":   {"FULFILMENT", "PROCESSING_TIME", "ATTEMPT_TIMEOUT", "MAX_ATTEMPTS"},
	"IndexBuckets": {"INDEX_BUCKETS"}, "New": {"AWS_ENDPOINT_URL"}, "CORSOrigins": {"CORS_ORIGINS"}, "BasePath": {"BASE_PATH"},
}

func checkVariables(s *stack) {
	s.set("EndpointUrl")
	for _, f := range s.functions() {
		want := map[string]any{}
		for _, name := range f.reads(s) {
			if variables[name] == nil {
				s.fault("%s reads %s, and no test knows where that is to lead", f.ID, name)
			}
			want[name] = variables[name]
		}
		given, _ := property(f.Resource, "Environment", "Variables").(map[string]any)
		s.equal(f.ID, given, want)
	}
}

// reads are the environment variables that a function's code asks for.
func (f function) reads(s *stack) []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(f.folder, "*.go"))
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, path := range files {
		source, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		found, err := variablesOf(string(source))
		if err != nil {
			s.fault("%s: %v", path, err)
		}
		names = append(names, found...)
	}
	return names
}

// variablesOf returns the names of the variables that a source reads: by the methods of
// f := function.New(). A variable that it reads in another way would not be found, so that is an
// error. Variables that Lambda sets itself are not among them.
func variablesOf(source string) (names []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, 0)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch of, _ := s.X.(*ast.Ident); {
		case of != nil && (of.Name == "f" || of.Name == "function") && readers[s.Sel.Name] != nil:
			names = append(names, readers[s.Sel.Name]...)
		case of != nil && (of.Name == "os" || of.Name == "awsclient"):
			err = fmt.Errorf("it may read the environment by %s.%s, and not by f := function.New()", of.Name, s.Sel.Name)
		}
		return true
	})
	if strings.Count(source, "f := function.New()\n") != 1 {
		err = errors.Join(err, errors.New("it does not begin with f := function.New()"))
	}
	return names, err
}

func TestVariablesAreFoundByTheMethodsThatReadThem(t *testing.T) {
	for _, tt := range []struct{ line, want, problem string }{
		{"f := function.New()", "[AWS_ENDPOINT_URL]", ""},
		{"f := function.New()\nf.Table(); f.Start(); f.Fulfilment()",
			"[AWS_ENDPOINT_URL ORDERS_TABLE FULFILMENT PROCESSING_TIME ATTEMPT_TIMEOUT MAX_ATTEMPTS]", ""},
		{"f := function.New()\nregion := os.Getenv(\"REGION\")", "[AWS_ENDPOINT_URL]", "os.Getenv"},
		{"f := function.New()\ne := awsclient.NewEnv(nil)", "[AWS_ENDPOINT_URL]", "awsclient.NewEnv"},
		{"g := function.New()\ng.Table()", "[AWS_ENDPOINT_URL]", "not begin"},
	} {
		names, err := variablesOf("package main\nfunc main() {\n" + tt.line + "\n}\n")
		if got := fmt.Sprint(names); got != tt.want {
			t.Errorf("%s: found %s, want %s", tt.line, got, tt.want)
		}
		if (err != nil) != (tt.problem != "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: error %v, want %q", tt.line, err, tt.problem)
		}
	}
}
