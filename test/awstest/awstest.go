// Package awstest gives tests the services of AWS that they need: DynamoDB with
// its streams (DynamoDB Local) and SQS (ElasticMQ), each a Java process that
// starts when the first test asks for it and ends with the test binary. Table
// and queues are made from template.yaml, as AWS makes them.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }
//
// Without Java, or before `make emulators` has fetched the engines, tests that
// need one are skipped; where CI is set they fail instead.
//
// The engines check no permissions, throttle nothing and have no Lambda. What
// invokes functions there is tools/eventsource.
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

// Region and Account are those that the engines believe to be in.
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

// DynamoDBEndpoint is the URL at which DynamoDB and its streams answer.
func DynamoDBEndpoint(t testing.TB) string { return dynamoDB.start(t) }

// SQSEndpoint is the URL at which SQS answers.
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

// connections are kept for as many callers as a test has side by side.
var connections = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
	t.MaxIdleConnsPerHost = 200
})

func config(endpoint string) aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   connections,
		Retryer:      func() aws.Retryer { return retry.NewStandard() },
	}
}

// Must is the value of a constructor that is called with what cannot be wrong.
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
