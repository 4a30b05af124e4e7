package awstest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"orders/test/awstest"
)

// What happens to a bare counter, which no condition protects, shows what a fault
// really does.
func TestFaultsDoWhatTheySay(t *testing.T) {
	never, lost, twice := awstest.NeverArrives, awstest.AnswerLost, awstest.Twice
	tests := []struct {
		name     string
		faults   []awstest.Fault
		counter  string // after one call that adds 1, and its retries
		attempts int
		fails    bool
	}{
		{"none", nil, "1", 1, false},
		{"an attempt that passes first", []awstest.Fault{nil}, "1", 1, false},
		{"lost on the way", []awstest.Fault{never}, "1", 2, false},
		{"its answer lost", []awstest.Fault{lost}, "2", 2, false},
		{"made twice", []awstest.Fault{twice}, "2", 1, false},
		{"its answer lost, then lost on the way", []awstest.Fault{lost, never}, "2", 3, false},
		{"every attempt's answer lost", []awstest.Fault{lost, lost, lost}, "3", 3, true},
		{"lost on the way, every attempt", []awstest.Fault{never, never, never}, "", 3, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db, table, calls, faults := openTable(t)
			faults.Play("UpdateItem", test.faults...)
			if err := add(t, db, table, "1"); (err != nil) != test.fails {
				t.Errorf("the call returns %v", err)
			}
			if left := faults.Unplayed(); len(left) > 0 {
				t.Errorf("not all faults were met: %s", left)
			}
			if made := calls.Take().Calls["UpdateItem"]; made != test.attempts {
				t.Errorf("%d attempts, not %d", made, test.attempts)
			}
			if got := counter(t, db, table); got != test.counter {
				t.Errorf("the counter is %q, not %q", got, test.counter)
			}
			if err := add(t, db, table, "0"); err != nil {
				t.Errorf("the next call meets a fault, too: %v", err)
			}
		})
	}
}

func TestFaultsThatAreNotMetAreTold(t *testing.T) {
	var faults awstest.Faults
	db := awstest.DynamoDB(t, dynamodb.WithAPIOptions(faults.Middleware))
	faults.Play("PutItem", awstest.AnswerLost)                       // is never called
	faults.Play("UpdateItem", awstest.Twice, awstest.Twice)          // is not tried again
	faults.Play("GetItem", awstest.NeverArrives, awstest.AnswerLost) // is met
	faults.Play("Query", nil)                                        // is none
	table := awstest.Table(t)
	if err := add(t, db, table, "1"); err != nil {
		t.Fatal(err)
	}
	counter(t, db, table)
	if left := faults.Unplayed(); len(left) != 2 || left[0] != "PutItem" || left[1] != "UpdateItem" {
		t.Errorf("unplayed are %s, not PutItem and UpdateItem", left)
	}
}

func TestAFaultThatLastsIsMetUntilItEnds(t *testing.T) {
	db, table, _, faults := openTable(t)
	met := 0
	end := faults.Begin("UpdateItem", awstest.Fault(awstest.NeverArrives).Told(func() { met++ }))
	for range 2 {
		if err := add(t, db, table, "1"); err == nil {
			t.Error("a call has passed")
		}
	}
	end()
	if err := add(t, db, table, "1"); err != nil || met != 6 {
		t.Errorf("after %d attempts that met it: error %v", met, err)
	}
	if got := counter(t, db, table); got != "1" {
		t.Errorf("the counter is %s", got)
	}
}

// openTable makes an empty table and a client whose calls are counted and meet faults.
func openTable(t *testing.T) (db *dynamodb.Client, table string, calls *awstest.Calls, faults *awstest.Faults) {
	t.Helper()
	calls, faults = &awstest.Calls{}, &awstest.Faults{}
	db = awstest.DynamoDB(t, dynamodb.WithAPIOptions(calls.Middleware, faults.Middleware), soon)
	return db, awstest.Table(t), calls, faults
}

var counterKey = map[string]types.AttributeValue{
	"pk": &types.AttributeValueMemberS{Value: "COUNTER"}, "sk": &types.AttributeValueMemberS{Value: "0"},
}

func add(t *testing.T, db *dynamodb.Client, table, n string) error {
	t.Helper()
	_, err := db.UpdateItem(t.Context(), addition(table, n))
	return err
}

func addition(table, n string) *dynamodb.UpdateItemInput {
	return &dynamodb.UpdateItemInput{
		TableName: &table, Key: counterKey, UpdateExpression: aws.String("ADD n :n"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":n": &types.AttributeValueMemberN{Value: n}},
	}
}

// counter is what was added, "" when nothing was.
func counter(t *testing.T, db *dynamodb.Client, table string) string {
	t.Helper()
	found, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: counterKey, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := found.Item["n"].(*types.AttributeValueMemberN)
	if n == nil {
		return ""
	}
	return n.Value
}
