package awstest_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
	"orders/test/conformance"
)

// F15, I9, I14: somebody has damaged an order. Its record stops the counts and no order, until an
// operator has it skipped. Then the counts go on, and say that they are not exact.
func TestTheTallyGoesOnBehindARecordThatAnOperatorHasSkipped(t *testing.T) {
	var capture awstest.Capture
	d := awstest.OpenDeployment(t, func(s *awstest.Setup) { s.Between = capture.Tee })
	create := func() order.Order {
		t.Helper()
		draft := order.Draft{Details: order.Details{UserID: "645", ItemIDs: []string{"890"}}, InitialStatus: order.Completed}
		draft.SetFingerprint()
		o, _, err := d.Store.Create(t.Context(), draft)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	counted := func(want order.Tally) {
		t.Helper()
		conformance.Eventually(t, func() error {
			got, err := d.Metrics.Metrics(t.Context())
			if err == nil && got != want {
				err = fmt.Errorf("metrics %+v, want %+v", got, want)
			}
			return err
		})
	}
	damaged := create()
	counted(order.Tally{ByStatus: order.Counts{0, 0, 1}})
	_, err := d.DynamoDB.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &d.Table, Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "ORDER#" + string(damaged.ID)}, "sk": &types.AttributeValueMemberS{Value: "ORDER"},
		},
		UpdateExpression: aws.String("SET #s = :s"), ExpressionAttributeNames: map[string]string{"#s": "status"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":s": &types.AttributeValueMemberS{Value: "Shipped"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	create()

	var event events.DynamoDBTimeWindowEvent
	records := capture.Records(t, awstest.TallyFunction, 2)
	if err := json.Unmarshal(capture.Event(t, records[1:2]), &event); err != nil {
		t.Fatal(err)
	}
	audit := dynamostore.Audit{Client: d.DynamoDB, Table: d.Table}
	if err := audit.Skip(t.Context(), event.ShardID, event.Records[0].Change.SequenceNumber, time.Now()); err != nil {
		t.Fatal(err)
	}
	counted(order.Tally{ByStatus: order.Counts{0, 0, 2}, Inexact: true})
}
