package awstest_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/order"
	"orders/test/chaos"
)

// A queue holds the messages of the real one, which are hidden there, until they are due
// on a clock that the home moves, and then until they are deleted.
type queue struct {
	client   *sqs.Client
	network  *network
	url, arn string
	elapsed  time.Duration
	held     []held
	brought  int // of messages that are not in the real queue
}

type held struct {
	types.Message
	due time.Duration // on the queue's clock
}

func (q *queue) due(delay time.Duration) time.Duration { return q.elapsed + delay }

// receive returns all messages that are on the queue, in the order in which they are due.
func (q *queue) receive(t chaos.T) []held {
	if q.network.fresh("queue") {
		return q.held
	}
	for _, m := range receive(t, q.client, q.url) {
		due := q.elapsed
		if said := m.MessageAttributes[dueAttribute].StringValue; said != nil {
			millis, err := strconv.ParseInt(*said, 10, 64)
			if err != nil {
				t.Fatalf("a message is due at %q", *said)
			}
			due = time.Duration(millis) * time.Millisecond
		}
		q.held = append(q.held, held{m, due})
	}
	slices.SortStableFunc(q.held, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.due, b.due), strings.Compare(*a.Body, *b.Body))
	})
	return q.held
}

// put holds messages as if they had come by the real queue.
func (q *queue) put(bodies [][]byte) (brought []held) {
	for _, body := range bodies {
		q.brought++
		brought = append(brought, held{types.Message{
			MessageId: aws.String(fmt.Sprint("brought-", q.brought)), Body: aws.String(string(body)),
		}, q.elapsed})
	}
	q.held = append(q.held, brought...)
	return brought
}

// remove deletes messages.
func (q *queue) remove(t chaos.T, messages []held) {
	ids := map[string]bool{}
	for _, m := range messages {
		ids[*m.MessageId] = true
	}
	var entries []types.DeleteMessageBatchRequestEntry
	q.held = slices.DeleteFunc(q.held, func(m held) bool {
		gone := ids[*m.MessageId]
		if gone && m.ReceiptHandle != nil {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(len(entries))), ReceiptHandle: m.ReceiptHandle})
		}
		return gone
	})
	for batch := range slices.Chunk(entries, 10) {
		output, err := q.client.DeleteMessageBatch(context.WithoutCancel(t.Context()), &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: batch})
		if err != nil || len(output.Failed) > 0 {
			t.Fatalf("delete messages: %+v, %v", output, err)
		}
	}
}

// holds reports whether there is a message for an order.
func (q *queue) holds(t chaos.T, id order.ID) bool {
	return slices.ContainsFunc(q.receive(t), func(m held) bool {
		message, err := order.ParseMessage([]byte(*m.Body))
		return err == nil && message.OrderID == id
	})
}

// deadLetters are the messages of the dead-letter queue, which are hidden there.
type deadLetters struct {
	client  *sqs.Client
	network *network
	url     string
	held    []types.Message
}

func (d *deadLetters) read(t chaos.T) []types.Message {
	if !d.network.fresh("dead letters") {
		d.held = append(d.held, receive(t, d.client, d.url)...)
	}
	return d.held
}

// show makes the messages visible again, for somebody else to read.
func (d *deadLetters) show(t chaos.T) {
	for batch := range slices.Chunk(d.read(t), 10) {
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i, m := range batch {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
			})
		}
		output, err := d.client.ChangeMessageVisibilityBatch(context.WithoutCancel(t.Context()), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &d.url, Entries: entries})
		if err != nil || len(output.Failed) > 0 {
			t.Fatalf("show messages: %+v, %v", output, err)
		}
	}
	d.held = nil
	d.network.touch("dead letters")
}
