package cfn_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/tools/cfn"
)

const path = "../../template.yaml"

func TestTableIsCreatedFromTheTemplate(t *testing.T) {
	input, err := load(t).Table()
	if err != nil {
		t.Fatal(err)
	}
	if s := input.StreamSpecification; s.StreamViewType != types.StreamViewTypeNewAndOldImages || !aws.ToBool(s.StreamEnabled) {
		t.Errorf("stream is %+v", s)
	}
	if len(input.KeySchema) != 2 || aws.ToString(input.KeySchema[0].AttributeName) != "pk" || input.KeySchema[0].KeyType != types.KeyTypeHash {
		t.Errorf("key is %+v", input.KeySchema)
	}
	if len(input.GlobalSecondaryIndexes) != 1 || input.GlobalSecondaryIndexes[0].Projection.ProjectionType != types.ProjectionTypeKeysOnly {
		t.Errorf("indexes are %+v", input.GlobalSecondaryIndexes)
	}
	if len(input.AttributeDefinitions) != 4 || input.BillingMode != types.BillingModePayPerRequest || input.TableName != nil {
		t.Errorf("table is %+v", input)
	}
}

func TestQueuesAreCreatedFromTheTemplate(t *testing.T) {
	const arn = "arn:aws:sqs:eu-west-1:000000000000:dead"
	queue, err := load(t).OrdersQueue(arn)
	if err != nil {
		t.Fatal(err)
	}
	if a := queue.Attributes; a["RedrivePolicy"] != `{"deadLetterTargetArn":"`+arn+`","maxReceiveCount":1000}` || a["VisibilityTimeout"] != "60" {
		t.Errorf("queue has %v", a)
	}
	dead, err := load(t).DeadLetterQueue()
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"MessageRetentionPeriod": "1209600"}; !maps.Equal(dead.Attributes, want) {
		t.Errorf("dead-letter queue has %v, not %v", dead.Attributes, want)
	}
}

func TestUnknownPropertiesAreAnError(t *testing.T) {
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(t *cfn.Template) (err error) {
		if _, err = t.Table(); err == nil {
			_, err = t.OrdersQueue("arn")
		}
		return err
	}
	for _, tt := range []struct{ old, new, want string }{
		{"BillingMode:", "BilingMode:", "BilingMode"},
		{"KeyType: HASH", "KyeType: HASH", "KyeType"},
		{"VisibilityTimeout:", "VisibilityTimeOut:", "VisibilityTimeOut"},
		{"!GetAtt DeadLetterQueue.Arn", "!GetAtt Other.Arn", "Other.Arn"},
		{"  OrdersTable:", "  Table:", "OrdersTable: no such resource"},
		{"StreamSpecification:", "#", "no stream"},
	} {
		err := read(parse(t, replace(t, string(source), tt.old, tt.new)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %s", tt.new, err, tt.want)
		}
	}
}

func load(t *testing.T) *cfn.Template {
	t.Helper()
	loaded, err := cfn.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}
