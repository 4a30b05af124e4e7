package awstest_test

import (
	"context"
	"encoding/json/v2"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/awstest"
	"orders/shared/bridge"
	"orders/shared/ordertest"
)

// The home on AWS keeps what the embedded one keeps. Homes are open side by side,
// because most of their time is waiting.
func TestConformance(t *testing.T) {
	ordertest.Run(t, func(t *testing.T) ordertest.Home {
		t.Parallel()
		return awstest.OpenHome(t).Home
	})
}

// It keeps all of it, too, while batches of the stream come again whole and in
// part, messages come twice, and every fifth write of the functions is lost on
// its way or loses its answer, with nobody to try it again but the mappings.
func TestConformanceUnderFaults(t *testing.T) {
	ordertest.Run(t, func(t *testing.T) ordertest.Home {
		t.Parallel()
		return awstest.OpenHome(t, unreliable).Home
	})
}

func unreliable(setup *awstest.Setup) {
	var faults awstest.Faults
	for range 1000 {
		for _, operation := range []string{"UpdateItem", "TransactWriteItems", "SendMessageBatch"} {
			faults.Play(operation, nil, nil, nil, nil, awstest.NeverArrives, nil, nil, nil, nil, awstest.AnswerLost)
		}
	}
	setup.DynamoDB = append(setup.DynamoDB, dynamodb.WithAPIOptions(faults.Middleware), func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} })
	setup.SQS = append(setup.SQS, sqs.WithAPIOptions(faults.Middleware), func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} })
	setup.Queue = func(attributes map[string]string) { attributes["VisibilityTimeout"] = "1" }
	setup.Between = repeating
}

// repeating hands over every other event that was worked off again, whole, and
// then from its second record on.
func repeating(invoke bridge.Invoke) bridge.Invoke {
	var calls atomic.Int64
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		answer, err := invoke(ctx, function, event)
		if calls.Add(1)%2 == 0 && err == nil {
			_, _ = invoke(ctx, function, event) // what comes of it is for the suite to see
			_, _ = invoke(ctx, function, withoutFirst(event))
		}
		return answer, err
	}
}

// withoutFirst is an event without its first record, if it has more than one.
func withoutFirst(event []byte) []byte {
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		return event
	}
	if records, _ := e["Records"].([]any); len(records) > 1 {
		e["Records"] = records[1:]
	}
	shorter, err := json.Marshal(e)
	if err != nil {
		return event
	}
	return shorter
}
