package awstest_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"orders/test/awstest"
)

// A network is between the functions and AWS. It injects faults, counts calls, and knows what may
// have changed.
type network struct {
	// due turns a message's delay into its time on the queue's clock.
	due    func(delay time.Duration) time.Duration
	faults atomic.Pointer[awstest.Faults]
	met    atomic.Bool
	calls  awstest.Calls
	// inFlight is held by each call, shared, so that a step can wait for the calls of a function
	// that has run out of time.
	inFlight sync.RWMutex

	mu      sync.Mutex
	touched map[string]bool
	wrong   string // the first report
}

// report keeps the first error, from any goroutine.
func (n *network) report(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wrong == "" {
		n.wrong = fmt.Sprintf(format, args...)
	}
}

// begin makes calls of operations meet a disturbance until end.
func (n *network) begin(d disturbance, operations []string) {
	var faults awstest.Faults
	attempts := make([]awstest.Fault, len(d.attempts))
	for i, fault := range d.attempts {
		attempts[i] = fault.Told(func() { n.met.Store(true) })
	}
	for _, operation := range operations {
		for range 20 { // more calls than any step makes
			faults.Play(operation, attempts...)
			faults.Play(operation)
		}
	}
	n.met.Store(false)
	n.faults.Store(&faults)
}

// end reports whether a call has met the disturbance. It checks the number of attempts (I16): a
// call has three attempts, a draft, a message or a record causes at most two calls of an operation,
// a transition that others come before is tried five times, and a batch of the tally causes at most
// two more, for the first version's checkpoint and expired ones.
func (n *network) end(handed int) (met bool) {
	n.inFlight.Lock()
	n.faults.Store(&awstest.Faults{})
	n.inFlight.Unlock()
	for operation, attempts := range n.calls.Take().Calls {
		tries := 2
		if operation == "UpdateItem" || operation == "GetItem" {
			tries = 5
		}
		most := 3 * tries * (handed + 1)
		if attempts > most {
			n.report("%d attempts of %s for %d records, messages or drafts", attempts, operation, handed)
		}
	}
	return n.met.Load()
}

// Middleware puts the network into a client.
func (n *network) Middleware(stack *middleware.Stack) error {
	observe := middleware.InitializeMiddlewareFunc("Observe", n.observe)
	if err := stack.Initialize.Add(observe, middleware.After); err != nil {
		return err
	}
	if err := n.calls.Middleware(stack); err != nil {
		return err
	}
	if err := n.faults.Load().Middleware(stack); err != nil {
		return err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("SeeThrough", seeThrough), middleware.After)
}

// seeThrough completes an attempt that has been sent, also when the time of its function is over: no
// step leaves a call in flight.
func seeThrough(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	if err := ctx.Err(); err != nil {
		return middleware.DeserializeOutput{}, middleware.Metadata{}, &smithy.CanceledError{Err: err}
	}
	return next.HandleDeserialize(context.WithoutCancel(ctx), in)
}

// observe records what a call may change, and takes the delay off messages.
func (n *network) observe(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	n.inFlight.RLock()
	defer n.inFlight.RUnlock()
	switch input := in.Parameters.(type) {
	case *dynamodb.PutItemInput:
		n.touch("list", "stream", textOf(input.Item["pk"]))
	case *dynamodb.UpdateItemInput:
		n.touch("stream", textOf(input.Key["pk"]))
		if changesIndex(input) {
			n.touch("list")
		}
	case *sqs.SendMessageInput:
		n.touch("dead letters")
	case *sqs.ReceiveMessageInput: // of a redrive
		input.WaitTimeSeconds = 0
	case *sqs.SendMessageBatchInput:
		n.touch("queue")
		in.Parameters = n.undelayed(*input)
	case *dynamodb.GetItemInput, *sqs.DeleteMessageBatchInput, *sqs.ChangeMessageVisibilityBatchInput:
		// They change nothing that is read but dead letters, which show touches.
	default:
		n.report("a call with a %T: observe does not know what it changes", input)
	}
	return next.HandleInitialize(ctx, in)
}

// changesIndex reports whether an update names a key of the index by_creation. Only such an update
// changes the list.
func changesIndex(update *dynamodb.UpdateItemInput) bool {
	for _, name := range update.ExpressionAttributeNames {
		if name == "bucket" || name == "created_key" {
			return true
		}
	}
	return false
}

// dueAttribute is the message attribute with the time when the message is due.
const dueAttribute = "due"

// undelayed is the batch as the engine gets it: without delays, but with the time when each message
// is due.
func (n *network) undelayed(batch sqs.SendMessageBatchInput) *sqs.SendMessageBatchInput {
	entries := make([]sqstypes.SendMessageBatchRequestEntry, len(batch.Entries))
	for i, entry := range batch.Entries {
		delay := time.Duration(entry.DelaySeconds) * time.Second
		if delay < 0 || delay > 15*time.Minute {
			n.report("a message is delayed by %s, which SQS refuses", delay)
		}
		entry.DelaySeconds = 0
		entry.MessageAttributes = map[string]sqstypes.MessageAttributeValue{dueAttribute: {
			DataType: aws.String("Number"), StringValue: aws.String(strconv.FormatInt(n.due(delay).Milliseconds(), 10)),
		}}
		entries[i] = entry
	}
	batch.Entries = entries
	return &batch
}

func textOf(value types.AttributeValue) string {
	s, ok := value.(*types.AttributeValueMemberS)
	if !ok {
		return ""
	}
	return s.Value
}

// touch records that things may have changed.
func (n *network) touch(things ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, thing := range things {
		n.touched[thing] = true
	}
}

// fresh reports whether nothing has touched a thing since the last call of fresh for it.
func (n *network) fresh(thing string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	touched := n.touched[thing]
	delete(n.touched, thing)
	return !touched
}
