package awsclient

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// An Env reads what a function is told by environment variables. It does not stop
// at the first that is missing or makes no sense: Err tells all of them.
type Env struct {
	getenv   func(string) string
	problems []string
}

// NewEnv returns an Env that reads by getenv: in main, os.Getenv.
func NewEnv(getenv func(string) string) *Env { return &Env{getenv: getenv} }

// Text returns a variable that must be set.
func (e *Env) Text(name string) string {
	value := e.getenv(name)
	if value == "" {
		e.problem("%s is not set", name)
	}
	return value
}

// URL returns a variable that must be set to the URL of something on the network.
func (e *Env) URL(name string) string {
	value := e.Text(name)
	if value != "" && !isURL(value) {
		e.problem("%s must be a URL such as https://host/path, not %q", name, value)
	}
	return value
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
}

// Duration returns a variable that must be set to a duration within these bounds.
func (e *Env) Duration(name string, shortest, longest time.Duration) time.Duration {
	value := e.Text(name)
	d, err := time.ParseDuration(value)
	if value != "" && (err != nil || d < shortest || d > longest) {
		e.problem("%s must be from %s to %s, such as %s, not %q", name, shortest, longest, longest, value)
	}
	return d
}

// AWS returns how to reach AWS: as Lambda says in variables that it sets itself,
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime,
// and at the URL in the variable called endpoint, if that is set: an emulator's.
func (e *Env) AWS(endpoint string) aws.Config {
	cfg := aws.Config{
		Region: e.Text("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			e.Text("AWS_ACCESS_KEY_ID"), e.Text("AWS_SECRET_ACCESS_KEY"), e.getenv("AWS_SESSION_TOKEN")),
		HTTPClient: newHTTPClient(),
		Retryer:    newRetryer,
	}
	if e.getenv(endpoint) != "" {
		cfg.BaseEndpoint = aws.String(e.URL(endpoint))
	}
	return cfg
}

func (e *Env) problem(format string, args ...any) {
	e.problems = append(e.problems, fmt.Sprintf(format, args...))
}

// Err says all that is wrong with the variables read so far, in one line, nil if
// nothing is.
func (e *Env) Err() error {
	if len(e.problems) == 0 {
		return nil
	}
	return errors.New("environment: " + strings.Join(e.problems, "; "))
}
