package awstest_test

import (
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/test/awstest"
)

// Most of a test's time is waiting, so more of them run side by side than there are
// processors; -parallel says otherwise.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(awstest.Run(m))
}

func TestATableIsFreshAndHasItsStreamAndGoesWithItsTest(t *testing.T) {
	client := awstest.DynamoDB(t)
	var table string
	t.Run("test", func(t *testing.T) {
		table = awstest.Table(t)
		if other := awstest.Table(t); other == table {
			t.Errorf("two tables are called %s", table)
		}
		item := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "a"}, "sk": &types.AttributeValueMemberS{Value: "b"}}
		if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: item}); err != nil {
			t.Fatal(err)
		}
		stream, err := awstest.Streams(t).DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String(awstest.StreamARN(t, table))})
		if err != nil || len(stream.StreamDescription.Shards) == 0 {
			t.Errorf("stream %+v, error %v", stream, err)
		}
	})
	_, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &table})
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); !gone {
		t.Errorf("after the test: error %v", err)
	}
}

func TestQueuesAreFreshAndLeadToEachOther(t *testing.T) {
	queue, dead := awstest.Queues(t, func(attributes map[string]string) { attributes["VisibilityTimeout"] = "7" })
	client := awstest.SQS(t)
	output, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	if err != nil || output.Attributes["RedrivePolicy"] == "" || output.Attributes["VisibilityTimeout"] != "7" {
		t.Errorf("attributes %v, error %v", output.Attributes, err)
	}
	for _, url := range []string{queue, dead} {
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")}); err != nil {
			t.Errorf("send to %s: %v", url, err)
		}
	}
}
