package awstest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"orders/test/awstest"
	"orders/test/conformance"
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

func TestALastingFaultIsMetUntilItEnds(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	met := 0
	end := db.faults.Begin("UpdateItem", awstest.Fault(awstest.NeverArrives).Told(func() { met++ }))
	for range 2 {
		if err := db.add(t.Context(), "1"); err == nil {
			t.Error("a call has passed")
		}
	}
	end()
	if err := db.add(t.Context(), "1"); err != nil || met != 6 {
		t.Errorf("after %d attempts that met it: error %v", met, err)
	}
	if got := db.counter(t); got != "1" {
		t.Errorf("the counter is %s", got)
	}
}

func TestACanceledTransactionHasItsReasonsAndWritesNothing(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	for _, test := range []struct {
		fault awstest.Fault
		codes []string
	}{
		{awstest.Conflict, []string{"TransactionConflict", "None"}},
		{awstest.Canceled("None", "ThrottlingError"), []string{"None", "ThrottlingError"}},
	} {
		db.faults.Play("TransactWriteItems", test.fault)
		one := db.addition("1")
		_, err := db.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{Update: &types.Update{
			TableName: one.TableName, Key: one.Key, UpdateExpression: one.UpdateExpression, ExpressionAttributeValues: one.ExpressionAttributeValues,
		}}}})
		canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
		if !ok {
			t.Fatalf("error %v", err)
		}
		var codes []string
		for _, reason := range canceled.CancellationReasons {
			codes = append(codes, aws.ToString(reason.Code))
		}
		if !slices.Equal(codes, test.codes) {
			t.Errorf("reasons %q", codes)
		}
		if made := db.calls.Take().Calls["TransactWriteItems"]; made != 1 {
			t.Errorf("%d attempts: the SDK does not retry a canceled transaction", made)
		}
	}
	if got := db.counter(t); got != "" {
		t.Errorf("the counter is %s", got)
	}
}

func TestASlowCallArrivesUnlessItsContextEndsBefore(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	db.faults.Play("UpdateItem", awstest.Slow(20*time.Millisecond))
	began := time.Now()
	if err := db.add(t.Context(), "1"); err != nil || time.Since(began) < 20*time.Millisecond {
		t.Errorf("error %v after %s", err, time.Since(began))
	}
	ctx, cancel := context.WithCancel(t.Context())
	db.faults.Play("UpdateItem", awstest.Slow(time.Hour).Told(cancel))
	if err := db.add(ctx, "1"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if made, got := db.calls.Take().Calls["UpdateItem"], db.counter(t); made != 2 || got != "1" {
		t.Errorf("%d attempts, and the counter is %s", made, got)
	}
}

// A killed function has made the call at which it was killed or not, and makes no other.
func TestAKilledFunctionMakesNoFurtherCalls(t *testing.T) {
	for name, test := range map[string]struct {
		fault   awstest.Fault
		counter string
	}{
		"before the call took effect": {awstest.KilledBefore, "10"},
		"after the call took effect":  {awstest.KilledAfter, "11"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
			if err := db.add(t.Context(), "6"); err != nil {
				t.Error(err)
			}
			db.faults.Play("UpdateItem", test.fault)
			db.faults.Play("UpdateItem") // for the next invocation
			db.faults.Play("UpdateItem", awstest.NeverArrives)
			if response, err := function(t.Context(), "", nil); response != nil || err == nil {
				t.Errorf("the killed function returns %s, error %v", response, err)
			}
			if got := db.counter(t); got != test.counter {
				t.Errorf("the counter is %s, not %s", got, test.counter)
			}
			if err := db.add(t.Context(), "1"); err != nil || len(db.faults.Unplayed()) != 1 {
				t.Errorf("the killed function has met the faults of later calls; error %v", err)
			}
		})
	}
}

func TestAKilledCallOutsideOfAFunctionReturnsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	db.faults.Play("UpdateItem", awstest.KilledAfter)
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() { returned <- db.add(ctx, "1") }()
	conformance.Eventually(t, func() error {
		if db.counter(t) != "1" {
			return errors.New("the call has had no effect")
		}
		return nil
	})
	cancel()
	if err := <-returned; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestTheSDKReadsTheErrorsOfSQS(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	for _, test := range []struct {
		fault    awstest.Fault
		code     string
		attempts int
	}{
		{awstest.Throttled, "RequestThrottled", 3},
		{awstest.ExpiredCredentials, "ExpiredTokenException", 1},
		{awstest.InternalError, "InternalFailure", 3},
	} {
		end := q.faults.Begin("SendMessageBatch", test.fault)
		_, err := q.send(t, 2)
		end()
		if code := codeOf(err); code != test.code {
			t.Errorf("error %v of code %q, not %q", err, code, test.code)
		}
		if made := q.calls.Take().Calls["SendMessageBatch"]; made != test.attempts {
			t.Errorf("%s: %d attempts, not %d", test.code, made, test.attempts)
		}
	}
	if bodies := q.bodies(t); len(bodies) > 0 {
		t.Errorf("%q are in the queue", bodies)
	}
}

func TestABatchThatPartlyFailsIsInTheQueueButForTheFailedEntries(t *testing.T) {
	for name, test := range map[string]struct {
		senderFault bool
		failed      []int
	}{
		"none":                     {false, nil},
		"some, by SQS":             {false, []int{0, 2}},
		"one, by the client":       {true, []int{3}},
		"all, and nothing is sent": {false, []int{0, 1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := openQueue(t)
			q.faults.Play("SendMessageBatch", awstest.PartlyFailed(test.senderFault, test.failed...))
			output, err := q.send(t, 4)
			if err != nil {
				t.Fatal(err)
			}
			if made := q.calls.Take().Calls["SendMessageBatch"]; made != 1 {
				t.Errorf("%d attempts, not one: to the SDK it is a success", made)
			}
			var want, sent []string
			for i := range 4 {
				if !slices.Contains(test.failed, i) {
					want = append(want, fmt.Sprint("message ", i))
				}
			}
			for _, s := range output.Successful {
				sent = append(sent, "message "+aws.ToString(s.Id))
			}
			if len(output.Failed) != len(test.failed) || !slices.Equal(sent, want) {
				t.Errorf("successful %q, failed %+v", sent, output.Failed)
			}
			for i, f := range output.Failed {
				if aws.ToString(f.Id) != fmt.Sprint(test.failed[i]) || f.SenderFault != test.senderFault || aws.ToString(f.Code) == "" {
					t.Errorf("failed is %+v", f)
				}
			}
			if bodies := q.bodies(t); !slices.Equal(bodies, want) {
				t.Errorf("%q are in the queue", bodies)
			}
		})
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
	db.Client = awstest.DynamoDB(t, dynamodb.WithAPIOptions(db.calls.Middleware, db.faults.Middleware), soon)
	return db
}

var counterKey = map[string]types.AttributeValue{
	"pk": &types.AttributeValueMemberS{Value: "COUNTER"}, "sk": &types.AttributeValueMemberS{Value: "0"},
}

func (db *faultyTable) addition(n string) *dynamodb.UpdateItemInput {
	return &dynamodb.UpdateItemInput{
		TableName: &db.name, Key: counterKey, UpdateExpression: aws.String("ADD n :n"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":n": &types.AttributeValueMemberN{Value: n}},
	}
}

func (db *faultyTable) add(ctx context.Context, n string) error {
	_, err := db.UpdateItem(ctx, db.addition(n))
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

// A faultyQueue is an empty queue and a client whose calls are counted and meet faults.
type faultyQueue struct {
	*sqs.Client
	url    string
	calls  awstest.Calls
	faults awstest.Faults
}

func openQueue(t *testing.T) *faultyQueue {
	t.Helper()
	q := &faultyQueue{}
	q.url, _ = awstest.Queues(t)
	q.Client = awstest.SQS(t, sqs.WithAPIOptions(q.calls.Middleware, q.faults.Middleware), soonSQS)
	return q
}

// send sends n messages in one batch.
func (q *faultyQueue) send(t *testing.T, n int) (*sqs.SendMessageBatchOutput, error) {
	t.Helper()
	input := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
	for i := range n {
		input.Entries = append(input.Entries, sqstypes.SendMessageBatchRequestEntry{
			Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(fmt.Sprint("message ", i)),
		})
	}
	return q.SendMessageBatch(t.Context(), input)
}

// bodies receives all messages of the queue.
func (q *faultyQueue) bodies(t *testing.T) (bodies []string) {
	t.Helper()
	for {
		output, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(output.Messages) == 0 {
			slices.Sort(bodies)
			return bodies
		}
		for _, m := range output.Messages {
			bodies = append(bodies, aws.ToString(m.Body))
		}
	}
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
