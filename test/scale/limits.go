package main

import (
	"cmp"
	"io"
	"math"
	"slices"

	"orders/shared/workload"
)

// How long functions run is assumed.
var (
	requestSecs = workload.UsualFunctions.RequestMS / 1000
	batchSecs   = workload.UsualFunctions.BatchMS / 1000
)

const coldStartSecs = 0.250

// The defaults of template.yaml; a test compares.
const (
	throttleRate         = 50
	processorConcurrency = 50
)

// A limit is what AWS, or the template, allows, and what a load needs of it.
type limit struct {
	name   string
	allows float64
	needs  func(design, workload.Load) float64
	source string // a page of AWS's documentation, or template.yaml
	change string // the first thing to change
}

// Pages of AWS's documentation.
const (
	gatewayQuotas  = "[API Gateway account-level quotas](https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)"
	onDemand       = "[DynamoDB on-demand capacity mode](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html)"
	dynamoQuotas   = "[Quotas in DynamoDB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html)"
	partitionKeys  = "[Partition key design](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html)"
	lambdaQuotas   = "[Lambda quotas](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)"
	lambdaScaling  = "[Lambda scaling behavior](https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html)"
	streamPolling  = "[Lambda with DynamoDB](https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html)"
	queueScaling   = "[SQS event source scaling](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)"
	queueQuotas    = "[SQS queue quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html)"
	inTheTemplate  = "[template.yaml](../template.yaml)"
	serviceQuotas  = "Ask for more in Service Quotas"
	warmThroughput = "Set a warm throughput before the load comes"
)

var limits = []limit{
	{"Requests a second that the stage takes", throttleRate, requests, inTheTemplate, "Raise `ThrottleRate` and `ThrottleBurst`"},
	{"Requests a second of the account", 10_000, requests, gatewayQuotas, serviceQuotas + "; then several accounts"},
	{"Executions that one function adds in 10 s, when a load begins at once", 1000, suddenExecutions, lambdaScaling,
		"Let the load grow over a minute, or give the function provisioned concurrency"},
	{"Concurrent executions of the account", 1000, executions, lambdaQuotas, serviceQuotas},
	{"Concurrent processors", processorConcurrency, processors, inTheTemplate, "Raise `ProcessorConcurrency`"},
	{"Concurrent processors of one queue", 1000, processors, queueScaling, "A second queue, chosen by the order's id"},
	{"Messages in flight", 120_000, inFlight, queueQuotas, "A second queue"},
	{"Write units a second of a new table", 4000, tableUnits, onDemand, warmThroughput},
	{"Write units a second of a new index", 4000, indexUnits, onDemand, warmThroughput},
	{"Write units a second of the table", 40_000, tableUnits, dynamoQuotas, serviceQuotas},
	{"Write units a second of the index", 40_000, indexUnits, dynamoQuotas, serviceQuotas},
	{"Write units a second of the index's hottest partition", workload.PartitionUnits, hottestIndexPartition, partitionKeys,
		"Set `IndexBuckets` to 64, and a warm throughput of the index; beyond that, more buckets, which readers must know first"},
	{"Write units a second of the tally's partition", workload.PartitionUnits, tallyUnits, partitionKeys,
		"Let the tally wait longer for a batch (`MaximumBatchingWindowInSeconds`), then more tally items"},
	{"Share of its time that a shard's relay is busy", 1, relayBusy, streamPolling, "Raise the relay's `ParallelizationFactor`"},
	{"Share of its time that a shard's tally is busy", 1, tallyBusy, streamPolling, "Raise `MemorySize`"},
}

func requests(_ design, l workload.Load) float64 { return l.Orders * (1 + l.StatusReads) }

func suddenExecutions(_ design, l workload.Load) float64 { return l.Orders * coldStartSecs }

func executions(d design, l workload.Load) float64 {
	return requests(d, l)*requestSecs + l.Orders*l.PerOrder(l.Batches()).Batches*batchSecs
}

func processors(_ design, l workload.Load) float64 {
	return l.Orders * workload.Messages / l.Batches().Process * batchSecs
}

func inFlight(d design, l workload.Load) float64 { return processors(d, l) * l.Batches().Process }

func tableUnits(_ design, l workload.Load) float64 {
	return l.Orders * (l.PerOrder(l.Batches()).WriteUnits - workload.IndexUnits)
}

func indexUnits(_ design, l workload.Load) float64 { return l.Orders * workload.IndexUnits }

// hottestIndexPartition has the most buckets. DynamoDB splits a partition that stays hot, and
// throttles until it has.
func hottestIndexPartition(d design, l workload.Load) float64 { return hottestOfIndex(d, l, 0.5) }

func hottestOfIndex(d design, l workload.Load, quantile float64) float64 {
	perBucket := indexUnits(d, l) / float64(d.IndexBuckets)
	return perBucket * mostKeys(d.Seed, d.IndexBuckets, int(workload.Partitions(indexUnits(d, l))), quantile)
}

// batchesOfTally is how many a second all shards have together.
func batchesOfTally(l workload.Load) float64 { return l.Orders * workload.Changes / l.Batches().Tally }

// tallyUnits are those in one partition: all tally items have the same partition key.
func tallyUnits(_ design, l workload.Load) float64 { return batchesOfTally(l) * l.TallyUnits() }

func relayBusy(_ design, l workload.Load) float64 {
	return l.Orders * workload.Changes / l.Shards() / l.Batches().Relay * batchSecs
}

func tallyBusy(_ design, l workload.Load) float64 { return batchesOfTally(l) / l.Shards() * batchSecs }

// reached is the least load, in creates a second, that needs more than the limit allows; infinite if
// there is none below ten millions.
func (l limit) reached(d design) float64 {
	for orders := 1.0; orders < 1e7; orders *= 1.01 {
		if l.needs(d, d.load(orders)) > l.allows {
			return orders
		}
	}
	return math.Inf(1)
}

func writeLimits(w io.Writer, d design) {
	head(w, "reached at creates/s", "limit", "allowed", "needed at 1,000/s", "at 10,000/s", "at 100,000/s", "first change", "source")
	at := map[string]float64{}
	for _, l := range limits {
		at[l.name] = l.reached(d)
	}
	sorted := slices.SortedStableFunc(slices.Values(limits), func(a, b limit) int { return cmp.Compare(at[a.name], at[b.name]) })
	for _, l := range sorted {
		cells := []string{number(at[l.name]), l.name, number(l.allows)}
		for _, orders := range loads {
			cells = append(cells, against(l.needs(d, d.load(orders)), l.allows))
		}
		row(w, append(cells, l.change, l.source)...)
	}
}
