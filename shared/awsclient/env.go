package awsclient

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"orders/shared/order"
)

// An Env reads the environment variables of a function, each by its own method. A method whose
// variable is missing or invalid returns a zero value, and Err reports all such variables together.
type Env struct {
	getenv   func(string) string
	problems []string
}

// NewEnv returns an Env that reads by getenv: in main, os.Getenv.
func NewEnv(getenv func(string) string) *Env { return &Env{getenv: getenv} }

// Table is ORDERS_TABLE, the name of the DynamoDB table. It must be set.
func (e *Env) Table() string { return e.text("ORDERS_TABLE") }

// QueueURL is ORDERS_QUEUE_URL. It must be set to a URL.
func (e *Env) QueueURL() string { return e.url("ORDERS_QUEUE_URL") }

// DeadLetterQueueURL is DEAD_LETTER_QUEUE_URL. It must be set to a URL.
func (e *Env) DeadLetterQueueURL() string { return e.url("DEAD_LETTER_QUEUE_URL") }

// Fulfilment is how orders in Processing are completed. FULFILMENT is "timer", which is the default
// and needs PROCESSING_TIME, or "external", which needs ATTEMPT_TIMEOUT and MAX_ATTEMPTS. The times
// are durations such as 50s, from 1ms to 15m.
func (e *Env) Fulfilment() (f order.Fulfilment) {
	switch value := e.getenv("FULFILMENT"); value {
	case "", "timer":
		return order.Timer(e.time("PROCESSING_TIME"))
	case "external":
		f = order.Fulfilment{External: true, AttemptTimeout: e.time("ATTEMPT_TIMEOUT")}
		const name = "MAX_ATTEMPTS"
		attempts := e.text(name)
		var err error
		if f.MaxAttempts, err = strconv.Atoi(attempts); attempts != "" && (err != nil || f.MaxAttempts < 1 || f.MaxAttempts > order.MaxAttempts) {
			e.problem("%s must be from 1 to %d, not %q", name, order.MaxAttempts, attempts)
		}
	default:
		e.problem("FULFILMENT must be timer or external, not %q", value)
	}
	return f
}

// time is a time that an order may stay in Processing.
func (e *Env) time(name string) time.Duration {
	value := e.text(name)
	d, err := time.ParseDuration(value)
	if value != "" && (err != nil || d < order.MinProcessingTime || d > order.MaxProcessingTime) {
		e.problem("%s must be from %s to %s, such as 50s, not %q", name, order.MinProcessingTime, order.MaxProcessingTime, value)
	}
	return d
}

// CORSOrigins is CORS_ORIGINS, the origins whose pages may call the API, separated by commas. It may
// be empty.
func (e *Env) CORSOrigins() []string {
	return strings.FieldsFunc(e.getenv("CORS_ORIGINS"), func(r rune) bool { return r == ',' || r == ' ' })
}

// BasePath is BASE_PATH, below which a custom domain has the API. It may be empty.
func (e *Env) BasePath() string { return e.getenv("BASE_PATH") }

// IndexBuckets is INDEX_BUCKETS, how many buckets of the index new orders are spread over; 0 if it is
// not set. It must be a number.
func (e *Env) IndexBuckets() int {
	const name = "INDEX_BUCKETS"
	value := e.getenv(name)
	n, err := strconv.Atoi(value)
	if value != "" && (err != nil || n == 0) {
		e.problem("%s must be a number such as 16, not %q", name, value)
	}
	return n
}

// AWS is the configuration of the SDK's clients, from the variables that Lambda sets itself:
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime.
// AWS_ENDPOINT_URL, if it is set, must be the URL of an emulator.
func (e *Env) AWS() aws.Config {
	cfg := aws.Config{
		Region: e.text("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			e.text("AWS_ACCESS_KEY_ID"), e.text("AWS_SECRET_ACCESS_KEY"), e.getenv("AWS_SESSION_TOKEN")),
		HTTPClient: newHTTPClient(),
		Retryer:    newRetryer,
	}
	if e.getenv("AWS_ENDPOINT_URL") != "" {
		cfg.BaseEndpoint = aws.String(e.url("AWS_ENDPOINT_URL"))
	}
	return cfg
}

func (e *Env) text(name string) string {
	value := e.getenv(name)
	if value == "" {
		e.problem("%s is not set", name)
	}
	return value
}

func (e *Env) url(name string) string {
	value := e.text(name)
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "") {
		e.problem("%s must be a URL such as https://host/path, not %q", name, value)
	}
	return value
}

func (e *Env) problem(format string, args ...any) {
	e.problems = append(e.problems, fmt.Sprintf(format, args...))
}

// Err returns all problems with the variables read so far as one line, or nil.
func (e *Env) Err() error {
	if len(e.problems) == 0 {
		return nil
	}
	return errors.New("environment: " + strings.Join(e.problems, "; "))
}
