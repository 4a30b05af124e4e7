package template

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var variableRules = []rule{
	{"a function gets the variables that it reads, and no other", checkVariables, []edit{
		{"          PROCESSING_TIME: !Sub", "          OTHER: !Sub", "RelayFunction: PROCESSING_TIME is <nil>"},
		{"          ORDERS_TABLE: !Ref", "          ORDERS_QUEUE_URL: !Ref OrdersQueue\n          ORDERS_TABLE: !Ref", "CreateFunction: unexpected ORDERS_QUEUE_URL: ${OrdersQueue}"},
		{"AWS_ENDPOINT_URL: !Ref EndpointUrl", "AWS_ENDPOINT: !Ref EndpointUrl", "CreateFunction: AWS_ENDPOINT_URL is <nil>"},
		{"AWS_ENDPOINT_URL: !Ref EndpointUrl", "AWS_ENDPOINT_URL: \"\"", "CreateFunction: AWS_ENDPOINT_URL is ,"},
		{"ORDERS_TABLE: !Ref OrdersTable", "ORDERS_TABLE: !Ref OrdersQueue", "CreateFunction: ORDERS_TABLE is ${OrdersQueue}"},
		{"DEAD_LETTER_QUEUE_URL: !Ref DeadLetterQueue", "DEAD_LETTER_QUEUE_URL: !Ref OrdersQueue", "RelayFunction: DEAD_LETTER_QUEUE_URL is ${OrdersQueue}"},
		{`!Sub "${ProcessingTimeSeconds}s"`, `!Sub "${ProcessingTimeSeconds}m"`, "RelayFunction: PROCESSING_TIME"},
	}},
}

// variables are what a function may read, and where each leads.
var variables = map[string]any{
	"ORDERS_TABLE": "${OrdersTable}", "ORDERS_QUEUE_URL": "${OrdersQueue}", "DEAD_LETTER_QUEUE_URL": "${DeadLetterQueue}",
	"PROCESSING_TIME": "${ProcessingTimeSeconds}s", "AWS_ENDPOINT_URL": "${EndpointUrl}",
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

// variablesOf returns the names that a source asks its env for, an awsclient.Env. By
// any other way a variable would go unseen, so that is an error. Variables that
// Lambda sets by itself are named in awsclient.
func variablesOf(source string) (names []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, 0)
	if err != nil {
		return nil, err
	}
	getenvs := 0
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			switch n.Sel.Name {
			case "Getenv", "LookupEnv", "Environ", "ExpandEnv":
				getenvs++
			}
		case *ast.CallExpr:
			name, asks, problem := asked(n)
			if asks {
				names = append(names, name)
			}
			err = errors.Join(err, problem)
		}
		return true
	})
	if getenvs != strings.Count(source, "env := awsclient.NewEnv(os.Getenv)\n") {
		err = errors.Join(err, errors.New("it reads the environment, and not by env := awsclient.NewEnv(os.Getenv)"))
	}
	return names, err
}

// asked tells which variable a call like env.Text("NAME") asks for.
func asked(call *ast.CallExpr) (name string, asks bool, err error) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return "", false, nil
	}
	if env, ok := method.X.(*ast.Ident); !ok || env.Name != "env" {
		return "", false, nil
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return "", false, fmt.Errorf("%s is asked for a name that is no literal", method.Sel.Name)
	}
	name, err = strconv.Unquote(literal.Value)
	return name, err == nil, err
}

func TestVariablesAreFoundByWhatAsksForThem(t *testing.T) {
	const source = "package main\nfunc main() {\n"
	for _, tt := range []struct{ line, want, problem string }{
		{`env.Text("REGION"); env.URL("QUEUE2"); env.Duration("a", 1, 2); env.AWS("URL"); slog.Duration("b", 1); env.Err()`, "[REGION QUEUE2 a URL]", ""},
		{`env := awsclient.NewEnv(os.Getenv)`, "[]", ""},
		{`env.Text(name)`, "[]", "no literal"},
		{`region := os.Getenv("REGION")`, "[]", "not by env"},
		{`e := awsclient.NewEnv(os.Getenv); e.Text("REGION")`, "[]", "not by env"},
		{`get := os.LookupEnv`, "[]", "not by env"},
	} {
		names, err := variablesOf(source + tt.line + "\n}\n")
		if got := fmt.Sprint(names); got != tt.want {
			t.Errorf("%s: found %s, want %s", tt.line, got, tt.want)
		}
		if (err != nil) != (tt.problem != "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: error %v, want %q", tt.line, err, tt.problem)
		}
	}
}
