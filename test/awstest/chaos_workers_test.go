package awstest_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/sqsqueue"
	"orders/test/awstest"
	"orders/test/chaos"
	"orders/tools/eventsource"
)

// A reader is the event source mapping that passes the stream to the relay or the tally.
type reader struct {
	*chaosDeployment
	name, function string
	operations     []string
	batch          int
	windowed       bool
	done           int // of the stream's records
}

func newRelay(h *chaosDeployment) *reader {
	return &reader{
		chaosDeployment: h, name: "relay", function: awstest.RelayFunction, batch: eventsource.RelayBatch,
		operations: queueCalls,
	}
}

func newTally(h *chaosDeployment) *reader {
	return &reader{
		chaosDeployment: h, name: "tally", function: awstest.TallyFunction, batch: eventsource.TallyBatch,
		operations: tableCalls, windowed: true,
	}
}

// A reading passes records to a function. Those before the index from are acknowledged. It returns
// how many records are acknowledged then.
type reading func(from int, records []streamtypes.Record, hand func([]streamtypes.Record) int) (done int)

func plainly(from int, records []streamtypes.Record, hand func([]streamtypes.Record) int) int {
	return from + hand(records[from:])
}

// read are the unusual readings that Lambda allows itself.
var read = map[string]reading{
	"acknowledgement lost": func(from int, records []streamtypes.Record, hand func([]streamtypes.Record) int) int {
		hand(records[from:])
		return from
	},
	"comes again, whole": func(from int, records []streamtypes.Record, hand func([]streamtypes.Record) int) int {
		done := hand(records[from:])
		hand(records[from:])
		return from + done
	},
	"comes again, in part": func(from int, records []streamtypes.Record, hand func([]streamtypes.Record) int) int {
		done := hand(records[from:])
		hand(records[(from+len(records))/2:])
		return from + done
	},
	"comes in two parts that overlap": func(from int, records []streamtypes.Record, hand func([]streamtypes.Record) int) int {
		third := (len(records) - from + 2) / 3
		hand(records[from : len(records)-third])
		start := max(from-third, 0)
		return start + hand(records[start:])
	},
	"comes with records that were acknowledged": func(from int, records []streamtypes.Record, hand func([]streamtypes.Record) int) int {
		start := max(from-3, 0)
		return start + hand(records[start:])
	},
	"begins again at the oldest record": func(_ int, records []streamtypes.Record, hand func([]streamtypes.Record) int) int {
		return hand(records)
	},
	"comes twice concurrently": func(from int, records []streamtypes.Record, hand func([]streamtypes.Record) int) (done int) {
		var other sync.WaitGroup
		other.Go(func() { hand(records[from:]) })
		done = hand(records[from:])
		other.Wait()
		return from + done
	},
}

// work invokes the function with the new records of the stream, or as the fault says.
func (r *reader) work(fault string) {
	r.under(r.name, fault, r.operations, func(d disturbance) int {
		var handed sync.Mutex
		total := 0
		hand := func(records []streamtypes.Record) int {
			handed.Lock()
			total += len(records)
			handed.Unlock()
			return r.hand(records, d)
		}
		records := r.stream.read(r)
		from := r.done
		if from == len(records) && fault != "" {
			from = max(from-3, 0) // a record that comes again can meet a fault, too
		}
		how := read[fault]
		if how == nil {
			how = plainly
		}
		r.done = max(r.done, how(from, records, hand))
		return total
	})
}

// hand invokes the function and returns how many of the records it has acknowledged.
func (r *reader) hand(records []streamtypes.Record, d disturbance) (done int) {
	batch := r.batchOf(records)
	if len(batch.Records) == 0 {
		return len(records)
	}
	event, err := batch.Event()
	if err != nil {
		r.network.report("%v", err)
		return 0
	}
	response, err := r.invoke(r.function, event, d)
	if err == nil {
		done, err = batch.Done(response)
	}
	if !d.fails && (err != nil || done < len(batch.Records)) {
		r.network.report("%d of %d records are done: %s, %v", done, len(batch.Records), response, err)
	}
	if done == len(batch.Records) {
		return len(records)
	}
	return slices.IndexFunc(records, func(s streamtypes.Record) bool {
		return s.Dynamodb.SequenceNumber == batch.Records[done].Dynamodb.SequenceNumber
	})
}

// batchOf has the records that pass the mapping's filter.
func (r *reader) batchOf(records []streamtypes.Record) eventsource.Batch {
	batch := eventsource.Batch{StreamARN: r.stream.arn, Shard: r.stream.shard}
	for _, record := range records {
		if ofOrder(record) {
			batch.Records = append(batch.Records, record)
		}
	}
	if r.windowed {
		batch.Window = eventsource.TallyWindow
	}
	return batch
}

var (
	tableCalls = []string{"UpdateItem", "GetItem"}
	queueCalls = []string{"SendMessageBatch", "SendMessage"}
)

// onQueue marks the faults of the processor's calls of SQS, not of DynamoDB.
const onQueue = "queue: "

// ofDelivery are the faults of the calls that follow from a delivery.
var ofDelivery = []string{
	"never arrives, any attempt", "response lost", "response lost, every attempt", "made twice", "killed before a call", "killed after a call",
	onQueue + "never arrives, any attempt", onQueue + "response lost, every attempt", onQueue + "killed before a call", onQueue + "killed after a call",
}

// A delivery passes messages to the processor. It returns those to delete.
type delivery func(messages []held, hand func(...held) []held) (deleted []held)

// delivered are the unusual deliveries that SQS allows itself.
var delivered = map[string]delivery{
	"acknowledgement lost": func(messages []held, hand func(...held) []held) []held {
		hand(messages...)
		return nil
	},
	"delivered twice": func(messages []held, hand func(...held) []held) []held {
		hand(messages...)
		return hand(messages...)
	},
	"delivered twice concurrently": func(messages []held, hand func(...held) []held) (deleted []held) {
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

// early also delivers messages that are not due yet.
const early = "before their time"

// process delivers the messages that are due to the processor. When none is, a fault meets the
// others.
func (h *chaosDeployment) process(fault string) {
	h.deliver("processor", fault, func() []held {
		due := h.due()
		if fault == early || fault != "" && len(due) == 0 {
			return slices.Clone(h.queue.receive(h))
		}
		return due
	})
}

// due are the messages that SQS delivers now.
func (h *chaosDeployment) due() []held {
	return slices.DeleteFunc(slices.Clone(h.queue.receive(h)), func(m held) bool { return m.due > h.queue.elapsed })
}

// TakesForeign implements chaos.Deployment: anybody may send to the queue.
func (h *chaosDeployment) TakesForeign() bool { return true }

// Deliver implements chaos.Deployment. A message that fails stays in the queue, and comes again.
func (h *chaosDeployment) Deliver(bodies [][]byte, fault string) {
	h.deliver(chaos.Deliver, fault, func() []held { return h.queue.put(bodies) })
}

func (h *chaosDeployment) deliver(doing, fault string, take func() []held) {
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
		if how := delivered[fault]; how != nil {
			h.queue.remove(h, how(messages, hand))
		} else {
			h.queue.remove(h, hand(messages...))
		}
		return total
	})
}

// hand invokes the processor with messages, up to ten at a time, and returns those that it has
// acknowledged.
func (h *chaosDeployment) hand(messages []held, d disturbance) (done []held) {
	for some := range slices.Chunk(messages, eventsource.ProcessorBatch) {
		batch := eventsource.Messages{QueueARN: awstest.QueueARN(h.queue.url)}
		for _, m := range some {
			batch.Received = append(batch.Received, m.Message)
		}
		event, err := batch.Event()
		if err != nil {
			h.network.report("%v", err)
			return done
		}
		var finished []sqstypes.Message
		response, err := h.invoke(awstest.ProcessorFunction, event, d)
		if err == nil {
			finished, err = batch.Done(response)
		}
		if !d.fails && (err != nil || len(finished) < len(some)) {
			h.network.report("%d of %d messages are done: %s, %v", len(finished), len(some), response, err)
		}
		for _, m := range some {
			if slices.ContainsFunc(finished, func(f sqstypes.Message) bool { return *f.MessageId == *m.MessageId }) {
				done = append(done, m)
			}
		}
	}
	return done
}

// ofRedrive are the faults of moving messages.
var ofRedrive = []string{"never arrives, any attempt", "response lost, every attempt", "made twice"}

// redrive moves all dead letters back to the queue, as an operator does, and processes them. When
// that fails, it tries once more.
func (h *chaosDeployment) redrive(fault string) {
	failed := false
	h.under("redrive", fault, []string{"SendMessageBatch"}, func(d disturbance) int {
		n := len(h.dead.read(h))
		if err := h.redriveOnce(); err != nil {
			failed = true
			if !d.fails {
				h.network.report("%v", err)
			}
		}
		return n
	})
	if failed {
		h.redrive("")
	}
	h.process("")
}

func (h *chaosDeployment) redriveOnce() error {
	h.dead.show(h)
	_, err := sqsqueue.Redrive{
		Client: h.functions.SQS, URL: h.functions.QueueURL, DeadLetterURL: h.functions.DeadLetterURL,
		Began: time.Now().Add(time.Hour), Now: time.Now,
	}.Run(context.WithoutCancel(h.Context()))
	return err
}
