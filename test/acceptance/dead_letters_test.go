package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	domain "orders/shared/order"
)

func TestAMessageThatCanNeverSucceedIsDeadLetteredAndCanBeRedriven(t *testing.T) { // I5, I13
	d := open(t)
	q := openQueues(d)
	key := unique("late")
	id := domain.KeyedID("", key) // of an order that does not exist yet
	unknown := string(domain.Message{OrderID: id, To: domain.Processing}.Body())
	nonsense := unique("no message")
	q.send(unknown)
	q.send(nonsense)
	d.eventually(func() error { return q.checkDeadLetters(nonsense, unknown) })

	d.create(plain, key)
	o := d.await(string(id))
	q.redrive()
	d.eventually(func() error {
		if err := q.checkDeadLetters(nonsense); err != nil {
			return err
		}
		return q.checkEmpty()
	})
	if again := d.order(string(id)); !again.StartedAt.Equal(o.StartedAt) || !again.CompletedAt.Equal(o.CompletedAt) {
		t.Errorf("a redriven message has changed the order %+v to %+v", o, again)
	}
	q.remove(nonsense)
}

// queues are the queue and its dead-letter queue.
type queues struct {
	*deployment
	client             *sqs.Client
	url, deadLetterURL string
}

func openQueues(d *deployment) *queues {
	d.Helper()
	cfg, err := config.LoadDefaultConfig(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	return &queues{d, sqs.NewFromConfig(cfg), os.Getenv("ORDERS_QUEUE_URL"), os.Getenv("DEAD_LETTER_QUEUE_URL")}
}

func (q *queues) send(body string) {
	q.Helper()
	if _, err := q.client.SendMessage(q.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body}); err != nil {
		q.Fatal(err)
	}
}

// deadLetters reads the dead-letter queue, and leaves the messages there.
func (q *queues) deadLetters() []types.Message {
	q.Helper()
	received, err := q.client.ReceiveMessage(q.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &q.deadLetterURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
	})
	if err != nil {
		q.Fatal(err)
	}
	for _, m := range received.Messages {
		_, err := q.client.ChangeMessageVisibility(q.Context(), &sqs.ChangeMessageVisibilityInput{
			QueueUrl: &q.deadLetterURL, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
		})
		if err != nil {
			q.Fatal(err)
		}
	}
	return received.Messages
}

// checkDeadLetters returns an error unless these bodies are in the dead-letter queue, and no others.
// One may be there twice: a call whose response was lost is made again, and SQS delivers at least once.
func (q *queues) checkDeadLetters(want ...string) error {
	q.Helper()
	var got []string
	for _, m := range q.deadLetters() {
		got = append(got, *m.Body)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(slices.Compact(got), want) {
		return fmt.Errorf("the dead letters are %q, not %q", got, want)
	}
	return nil
}

// checkEmpty returns an error unless the queue is empty.
func (q *queues) checkEmpty() error {
	q.Helper()
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	read, err := q.client.GetQueueAttributes(q.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: names})
	if err != nil {
		q.Fatal(err)
	}
	for _, name := range names {
		if n := read.Attributes[string(name)]; n != "0" {
			return fmt.Errorf("%s is %s", name, n)
		}
	}
	return nil
}

// redrive moves the dead letters back to the queue as an operator does.
func (q *queues) redrive() {
	q.Helper()
	output, err := exec.CommandContext(q.Context(), "go", "run", "orders/cmd/ordersctl", "redrive").CombinedOutput()
	q.Logf("ordersctl redrive: %s", output)
	if err != nil {
		q.Fatal(err)
	}
}

// remove takes a body out of the dead-letter queue.
func (q *queues) remove(body string) {
	q.Helper()
	for _, m := range q.deadLetters() {
		if *m.Body != body {
			continue
		}
		_, err := q.client.DeleteMessage(q.Context(), &sqs.DeleteMessageInput{QueueUrl: &q.deadLetterURL, ReceiptHandle: m.ReceiptHandle})
		if err != nil {
			q.Fatal(err)
		}
	}
}
