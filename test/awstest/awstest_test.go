package awstest_test

import (
	"encoding/json/v2"
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/test/awstest"
)

// Most of a test's time is waiting, so more tests run concurrently than there are processors.
// The flag -parallel overrides it.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(awstest.Run(m))
}

func TestATableIsFreshHasItsStreamAndIsDeletedAfterItsTest(t *testing.T) {
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

func TestQueuesAreFreshAndTheFirstHasTheSecondAsItsDeadLetterQueue(t *testing.T) {
	url, deadLetterURL := awstest.Queues(t, func(attributes map[string]string) { attributes["VisibilityTimeout"] = "7" })
	attributes := queueAttributes(t, url)
	if attributes["VisibilityTimeout"] != "7" {
		t.Errorf("attributes %v", attributes)
	}
	var policy struct {
		Target string `json:"deadLetterTargetArn"`
	}
	err := json.Unmarshal([]byte(attributes["RedrivePolicy"]), &policy)
	if want := queueAttributes(t, deadLetterURL)["QueueArn"]; err != nil || policy.Target != want || want == attributes["QueueArn"] {
		t.Errorf("messages go from %s to %q, not to %s: %v", attributes["QueueArn"], policy.Target, want, err)
	}
}

func queueAttributes(t *testing.T, url string) map[string]string {
	t.Helper()
	output, err := awstest.SQS(t).GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	if err != nil {
		t.Fatal(err)
	}
	return output.Attributes
}

// A machine without Java runs the other tests. CI must not skip any.
func TestWithoutJavaTestsAreSkippedAndInCITheyFail(t *testing.T) {
	for ci, passes := range map[string]bool{"": true, "true": false} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestQueuesAreFresh")
		cmd.Env = []string{"PATH=", "CI=" + ci}
		output, err := cmd.CombinedOutput()
		if (err == nil) != passes || strings.Contains(string(output), "--- SKIP: TestQueuesAreFresh") != passes {
			t.Errorf("CI=%s: error %v\n%s", ci, err, output)
		}
	}
}
