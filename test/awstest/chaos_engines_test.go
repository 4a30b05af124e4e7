package awstest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/awsclient"
	"orders/test/awstest"
	"orders/test/chaos"
	"orders/tools/cfn"
)

// engines are those that homes are opened on, one after the other, each with a table and
// queues of its own.
type engines struct {
	*testing.T
	template *cfn.Template
	opened   int // homes
	sqs      *sqs.Client
	sqsCfg   aws.Config
	tables
}

// tables are an engine's, and how it is reached.
type tables struct {
	dynamoDB  *dynamodb.Client
	streams   *dynamodbstreams.Client
	dynamoCfg aws.Config
	stop      func()
}

func openEngines(t *testing.T) *engines {
	return &engines{
		T: t, template: awstest.Template(t), sqs: awstest.SQS(t), sqsCfg: functionConfig(t, awstest.SQSEndpoint(t)),
		tables: tablesAt(t, awstest.DynamoDBEndpoint(t), func() {}),
	}
}

func tablesAt(t *testing.T, endpoint string, stop func()) tables {
	return tables{
		dynamoDB:  awstest.DynamoDB(t, func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint }),
		streams:   awstest.Streams(t, func(o *dynamodbstreams.Options) { o.BaseEndpoint = &endpoint }),
		dynamoCfg: functionConfig(t, endpoint), stop: stop,
	}
}

// homesPerEngine is after how many homes DynamoDB Local takes about half as long again
// for what it does, and is to be replaced.
const homesPerEngine = 100

// next counts the homes, none of which is open now.
func (e *engines) next() {
	if e.opened++; e.opened%homesPerEngine == 0 {
		e.stop()
		endpoint, stop := awstest.FreshDynamoDB(e.T)
		e.tables = tablesAt(e.T, endpoint, stop)
	}
}

// functionConfig is what functions reach AWS by, but that nobody waits between attempts.
func functionConfig(t *testing.T, endpoint string) aws.Config {
	variables := map[string]string{
		"AWS_REGION": awstest.Region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": endpoint,
	}
	env := awsclient.NewEnv(func(name string) string { return variables[name] })
	cfg := env.AWS()
	if err := env.Err(); err != nil {
		t.Fatal(err)
	}
	patient := cfg.Retryer
	cfg.Retryer = func() aws.Retryer {
		return unmetered{retry.AddWithMaxBackoffDelay(patient(), time.Millisecond).(aws.RetryerV2)}
	}
	return cfg
}

// tablesThrough is a client of the functions.
func (e *engines) tablesThrough(n *network) *dynamodb.Client {
	return dynamodb.NewFromConfig(e.dynamoCfg, dynamodb.WithAPIOptions(n.Middleware), func(o *dynamodb.Options) {
		o.DisableValidateResponseChecksum = true
	})
}

// queuesThrough is a client of the functions.
func (e *engines) queuesThrough(n *network) *sqs.Client {
	return sqs.NewFromConfig(e.sqsCfg, sqs.WithAPIOptions(n.Middleware))
}

// table makes a table for the time of a history.
func (e *engines) table(t chaos.T) string {
	ctx := context.WithoutCancel(t.Context())
	input, err := e.template.Table()
	if err != nil {
		t.Fatalf("%v", err)
	}
	input.TableName = aws.String(fmt.Sprintf("chaos-%d", e.opened))
	if _, err := e.dynamoDB.CreateTable(ctx, input); err != nil {
		t.Fatalf("create table: %v", err)
	}
	t.Cleanup(func() {
		if _, err := e.dynamoDB.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: input.TableName}); err != nil {
			t.Fatalf("delete table: %v", err)
		}
	})
	return *input.TableName
}

// addresses are those of a home's queues.
type addresses struct{ url, arn, deadLetterURL string }

// queues makes queues for the time of a history.
func (e *engines) queues(t chaos.T) (a addresses) {
	input, err := e.template.DeadLetterQueue()
	if err != nil {
		t.Fatalf("%v", err)
	}
	var deadARN string
	a.deadLetterURL, deadARN = e.makeQueue(t, input, "dead")
	if input, err = e.template.OrdersQueue(deadARN); err != nil {
		t.Fatalf("%v", err)
	}
	a.url, a.arn = e.makeQueue(t, input, "queue")
	return a
}

func (e *engines) makeQueue(t chaos.T, input *sqs.CreateQueueInput, kind string) (url, arn string) {
	ctx := context.WithoutCancel(t.Context())
	name := fmt.Sprintf("chaos-%s-%d", kind, e.opened)
	input.QueueName = &name
	made, err := e.sqs.CreateQueue(ctx, input)
	if err != nil {
		t.Fatalf("create queue: %v", err)
	}
	t.Cleanup(func() {
		if _, err := e.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: made.QueueUrl}); err != nil {
			t.Fatalf("delete queue: %v", err)
		}
	})
	return *made.QueueUrl, fmt.Sprintf("arn:aws:sqs:%s:%s:%s", awstest.Region, awstest.Account, name)
}

// receive takes all that a queue shows, and hides it for longer than any history takes.
func receive(t chaos.T, client *sqs.Client, url string) (messages []sqstypes.Message) {
	for {
		output, err := client.ReceiveMessage(context.WithoutCancel(t.Context()), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: int32((12 * time.Hour).Seconds()),
			MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		if len(output.Messages) == 0 {
			return messages
		}
		messages = append(messages, output.Messages...)
	}
}

// unmetered does without the SDK's bucket of retry tokens: faults empty it, and what a
// step may lead to would depend on how many faults came before.
type unmetered struct{ aws.RetryerV2 }

func (unmetered) GetRetryToken(context.Context, error) (func(error) error, error) {
	return func(error) error { return nil }, nil
}
