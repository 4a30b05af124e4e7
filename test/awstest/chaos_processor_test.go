package awstest_test

import (
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/test/awstest"
	"orders/test/chaos"
	"orders/tools/eventsource"
)

var (
	tableCalls = []string{"UpdateItem"}
	queueCalls = []string{"SendMessageBatch", "SendMessage"}
)

// onQueue marks the faults of the processor's calls of SQS, for which it must get as far.
const onQueue = "queue: "

// ofDelivery are those of the calls that follow from a delivery.
var ofDelivery = []string{
	"never arrives, any attempt", "answer lost", "answer lost, every attempt", "made twice", "killed before a call", "killed after a call",
	onQueue + "never arrives, any attempt", onQueue + "answer lost, every attempt", onQueue + "killed before a call", onQueue + "killed after a call",
}

// A bringing says how messages reach the processor. It returns those that are deleted.
type bringing func(messages []held, hand func(...held) []held) (deleted []held)

// brought are the ways that are not as one would like, but as SQS allows itself.
var brought = map[string]bringing{
	"acknowledgement lost": func(messages []held, hand func(...held) []held) []held {
		hand(messages...)
		return nil
	},
	"delivered twice": func(messages []held, hand func(...held) []held) []held {
		hand(messages...)
		return hand(messages...)
	},
	"delivered twice side by side": func(messages []held, hand func(...held) []held) (deleted []held) {
		var other sync.WaitGroup
		other.Go(func() { hand(messages...) })
		deleted = hand(messages...)
		other.Wait()
		return deleted
	},
	"in reversed order": func(messages []held, hand func(...held) []held) (deleted []held) {
		for _, m := range slices.Backward(messages) {
			deleted = append(deleted, hand(m)...)
		}
		return deleted
	},
}

// early brings also what is not due yet.
const early = "before their time"

// workOff brings to the processor what is due. When nothing is, a fault meets what is not
// due yet.
func (h *chaosHome) workOff(fault string) {
	h.bring("processor", fault, func() []held {
		all := h.queue.receive(h)
		due := slices.DeleteFunc(slices.Clone(all), func(m held) bool { return m.due > h.queue.elapsed })
		if fault == early || fault != "" && len(due) == 0 {
			return slices.Clone(all)
		}
		return due
	})
}

// TakesForeign implements chaos.Deployment: anybody may send to the queue.
func (h *chaosHome) TakesForeign() bool { return true }

// Deliver implements chaos.Home. What fails stays on the queue, and comes again.
func (h *chaosHome) Deliver(bodies [][]byte, fault string) {
	h.bring(chaos.Deliver, fault, func() []held { return h.queue.put(bodies) })
}

func (h *chaosHome) bring(doing, fault string, take func() []held) {
	operations := tableCalls
	if strings.HasPrefix(fault, onQueue) {
		operations = queueCalls
	}
	h.under(doing, fault, operations, func(d disturbance) int {
		var mu sync.Mutex
		total := 0
		hand := func(messages ...held) []held {
			mu.Lock()
			total += len(messages)
			mu.Unlock()
			return h.hand(messages, d)
		}
		messages := take()
		if how := brought[fault]; how != nil {
			h.queue.remove(h, how(messages, hand))
		} else {
			h.queue.remove(h, hand(messages...))
		}
		return total
	})
}

// hand invokes the processor with messages, up to ten at a time, and returns those that
// it is done with.
func (h *chaosHome) hand(messages []held, d disturbance) (done []held) {
	for some := range slices.Chunk(messages, eventsource.ProcessorBatch) {
		batch := eventsource.Messages{QueueARN: h.queue.arn}
		for _, m := range some {
			batch.Received = append(batch.Received, m.Message)
		}
		event, err := batch.Event()
		if err != nil {
			h.network.report("%v", err)
			return done
		}
		var finished []types.Message
		answered, err := h.invoke(awstest.ProcessorFunction, event, d)
		if err == nil {
			finished, err = batch.Done(answered)
		}
		if !d.fails && (err != nil || len(finished) < len(some)) {
			h.network.report("%d of %d messages are done: %s, %v", len(finished), len(some), answered, err)
		}
		for _, m := range some {
			if slices.ContainsFunc(finished, func(f types.Message) bool { return *f.MessageId == *m.MessageId }) {
				done = append(done, m)
			}
		}
	}
	return done
}
