// Package workload is a model of what the AWS deployment asks of AWS at a load: the units and
// requests of an order, how full batches are, and how many shards the stream has. The bill
// (ordersctl cost) and the limits (test/scale) are computed from it, so that a change of design is
// written down once.
//
// Tests count the calls and units of an order (cmd/ordersctl). How full batches are is arithmetic
// over what AWS documents, and is not measured on AWS.
package workload

import (
	"cmp"
	"math"
)

// A Load is how many orders are created a second, and what they are like.
type Load struct {
	Orders      float64 // created a second, and processed
	StatusReads float64 // of one order, by its client
	ItemBytes   int     // the size of an order's item when it is created
	TallyItems  int     // the items of the tally; with 0 as many as the code has
}

// An order begins as Pending.
const (
	Changes  = 3 // created, started, completed: each is a record in the stream
	Messages = 2 // start and complete
)

// What one order and one batch take of DynamoDB and SQS.
const (
	// IndexUnits is what a create takes of the index, whose entry has the keys alone. A transition changes no
	// attribute that is in the index.
	IndexUnits = 1
	// A message is sent in a batch. Lambda receives a batch in one request, and deletes it in one.
	sendRequests, receiveRequests = 1, 2

	writeUnitBytes, readUnitBytes = 1 << 10, 4 << 10 // a read is strongly consistent

	// A transition changes the status, and sets a time: the bytes that it adds to the item.
	startBytes    = len("Processing") - len("Pending") + len("started_at") + len("2026-11-22T12:00:00.000Z")
	completeBytes = len("Completed") - len("Processing") + len("completed_at") + len("2026-11-22T12:00:00.000Z")
)

// CreateUnits is how many write units a create takes of the table. The index takes another.
func (l Load) CreateUnits() float64 { return units(l.ItemBytes, writeUnitBytes) }

// TransitionUnits is how many write units the two transitions of an order take together. An update
// takes as many units as the larger of the item before and after.
func (l Load) TransitionUnits() float64 {
	started := l.ItemBytes + startBytes
	return units(started, writeUnitBytes) + units(started+completeBytes, writeUnitBytes)
}

func units(bytes, unit int) float64 { return math.Ceil(float64(bytes) / float64(unit)) }

// A page of the list reads the entries of the index for its ids. The first page reads few buckets for
// them, and the others of all buckets only once it knows that these have orders.
const (
	entryBytes             = 124
	fewBuckets, allBuckets = 16, 64
)

// PageUnits is how many read units the first page of the list takes, which is the most expensive one,
// with so many ids in a full table whose orders are spread over so many buckets.
func PageUnits(ids, indexBuckets int) float64 {
	units := fewBuckets * bucketUnits(ids, fewBuckets)
	if indexBuckets > fewBuckets {
		units += (allBuckets - fewBuckets) * bucketUnits(ids, allBuckets)
	}
	return units
}

// bucketUnits is what a page takes of one of the buckets, from which it reads the mean of a page and
// three standard deviations more, at least 30 entries. The read is eventually consistent.
func bucketUnits(ids, buckets int) float64 {
	mean := float64(ids+1) / float64(buckets)
	entries := max(30, math.Ceil(mean+3*math.Sqrt(mean)))
	return units(int(entries)*entryBytes, readUnitBytes) / 2
}

// A tally item has the counters, and a checkpoint of each shard that it counts, for 48 hours. A shard
// is closed, and followed by another, about every four hours; AWS does not document that.
const (
	tallyItems        = 16
	counterBytes      = 150
	checkpointBytes   = 52
	shardsOfPartition = 48/4 + 1
)

// TallyBytes is the size of a tally item.
func (l Load) TallyBytes() float64 {
	return counterBytes + checkpointBytes*shardsOfPartition*l.Shards()/float64(cmp.Or(l.TallyItems, tallyItems))
}

// TallyUnits is how many write units a batch of the tally takes: it writes one tally item.
func (l Load) TallyUnits() float64 { return units(int(l.TallyBytes()), writeUnitBytes) }

// A Usage is what one order uses of AWS, in the units that AWS bills.
type Usage struct {
	HTTPRequests  float64 // each invokes a function
	Batches       float64 // invocations by stream and queue
	WriteUnits    float64
	ReadUnits     float64
	QueueRequests float64
	MetricBytes   float64 // logged by the processor: how late its orders are
}

// PerOrder is the usage of one order from its creation to its completion, in batches of these sizes.
func (l Load) PerOrder(b Batches) Usage {
	return Usage{
		HTTPRequests:  1 + l.StatusReads,
		Batches:       Changes/b.Relay + Changes/b.Tally + Messages/b.Process,
		WriteUnits:    l.CreateUnits() + IndexUnits + l.TransitionUnits() + l.TallyUnits()*Changes/b.Tally,
		ReadUnits:     l.StatusReads * units(l.ItemBytes+startBytes+completeBytes, readUnitBytes),
		QueueRequests: Messages * (sendRequests/b.Send + receiveRequests/b.Process),
		MetricBytes:   Messages / b.Line * MetricLineBytes(b.Line),
	}
}

// A line of the processor has a metric for the starts that it gathers, if there are any, and one for
// the completions, each with a value for each order. It gathers those of a minute in one environment
// of the function, or a hundred, while none is late.
const (
	lineBytes, metricBytes, valueBytes = 310, 68, 4
	maxLine, lineSecs                  = 100, 60
)

// MetricLineBytes is how long that line is. Half of the messages, at random, are starts.
func MetricLineBytes(messages float64) float64 {
	return lineBytes + metricBytes*2*(1-math.Pow(2, -messages)) + valueBytes*messages
}

// Batches are mean sizes.
type Batches struct {
	Relay   float64 // stream records in one invocation of the relay
	Tally   float64 // stream records in one invocation of the tally
	Send    float64 // messages in one request that sends them
	Process float64 // messages in one invocation of the processor
	Line    float64 // messages in one line of the processor
}

// The largest batches, and the tally's wait for more records, as template.yaml sets them.
const (
	MaxRelayBatch   = 100
	MaxTallyBatch   = 1000
	MaxQueueBatch   = 10
	TallyWindowSecs = 1
)

// What AWS documents of its pollers.
const (
	// Lambda reads a shard four times a second:
	// https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html.
	streamPollSecs = 0.25
	// Lambda begins with five pollers of a queue, and adds more once they are busy:
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html.
	queuePollers = 5
	// How long a poller is busy with a batch: the processor's 40 ms, and a receive.
	queuePollSecs = 0.05
)

// Batches are the batches at a load. A poller takes what has come since it last took something, at
// least one.
func (l Load) Batches() Batches {
	perShard := l.Orders * Changes / l.Shards()
	relay := min(MaxRelayBatch, collected(perShard*streamPollSecs))
	return Batches{
		Relay:   relay,
		Tally:   min(MaxTallyBatch, 1+perShard*TallyWindowSecs),
		Send:    min(MaxQueueBatch, max(1, relay*Messages/Changes)),
		Process: min(MaxQueueBatch, collected(l.Orders*Messages/queuePollers*queuePollSecs)),
		Line:    min(maxLine, collected(l.Orders*Messages/queuePollers*lineSecs)),
	}
}

// collected is how many of the arrivals at random, so many in a time on average, a poller finds
// after that time, if it finds any.
func collected(mean float64) float64 { return mean / -math.Expm1(-mean) }

const (
	// PartitionUnits is how many write units a partition takes in a second:
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html.
	PartitionUnits = 1000
	// A new table on demand takes 4,000 write units a second:
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html.
	newTablePartitions = 4
)

// Shards is how many open shards the stream has: one for each partition of the table.
func (l Load) Shards() float64 { return Partitions(l.Orders * (l.CreateUnits() + l.TransitionUnits())) }

// Partitions is how many partitions a table or an index has after so many write units a second for a
// while: on demand, DynamoDB is ready for twice its previous peak.
func Partitions(perSecond float64) float64 {
	return max(newTablePartitions, math.Ceil(2*perSecond/PartitionUnits))
}
