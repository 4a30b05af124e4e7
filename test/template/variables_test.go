package template

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// variables are the environment variables that functions may read, with their values.
var variables = map[string]any{
	"ORDERS_TABLE": "${OrdersTable}", "ORDERS_QUEUE_URL": "${OrdersQueue}", "DEAD_LETTER_QUEUE_URL": "${DeadLetterQueue}",
	"PROCESSING_TIME": "${ProcessingTimeSeconds}s", "AWS_ENDPOINT_URL": "${EndpointUrl}",
}

func checkVariables(s *stack) {
	s.set("EndpointUrl")
	for _, f := range s.functions() {
		want := map[string]any{}
		for _, name := range f.variables(s) {
			if variables[name] == nil {
				s.fault("%s reads the unknown variable %s", f.ID, name)
			}
			want[name] = variables[name]
		}
		given, _ := property(f.Resource, "Environment", "Variables").(map[string]any)
		s.equal(f.ID, given, want)
	}
}

// variables returns the environment variables that a function's code reads.
func (f function) variables(s *stack) (names []string) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(f.folder, "*.go"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range files {
		source, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		found, err := parseVariables(string(source))
		if err != nil {
			s.fault("%s: %v", path, err)
		}
		names = append(names, found...)
	}
	return names
}

var (
	envCall   = regexp.MustCompile(`\benv\.(\w+)\(([^,)]*)`)
	otherRead = regexp.MustCompile(`\w+\.(Getenv|LookupEnv|Environ|ExpandEnv)\b`)
)

// parseVariables returns the names that Go source passes to methods of env, an awsclient.Env. A
// variable that is read in another way would not be found, so that is an error.
func parseVariables(source string) (names []string, err error) {
	for _, call := range envCall.FindAllStringSubmatch(source, -1) {
		if call[1] == "Err" {
			continue
		}
		name, notLiteral := strconv.Unquote(call[2])
		if notLiteral != nil {
			return nil, fmt.Errorf("the argument of %s is not a literal", call[1])
		}
		names = append(names, name)
	}
	source = strings.Replace(source, "env := awsclient.NewEnv(os.Getenv)\n", "", 1)
	if otherRead.MatchString(source) {
		return nil, errors.New("reads the environment without env := awsclient.NewEnv(os.Getenv)")
	}
	return names, nil
}

func TestVariablesAreFound(t *testing.T) {
	for _, tt := range []struct {
		source string
		want   []string
		err    string
	}{
		{`env.Text("REGION"); env.URL("QUEUE2"); env.Duration("a", 1, 2); env.AWS("URL"); slog.Duration("b", 1); env.Err()`, []string{"REGION", "QUEUE2", "a", "URL"}, ""},
		{`env := awsclient.NewEnv(os.Getenv)`, nil, ""},
		{`env.Text(name)`, nil, "not a literal"},
		{`region := os.Getenv("REGION")`, nil, "without env"},
		{`e := awsclient.NewEnv(os.Getenv); e.Text("REGION")`, nil, "without env"},
		{`get := os.LookupEnv`, nil, "without env"},
	} {
		got, err := parseVariables(tt.source + "\n")
		if !slices.Equal(got, tt.want) || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: found %q and error %v, want %q and error %q", tt.source, got, err, tt.want, tt.err)
		}
	}
}
