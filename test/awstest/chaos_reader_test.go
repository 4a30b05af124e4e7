package awstest_test

import (
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"orders/test/awstest"
	"orders/tools/eventsource"
)

// A reader is the mapping that brings the stream to the relay or the tally.
type reader struct {
	*chaosHome
	name, function string
	operations     []string
	batch          int
	windowed       bool
	done           int // of the stream's records
}

func newRelay(h *chaosHome) *reader {
	return &reader{
		chaosHome: h, name: "relay", function: awstest.RelayFunction, batch: eventsource.RelayBatch,
		operations: queueCalls,
	}
}

func newTally(h *chaosHome) *reader {
	return &reader{
		chaosHome: h, name: "tally", function: awstest.TallyFunction, batch: eventsource.TallyBatch,
		operations: []string{"TransactWriteItems"}, windowed: true,
	}
}

// A reading says how records reach a function: those from one on, that are not
// acknowledged before from. It returns how many of them are acknowledged.
type reading func(from int, records []types.Record, hand func([]types.Record) int) (done int)

func plainly(from int, records []types.Record, hand func([]types.Record) int) int {
	return from + hand(records[from:])
}

// read are the readings that are not as they should be, but as Lambda allows itself.
var read = map[string]reading{
	"acknowledgement lost": func(from int, records []types.Record, hand func([]types.Record) int) int {
		hand(records[from:])
		return from
	},
	"comes again, whole": func(from int, records []types.Record, hand func([]types.Record) int) int {
		done := hand(records[from:])
		hand(records[from:])
		return from + done
	},
	"comes again, in part": func(from int, records []types.Record, hand func([]types.Record) int) int {
		done := hand(records[from:])
		hand(records[(from+len(records))/2:])
		return from + done
	},
	"comes in two parts that overlap": func(from int, records []types.Record, hand func([]types.Record) int) int {
		third := (len(records) - from + 2) / 3
		hand(records[from : len(records)-third])
		start := max(from-third, 0)
		return start + hand(records[start:])
	},
	"comes with records that were acknowledged": func(from int, records []types.Record, hand func([]types.Record) int) int {
		start := max(from-3, 0)
		return start + hand(records[start:])
	},
	"begins again at the oldest record": func(_ int, records []types.Record, hand func([]types.Record) int) int {
		return hand(records)
	},
	"comes twice side by side": func(from int, records []types.Record, hand func([]types.Record) int) (done int) {
		var other sync.WaitGroup
		other.Go(func() { hand(records[from:]) })
		done = hand(records[from:])
		other.Wait()
		return from + done
	},
}

// work is one invocation of the function with what is new in the stream, or as the fault says.
func (r *reader) work(fault string) {
	r.under(r.name, fault, r.operations, func(d disturbance) int {
		var handed sync.Mutex
		total := 0
		hand := func(records []types.Record) int {
			handed.Lock()
			total += len(records)
			handed.Unlock()
			return r.hand(records, d)
		}
		records := r.stream.read(r)
		from := r.done
		if from == len(records) && fault != "" {
			from = max(from-3, 0) // what comes again can meet a fault, too
		}
		how := read[fault]
		if how == nil {
			how = plainly
		}
		r.done = max(r.done, how(from, records, hand))
		return total
	})
}

// hand invokes the function and returns how many of the records it is done with.
func (r *reader) hand(records []types.Record, d disturbance) (done int) {
	batch := r.batchOf(records)
	if len(batch.Records) == 0 {
		return len(records)
	}
	event, err := batch.Event()
	if err != nil {
		r.network.report("%v", err)
		return 0
	}
	answered, err := r.invoke(r.function, event, d)
	if err == nil {
		done, _, err = batch.Done(answered)
	}
	if !d.fails && (err != nil || done < len(batch.Records)) {
		r.network.report("%d of %d records are done: %s, %v", done, len(batch.Records), answered, err)
	}
	if done == len(batch.Records) {
		return len(records)
	}
	return slices.IndexFunc(records, func(s types.Record) bool {
		return s.Dynamodb.SequenceNumber == batch.Records[done].Dynamodb.SequenceNumber
	})
}

// batchOf is what the mapping's filter lets through.
func (r *reader) batchOf(records []types.Record) eventsource.Batch {
	batch := eventsource.Batch{StreamARN: r.stream.arn, Shard: r.stream.shard}
	for _, record := range records {
		if ofOrder(record) {
			batch.Records = append(batch.Records, record)
		}
	}
	if r.windowed {
		batch.Window = &eventsource.Window{Start: r.now.Truncate(eventsource.TallyWindow), Length: eventsource.TallyWindow}
	}
	return batch
}
