package awstest_test

import (
	"context"
	"encoding/json/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/test/awstest"
	"orders/test/conformance"
	"orders/tools/eventsource"
)

// The tests run concurrently, because most of their time is waiting.
func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T, external bool) conformance.Harness {
		t.Parallel()
		return awstest.OpenDeployment(t, fulfilledBy(external)).Harness
	})
}

// F6, F8, F11, F17, F18: the suite also passes while batches of the stream come again whole and in
// part, messages come twice, and writes of the functions never arrive or lose their response. The
// SDK retries nothing; only the event source does.
func TestConformanceUnderFaults(t *testing.T) {
	net := unreliable{met: map[string]*atomic.Int64{}}
	for operation := range faultEvery {
		net.met[operation+" never arrives"], net.met[operation+" loses its response"] = new(atomic.Int64), new(atomic.Int64)
	}
	t.Cleanup(func() { // after the parallel tests
		for fault, times := range net.met {
			t.Logf("%s: %d times", fault, times.Load())
			if times.Load() == 0 {
				t.Errorf("no %s in the whole suite", fault)
			}
		}
	})
	conformance.Run(t, func(t *testing.T, external bool) conformance.Harness {
		t.Parallel()
		return awstest.OpenDeployment(t, net.disturb, fulfilledBy(external)).Harness
	})
}

func fulfilledBy(external bool) func(*awstest.Setup) {
	return func(s *awstest.Setup) {
		s.Fulfilment.External, s.Fulfilment.AttemptTimeout, s.Fulfilment.MaxAttempts = external, 5*time.Second, 2
	}
}

// faultEvery says which share of the calls of an operation meets a fault: one in so many. A batch of
// the relay is ten concurrent calls, so fewer of them fail.
var faultEvery = map[string]int{"UpdateItem": 10, "SendMessageBatch": 20}

// An unreliable network counts the faults that calls have met.
type unreliable struct{ met map[string]*atomic.Int64 }

// counted counts the attempts that meet a fault.
func (u unreliable) counted(name string, fault awstest.Fault) awstest.Fault {
	return fault.Told(func() { u.met[name].Add(1) })
}

func (u unreliable) disturb(setup *awstest.Setup) {
	var faults awstest.Faults
	for operation, every := range faultEvery {
		for call := range 5000 {
			switch call % (2 * every) {
			case 1: // the second one, so that tests with few orders meet it, too
				faults.Play(operation, u.counted(operation+" never arrives", awstest.NeverArrives))
			case every + 1:
				faults.Play(operation, u.counted(operation+" loses its response", awstest.ResponseLost))
			default:
				faults.Play(operation)
			}
		}
	}
	setup.DynamoDB = append(setup.DynamoDB, dynamodb.WithAPIOptions(faults.Middleware), func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} })
	setup.SQS = append(setup.SQS, sqs.WithAPIOptions(faults.Middleware), func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} })
	setup.Queue = func(attributes map[string]string) { attributes["VisibilityTimeout"] = "1" }
	setup.Between = repeating
}

// repeating passes every third event to the function again after it succeeded: whole, and then from
// its second record on.
func repeating(invoke eventsource.Invoke) eventsource.Invoke {
	var calls atomic.Int64
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		response, err := invoke(ctx, function, event)
		if calls.Add(1)%3 == 0 && err == nil {
			_, _ = invoke(ctx, function, event) // the suite checks the effect
			_, _ = invoke(ctx, function, withoutFirst(event))
		}
		return response, err
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
