package awstest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"orders/test/awstest"
)

// soon and soonSQS let the SDK try again without a wait.
func soon(o *dynamodb.Options) { o.Retryer = soonRetryer() }
func soonSQS(o *sqs.Options)   { o.Retryer = soonRetryer() }

func soonRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 1 })
}

// What DynamoDB answers in a call's place is an error of the SDK's own making, and has
// no effect.
func TestAnAnswerOfDynamoDBIsReadByTheSDK(t *testing.T) {
	for _, test := range []struct {
		name     string
		fault    awstest.Fault
		code     string
		attempts int
		as       func(error) bool
	}{
		{"throttled", awstest.Throttled, "ThrottlingException", 3, is[*types.ThrottlingException]},
		{"throughput exceeded", awstest.ThroughputExceeded, "ProvisionedThroughputExceededException", 3, is[*types.ProvisionedThroughputExceededException]},
		{"expired credentials", awstest.ExpiredCredentials, "ExpiredTokenException", 1, is[*smithy.GenericAPIError]},
		{"an internal error", awstest.ServiceDown(500), "InternalServerError", 3, is[*types.InternalServerError]},
		{"service unavailable", awstest.ServiceDown(503), "ServiceUnavailable", 3, is[*smithy.GenericAPIError]},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db, table, calls, faults := openTable(t)
			end := faults.Begin("UpdateItem", test.fault)
			err := add(t, db, table, "1")
			end()
			if code := codeOf(err); code != test.code || !test.as(err) {
				t.Errorf("error %v of code %q", err, code)
			}
			if made := calls.Take().Calls["UpdateItem"]; made != test.attempts {
				t.Errorf("%d attempts, not %d", made, test.attempts)
			}
			if got := counter(t, db, table); got != "" {
				t.Errorf("the counter is %s", got)
			}
		})
	}
}

func TestACanceledTransactionTellsItsReasonsAndWritesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		fault awstest.Fault
		codes []string
	}{
		"a conflict":   {awstest.Conflict, []string{"TransactionConflict", "None"}},
		"other causes": {awstest.Canceled("None", "ThrottlingError"), []string{"None", "ThrottlingError"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, table, calls, faults := openTable(t)
			faults.Play("TransactWriteItems", test.fault)
			err := addInTransaction(t, db, table)
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
			if made := calls.Take().Calls["TransactWriteItems"]; made != 1 {
				t.Errorf("%d attempts: the SDK does not repeat a transaction that was canceled", made)
			}
			if got := counter(t, db, table); got != "" {
				t.Errorf("the counter is %s", got)
			}
		})
	}
}

func TestAnAnswerOfSQSIsReadByTheSDK(t *testing.T) {
	for name, test := range map[string]struct {
		fault    awstest.Fault
		code     string
		attempts int
	}{
		"throttled":           {awstest.Throttled, "RequestThrottled", 3},
		"expired credentials": {awstest.ExpiredCredentials, "ExpiredTokenException", 1},
		"an internal error":   {awstest.ServiceDown(500), "InternalFailure", 3},
		"service unavailable": {awstest.ServiceDown(503), "ServiceUnavailable", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := openQueue(t)
			q.faults.Begin("SendMessageBatch", test.fault)
			_, err := q.send(t, 2)
			if code := codeOf(err); code != test.code {
				t.Errorf("error %v of code %q", err, code)
			}
			if made := q.calls.Take().Calls["SendMessageBatch"]; made != test.attempts {
				t.Errorf("%d attempts, not %d", made, test.attempts)
			}
			if bodies := q.bodies(t); len(bodies) > 0 {
				t.Errorf("%q are on the queue", bodies)
			}
		})
	}
}

func TestABatchThatPartlyFailsIsOnTheQueueButForWhatFailed(t *testing.T) {
	for name, test := range map[string]struct {
		senderFault bool
		failed      []int
	}{
		"none":                      {false, nil},
		"some, by SQS":              {false, []int{0, 2}},
		"one, by the client":        {true, []int{3}},
		"all, and nothing is asked": {false, []int{0, 1, 2, 3}},
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
				t.Errorf("%d attempts, not one: the SDK takes it for a success", made)
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
				t.Errorf("%q are on the queue", bodies)
			}
		})
	}
}

func TestAHurriedBatchIsNotKeptBack(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	delayed := &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: []sqstypes.SendMessageBatchRequestEntry{
		{Id: aws.String("0"), MessageBody: aws.String("late"), DelaySeconds: 900},
	}}
	q.faults.Play("SendMessageBatch", awstest.Hurried)
	for range 2 {
		if _, err := q.client.SendMessageBatch(t.Context(), delayed); err != nil {
			t.Fatal(err)
		}
	}
	if bodies := q.bodies(t); !slices.Equal(bodies, []string{"late"}) {
		t.Errorf("%q are to be had", bodies)
	}
}

// Within ten minutes a transaction that is repeated with its token has no second effect.
func TestATransactionWhoseTokenHasExpiredIsANewOne(t *testing.T) {
	for name, test := range map[string]struct {
		again   awstest.Fault
		counter string
	}{"in time": {nil, "1"}, "too late": {awstest.TokenExpired, "2"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, table, _, faults := openTable(t)
			faults.Play("TransactWriteItems", awstest.AnswerLost, test.again)
			if err := addInTransaction(t, db, table); err != nil {
				t.Error(err)
			}
			if got := counter(t, db, table); got != test.counter {
				t.Errorf("the counter is %s, not %s", got, test.counter)
			}
		})
	}
}

func addInTransaction(t *testing.T, db *dynamodb.Client, table string) error {
	t.Helper()
	one := addition(table, "1")
	_, err := db.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{Update: &types.Update{
		TableName: one.TableName, Key: one.Key, UpdateExpression: one.UpdateExpression, ExpressionAttributeValues: one.ExpressionAttributeValues,
	}}}})
	return err
}

// A faultyQueue is an empty queue and a client that meets faults.
type faultyQueue struct {
	url    string
	client *sqs.Client
	calls  awstest.Calls
	faults awstest.Faults
}

func openQueue(t *testing.T) *faultyQueue {
	t.Helper()
	q := &faultyQueue{}
	q.url, _ = awstest.Queues(t)
	q.client = awstest.SQS(t, sqs.WithAPIOptions(q.calls.Middleware, q.faults.Middleware), soonSQS)
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
	return q.client.SendMessageBatch(t.Context(), input)
}

// bodies takes all that is on the queue.
func (q *faultyQueue) bodies(t *testing.T) (bodies []string) {
	t.Helper()
	for {
		output, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10})
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

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func codeOf(err error) string {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		return answer.ErrorCode()
	}
	return ""
}
