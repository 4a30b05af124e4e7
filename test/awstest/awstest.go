// Package awstest runs the services of AWS that tests need: DynamoDB with its streams (DynamoDB
// Local) and SQS (ElasticMQ). Each is a Java process that starts for the first test that needs it
// and ends with the test binary. Tables and queues are created from template.yaml.
//
// OpenDeployment connects the project's functions with them. Faults and Calls are middleware for
// clients: they inject faults into calls and count calls.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }
//
// Without Java, or before `make emulators` has fetched the engines, tests that need one are
// skipped; where the variable CI is set, they fail instead.
//
// The engines check no permissions, throttle nothing and have no Lambda. In its place,
// tools/eventsource invokes functions.
package awstest

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Region and Account are those of the engines.
const (
	Region  = "eu-west-1"
	Account = "000000000000"
)

// Run runs the tests and stops the engines that they have started.
func Run(m *testing.M) int {
	defer dynamoDB.stop()
	defer elasticMQ.stop()
	return m.Run()
}

// DynamoDBEndpoint is the URL of DynamoDB and its streams.
func DynamoDBEndpoint(t testing.TB) string { return dynamoDB.start(t) }

// SQSEndpoint is the URL of SQS.
func SQSEndpoint(t testing.TB) string { return elasticMQ.start(t) }

// DynamoDB returns a client of the engine.
func DynamoDB(t testing.TB, options ...func(*dynamodb.Options)) *dynamodb.Client {
	cfg := config(DynamoDBEndpoint(t))
	unchecked := func(o *dynamodb.Options) { o.DisableValidateResponseChecksum = true }
	return dynamodb.NewFromConfig(cfg, append([]func(*dynamodb.Options){unchecked}, options...)...)
}

// Streams returns a client of the engine's streams.
func Streams(t testing.TB, options ...func(*dynamodbstreams.Options)) *dynamodbstreams.Client {
	return dynamodbstreams.NewFromConfig(config(DynamoDBEndpoint(t)), options...)
}

// SQS returns a client of the engine.
func SQS(t testing.TB, options ...func(*sqs.Options)) *sqs.Client {
	return sqs.NewFromConfig(config(SQSEndpoint(t)), options...)
}

// connections are kept for as many concurrent callers as a test has.
var connections = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
	t.MaxIdleConnsPerHost = 200
})

func config(endpoint string) aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   connections,
		Retryer: func() aws.Retryer { // without a wait
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 1 })
		},
	}
}

// Must is the value of a constructor that cannot fail with these arguments.
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
