package awstest

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/tools/cfn"
)

// Template returns the project's template.yaml.
func Template(t testing.TB) *cfn.Template {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	read, err := cfn.Load(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// A T is the part of testing.TB that creates and deletes tables and queues.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// Table creates a table as the template defines it, deletes it when the test ends, and returns
// its name.
func Table(t testing.TB) string {
	t.Helper()
	return TableAt(t, DynamoDB(t), Template(t))
}

// TableAt is Table on the engine of a client.
func TableAt(t T, client *dynamodb.Client, template *cfn.Template) string {
	t.Helper()
	input, err := template.Table()
	if err != nil {
		t.Fatalf("%v", err)
	}
	input.TableName = aws.String(uniqueName("table"))
	if _, err := client.CreateTable(context.WithoutCancel(t.Context()), input); err != nil {
		t.Fatalf("create table: %v", err)
	}
	cleanUp(t, func(ctx context.Context) error {
		_, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: input.TableName})
		return err
	})
	return *input.TableName
}

// StreamARN returns the ARN of a table's stream.
func StreamARN(t testing.TB, table string) string {
	t.Helper()
	output, err := DynamoDB(t).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		t.Fatalf("describe table: %v", err)
	}
	return aws.ToString(output.Table.LatestStreamArn)
}

// Queues creates the queue and its dead-letter queue as the template defines them, deletes them
// when the test ends, and returns their URLs. Each change may first alter the attributes of the
// queue.
func Queues(t testing.TB, change ...func(attributes map[string]string)) (url, deadLetterURL string) {
	t.Helper()
	return QueuesAt(t, SQS(t), Template(t), change...)
}

// QueuesAt is Queues on the engine of a client.
func QueuesAt(t T, client *sqs.Client, template *cfn.Template, change ...func(attributes map[string]string)) (url, deadLetterURL string) {
	t.Helper()
	dead, err := template.DeadLetterQueue()
	if err != nil {
		t.Fatalf("%v", err)
	}
	deadLetterURL = createQueue(t, client, dead, "dead")
	queue, err := template.OrdersQueue(QueueARN(deadLetterURL))
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, c := range change {
		c(queue.Attributes)
	}
	return createQueue(t, client, queue, "queue"), deadLetterURL
}

// QueueARN returns the ARN of a queue of the engine.
func QueueARN(url string) string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", Region, Account, path.Base(url))
}

func createQueue(t T, client *sqs.Client, input *sqs.CreateQueueInput, kind string) (url string) {
	t.Helper()
	input.QueueName = aws.String(uniqueName(kind))
	created, err := client.CreateQueue(context.WithoutCancel(t.Context()), input)
	if err != nil {
		t.Fatalf("create queue: %v", err)
	}
	cleanUp(t, func(ctx context.Context) error {
		_, err := client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: created.QueueUrl})
		return err
	})
	return *created.QueueUrl
}

var names atomic.Int64

// uniqueName is used once in the engines of this test binary.
func uniqueName(kind string) string { return fmt.Sprintf("orders-%s-%d", kind, names.Add(1)) }

// cleanUp undoes something at the end of the test, when the test's own context has ended.
func cleanUp(t T, undo func(context.Context) error) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := undo(ctx); err != nil {
			t.Fatalf("clean up: %v", err)
		}
	})
}
