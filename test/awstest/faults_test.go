package awstest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"orders/test/awstest"
)

// A counter that no condition protects shows the effect of a fault.
func TestFaultsHaveTheEffectThatTheirNamesSay(t *testing.T) {
	never, lost, twice := awstest.NeverArrives, awstest.ResponseLost, awstest.Twice
	throttled, internal, expired := awstest.Throttled, awstest.InternalError, awstest.ExpiredCredentials
	for _, test := range []struct {
		name     string
		faults   []awstest.Fault
		counter  string // after one call that adds 1, and its retries
		attempts int
		code     string // of the error
	}{
		{"none", nil, "1", 1, ""},
		{"none at the first attempt", []awstest.Fault{nil, lost}, "1", 1, ""},
		{"never arrives", []awstest.Fault{never}, "1", 2, ""},
		{"slow", []awstest.Fault{awstest.Slow(time.Millisecond)}, "1", 1, ""},
		{"response lost", []awstest.Fault{lost}, "2", 2, ""},
		{"twice", []awstest.Fault{twice}, "2", 1, ""},
		{"response lost, then never arrives", []awstest.Fault{lost, never}, "2", 3, ""},
		{"response lost, every attempt", []awstest.Fault{lost, lost, lost}, "3", 3, "no response"},
		{"never arrives, every attempt", []awstest.Fault{never, never, never}, "", 3, "no response"},
		{"throttled", []awstest.Fault{throttled, throttled, throttled}, "", 3, "ThrottlingException"},
		{"internal error", []awstest.Fault{internal, internal, internal}, "", 3, "InternalServerError"},
		{"expired credentials", []awstest.Fault{expired}, "", 1, "ExpiredTokenException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := openTable(t)
			db.faults.Play("UpdateItem", test.faults...)
			if code := codeOf(db.add(t.Context(), "1")); code != test.code {
				t.Errorf("the call returns error %q, not %q", code, test.code)
			}
			if made := db.calls.Take().Calls["UpdateItem"]; made != test.attempts {
				t.Errorf("%d attempts, not %d", made, test.attempts)
			}
			if got := db.counter(t); got != test.counter {
				t.Errorf("the counter is %q, not %q", got, test.counter)
			}
			if err := db.add(t.Context(), "0"); err != nil {
				t.Errorf("the next call meets a fault, too: %v", err)
			}
		})
	}
}

func TestTheSDKReadsTheErrorsOfSQS(t *testing.T) {
	var faults awstest.Faults
	client := awstest.SQS(t, sqs.WithAPIOptions(faults.Middleware))
	for code, fault := range map[string]awstest.Fault{
		"RequestThrottled": awstest.Throttled, "ExpiredTokenException": awstest.ExpiredCredentials, "InternalFailure": awstest.InternalError,
	} {
		end := faults.Begin("SendMessage", fault)
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String("url"), MessageBody: aws.String("x")})
		end()
		if got := codeOf(err); got != code {
			t.Errorf("error %v of code %q, not %q", err, got, code)
		}
	}
}

func TestFaultsThatAreNotMetAreNamed(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	db.faults.Play("PutItem", awstest.ResponseLost)                       // is never called
	db.faults.Play("UpdateItem", awstest.Twice, awstest.Twice)            // is not retried
	db.faults.Play("GetItem", awstest.NeverArrives, awstest.ResponseLost) // is met
	db.faults.Play("Query", nil)                                          // is none
	if err := db.add(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	db.counter(t)
	if left := db.faults.Unplayed(); !slices.Equal(left, []string{"PutItem", "UpdateItem"}) {
		t.Errorf("unplayed are %s, not PutItem and UpdateItem", left)
	}
}

// A killed function has made the call at which it was killed or not, and makes no other.
func TestAKilledFunctionMakesNoFurtherCalls(t *testing.T) {
	for counter, fault := range map[string]awstest.Fault{"4": awstest.KilledBefore, "5": awstest.KilledAfter} {
		db := openTable(t)
		function := awstest.Mortal(func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			for range 3 {
				_ = db.add(ctx, "1") // with any result
			}
			return []byte("done"), db.add(context.WithoutCancel(ctx), "1")
		})
		if response, err := function(t.Context(), "", nil); string(response) != "done" || err != nil {
			t.Errorf("without a fault the function returns %s, error %v", response, err)
		}
		db.faults.Play("UpdateItem", fault)
		db.faults.Play("UpdateItem", awstest.NeverArrives)
		if response, err := function(t.Context(), "", nil); response != nil || err == nil {
			t.Errorf("the killed function returns %s, error %v", response, err)
		}
		if got := db.counter(t); got != counter || len(db.faults.Unplayed()) != 1 {
			t.Errorf("the counter is %s, not %s, or the killed function has met the faults of later calls", got, counter)
		}
	}
}

// A faultyTable is an empty table and a client whose calls are counted and meet faults.
type faultyTable struct {
	*dynamodb.Client
	name   string
	calls  awstest.Calls
	faults awstest.Faults
}

func openTable(t *testing.T) *faultyTable {
	t.Helper()
	db := &faultyTable{name: awstest.Table(t)}
	db.Client = awstest.DynamoDB(t, dynamodb.WithAPIOptions(db.calls.Middleware, db.faults.Middleware))
	return db
}

var counterKey = map[string]types.AttributeValue{
	"pk": &types.AttributeValueMemberS{Value: "COUNTER"}, "sk": &types.AttributeValueMemberS{Value: "0"},
}

func (db *faultyTable) add(ctx context.Context, n string) error {
	_, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &db.name, Key: counterKey, UpdateExpression: aws.String("ADD n :n"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":n": &types.AttributeValueMemberN{Value: n}},
	})
	return err
}

// counter is the sum of the additions, "" without any.
func (db *faultyTable) counter(t *testing.T) string {
	t.Helper()
	found, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &db.name, Key: counterKey, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := found.Item["n"].(*types.AttributeValueMemberN)
	if n == nil {
		return ""
	}
	return n.Value
}

// codeOf is the code of an error of AWS, "" for no error.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	if refused, ok := errors.AsType[smithy.APIError](err); ok {
		return refused.ErrorCode()
	}
	return "no response"
}
