package main

import (
	"strconv"

	"github.com/alecthomas/kong"

	"orders/tools/eventsource"
)

// What template.yaml sets, and cost goes by, with the batch sizes that bridge has. A
// test compares.
const (
	// memory of a function in MB.
	memory = 512

	// logBytes is how long a line of the access log is, about.
	logBytes = 250
)

// defaults are flags' defaults that come from the template.
var defaults = kong.Vars{
	"relayBatch": strconv.Itoa(eventsource.RelayBatch), "tallyBatch": strconv.Itoa(eventsource.TallyBatch),
	"queueBatch": strconv.Itoa(eventsource.ProcessorBatch), "memory": strconv.Itoa(memory),
	"logBytes": strconv.Itoa(logBytes),
}
