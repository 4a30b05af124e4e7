package awstest_test

import (
	"bytes"
	"encoding/json/v2"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"orders/shared/order"
	"orders/test/awstest"
)

// F13, F14, I5, I14: in the middle of a batch the function's time is over, or the work on
// some of its messages panics.
func TestAPartOfABatchThatFailsLeavesItsMatesDone(t *testing.T) {
	for name, fault := range map[string]awstest.Fault{
		"the function's time is over": awstest.Slow(time.Hour),
		"a panic":                     func(*awstest.Attempt) (*smithyhttp.Response, error) { panic("out of range") },
	} {
		t.Run(name, func(t *testing.T) {
			back := make(gate)
			h := openFaulty(t, back.before(awstest.RelayFunction), func(s *awstest.Setup) { s.Timeout = 4 * time.Second })
			h.create(8)
			for range 3 {
				h.faults.Play("UpdateItem", fault)
				h.faults.Play("UpdateItem")
			}
			failed := h.start()
			for id := range h.told {
				if o := h.read(id); (o.Status == order.Pending) != failed[id] {
					t.Errorf("order %s is %s, its message failed: %v", id, o.Status, failed[id])
				}
			}
			if len(failed) != 3 {
				t.Errorf("of three messages that fail, these are to come again: %v", failed)
			}
			close(back)
			h.audit()
		})
	}
}

// start has the processor start all orders in one batch, and returns those whose messages
// are to come again.
func (h *faultyHome) start() map[order.ID]bool {
	h.Helper()
	var messages []events.SQSMessage
	for id := range h.told {
		messages = append(messages, events.SQSMessage{MessageId: string(id), Body: string(order.Message{OrderID: id, To: order.Processing}.Body())})
	}
	answer, err := h.Invoke(h.Context(), awstest.ProcessorFunction, awstest.MessageEvent(h, messages))
	var response events.SQSEventResponse
	if err == nil {
		err = json.Unmarshal(answer, &response)
	}
	if err != nil {
		h.Fatalf("the batch is not answered: %v", err)
	}
	failed := map[order.ID]bool{}
	for _, failure := range response.BatchItemFailures {
		failed[order.ID(failure.ItemIdentifier)] = true
	}
	return failed
}

// F15, I13, I14: messages that can never succeed lie among good ones.
func TestPoisonGoesToTheDeadLetterQueueAtOnceAndItsMatesAreDone(t *testing.T) {
	back := make(gate)
	h := openFaulty(t, back.before(awstest.ProcessorFunction), hiddenFor("3"))
	h.create(6)
	poison := []string{
		"not JSON", `{"order_id":"ORD00000000000000000000000000","to":"Shipped"}`, `{"to":"Processing"}`, `[]`,
		// There is no such order.
		`{"order_id":"ORD00000000000000000000000000","to":"Processing"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing","then":1}`,
	}
	for _, body := range poison {
		h.put(body)
	}
	for id := range h.told { // as a later version may write it: no poison
		h.put(fmt.Sprintf(`{"then":[{"to":1}],"order_id":%q,"to":"Processing"}`, id))
	}
	eventually(t, func() error { return h.waits(6 + len(poison) + 6) })
	h.faults.Play("SendMessage", awstest.NeverArrives)
	h.faults.Play("SendMessage", awstest.Throttled, awstest.Throttled, awstest.Throttled)
	close(back)
	h.audit(poison...)
}

// I4, I14: somebody has damaged the item of one order. Its messages fail, and the record of
// the damage is buried; the orders beside it are worked off.
func TestADamagedOrderHoldsUpNoOther(t *testing.T) {
	back := make(gate)
	h := openFaulty(t, back.before(awstest.RelayFunction))
	h.create(6)
	damaged := slices.Max(slices.Collect(maps.Keys(h.told)))
	if _, err := awstest.DynamoDB(t).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName:                 &h.Table,
		Key:                       map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "ORDER#" + string(damaged)}, "sk": &types.AttributeValueMemberS{Value: "ORDER"}},
		UpdateExpression:          aws.String("SET #status = :lost"),
		ExpressionAttributeNames:  map[string]string{"#status": "status"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":lost": &types.AttributeValueMemberS{Value: "Lost"}},
	}); err != nil {
		t.Fatal(err)
	}
	if failed := h.start(); !maps.Equal(failed, map[order.ID]bool{damaged: true}) {
		t.Errorf("these are to come again: %v", failed)
	}
	close(back)
	delete(h.told, damaged)
	eventually(t, func() error {
		for id := range h.told {
			if o := h.read(id); o.Status != order.Completed {
				return fmt.Errorf("order %s is %s", id, o.Status)
			}
		}
		letters, err := h.DeadLetters(t.Context())
		if len(letters) != 1 || !bytes.Contains(letters[0], []byte(damaged)) {
			return errors.Join(err, fmt.Errorf("the dead letters are %s", letters))
		}
		return err
	})
}

// put puts a body on the queue, past all faults.
func (h *faultyHome) put(body string) {
	h.Helper()
	if _, err := h.queues.SendMessage(h.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(h.QueueURL), MessageBody: &body}); err != nil {
		h.Fatal(err)
	}
}

// deliveries counts the messages that the processor has got for a transition, each
// once.
func (h *faultyHome) deliveries(to order.Status) int {
	h.Helper()
	seen := map[string]bool{}
	for _, message := range h.seen.Messages(h, 0) {
		if m, err := order.ParseMessage([]byte(message.Body)); err == nil && m.To == to {
			seen[message.MessageId] = true
		}
	}
	return len(seen)
}

// waits says what is missing until n messages are on the queue.
func (h *faultyHome) waits(n int) error {
	h.Helper()
	if got := h.onQueue(h.QueueURL); got < n {
		return fmt.Errorf("%d messages are on the queue, not %d", got, n)
	}
	return nil
}
