package awstest

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

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

// Table makes a table as the template defines it, for the time of the test, and
// returns its name.
func Table(t testing.TB) string {
	t.Helper()
	client := DynamoDB(t)
	input, err := Template(t).Table()
	if err != nil {
		t.Fatal(err)
	}
	input.TableName = aws.String(name("table"))
	if _, err := client.CreateTable(t.Context(), input); err != nil {
		t.Fatalf("create table: %v", err)
	}
	afterwards(t, func(ctx context.Context) error {
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

// Queues makes the queue and its dead-letter queue as the template defines them,
// for the time of the test, and returns their URLs. Each of change may alter an
// attribute of the queue first.
func Queues(t testing.TB, change ...func(attributes map[string]string)) (url, deadLetterURL string) {
	t.Helper()
	dead, err := Template(t).DeadLetterQueue()
	if err != nil {
		t.Fatal(err)
	}
	deadLetterURL, arn := createQueue(t, dead, "dead")
	queue, err := Template(t).OrdersQueue(arn)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(queue.Attributes)
	}
	url, _ = createQueue(t, queue, "queue")
	return url, deadLetterURL
}

func createQueue(t testing.TB, input *sqs.CreateQueueInput, kind string) (url, arn string) {
	t.Helper()
	client := SQS(t)
	input.QueueName = aws.String(name(kind))
	created, err := client.CreateQueue(t.Context(), input)
	if err != nil {
		t.Fatalf("create queue: %v", err)
	}
	afterwards(t, func(ctx context.Context) error {
		_, err := client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: created.QueueUrl})
		return err
	})
	attributes, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: created.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatalf("read the queue's ARN: %v", err)
	}
	return *created.QueueUrl, attributes.Attributes[string(types.QueueAttributeNameQueueArn)]
}

var names atomic.Int64

// name is one that nothing else in the engines of this test binary has.
func name(kind string) string { return fmt.Sprintf("orders-%s-%d", kind, names.Add(1)) }

// afterwards undoes something at the end of the test, whose own context has
// ended by then.
func afterwards(t testing.TB, undo func(context.Context) error) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if err := undo(ctx); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
}
