package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"orders/shared/workload"
)

const draws = 1000

// mostKeys is how many keys the partition with the most has, in so much of the draws: 0.5 for the
// median. DynamoDB chooses a key's partition by a hash that it does not document, so each draw is as
// good as another.
func mostKeys(seed uint64, keys, partitions int, quantile float64) float64 {
	random := rand.New(rand.NewPCG(seed, uint64(keys)<<32|uint64(partitions)))
	most := make([]int, draws)
	for n := range most {
		counts := make([]int, partitions)
		for range keys {
			counts[random.IntN(partitions)]++
		}
		most[n] = slices.Max(counts)
	}
	slices.Sort(most)
	return float64(most[int(draws*quantile)])
}

// writeIndex shows how many buckets bear a load.
func writeIndex(w io.Writer, d design) {
	orders := []float64{1_000, 2_000, 5_000, 10_000, 20_000, 40_000}
	cells := []string{"buckets", "units of an empty page"}
	for _, n := range orders {
		cells = append(cells, number(n)+"/s")
	}
	head(w, cells...)
	for _, buckets := range []int{16, 32, 64, 128, 256} {
		d.IndexBuckets = buckets
		cells := []string{fmt.Sprint(buckets), number(float64(buckets) / 2)}
		for _, n := range orders {
			half, most := hottestOfIndex(d, d.load(n), 0.5), hottestOfIndex(d, d.load(n), 0.95)
			cells = append(cells, against(half, workload.PartitionUnits)+" to "+against(most, workload.PartitionUnits))
		}
		row(w, cells...)
	}
}

// writeTally shows how the tally grows with the shards.
func writeTally(w io.Writer, d design) {
	head(w, "creates a second", "shards", "batches a second", "KB of a tally item", "units of a batch", "units a second of the tally's partition",
		"of the busiest item", "read units of the metrics")
	for _, orders := range loads {
		load := d.load(orders)
		shards, batches := load.Shards(), batchesOfTally(load)
		busiest := mostKeys(d.Seed, int(shards), d.TallyItems, 0.5) * batches / shards
		row(w, number(orders), number(shards), number(batches), number(load.TallyBytes()/1024), number(load.TallyUnits()),
			against(batches*load.TallyUnits(), workload.PartitionUnits), against(busiest*load.TallyUnits(), workload.PartitionUnits),
			number(math.Ceil(load.TallyBytes()/1024*float64(d.TallyItems)/4)))
	}
}
