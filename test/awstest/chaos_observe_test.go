package awstest_test

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"
)

// observe looks at a call before it is made: what it may change, and what it asks of the queue.
func (n *network) observe(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	n.underWay.RLock()
	defer n.underWay.RUnlock()
	switch input := in.Parameters.(type) {
	case *dynamodb.PutItemInput:
		n.touch("list", "stream", textOf(input.Item["pk"]))
	case *dynamodb.UpdateItemInput:
		n.touch("stream", textOf(input.Key["pk"]))
		if changesIndex(input) {
			n.touch("list")
		}
	case *dynamodb.TransactWriteItemsInput:
		n.touch("tally", "stream")
	case *sqs.SendMessageInput:
		n.touch("dead letters")
	case *sqs.ReceiveMessageInput: // of a redrive
		input.WaitTimeSeconds = 0
	case *sqs.SendMessageBatchInput:
		n.touch("queue")
		in.Parameters = n.undelayed(*input)
	case *dynamodb.GetItemInput, *sqs.DeleteMessageBatchInput, *sqs.ChangeMessageVisibilityBatchInput:
		// They change nothing that is read but dead letters, of which show tells.
	default:
		n.report("a call with a %T, of which nobody knows what it changes", input)
	}
	return next.HandleInitialize(ctx, in)
}

// changesIndex reports whether an update names a key of the index by_creation: others do
// not change the list.
func changesIndex(update *dynamodb.UpdateItemInput) bool {
	for _, name := range update.ExpressionAttributeNames {
		if name == "bucket" || name == "created_key" {
			return true
		}
	}
	return false
}

// dueAttribute is where a message says when it is due.
const dueAttribute = "due"

// undelayed is the batch as it goes to the engine: what SQS would keep back for minutes
// comes at once, and says when it is due.
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

// touch notes that something may have changed.
func (n *network) touch(things ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, thing := range things {
		n.touched[thing] = true
	}
}

// fresh reports whether something is as it was when this was last asked.
func (n *network) fresh(thing string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	touched := n.touched[thing]
	delete(n.touched, thing)
	return !touched
}
