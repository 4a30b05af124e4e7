package main

import (
	"strconv"
	"time"

	"github.com/alecthomas/kong"
)

// What template.yaml sets, and bridge and cost go by. A test compares.
const (
	// How many records or messages an invocation gets at most.
	relayBatch     = 100
	tallyBatch     = 1000
	processorBatch = 10

	// tallyWindow is the length of the tally's tumbling window.
	tallyWindow = 900 * time.Second

	// memory of a function in MB.
	memory = 512

	// logBytes is how long a line of the access log is, about.
	logBytes = 250
)

// defaults are flags' defaults that come from the template.
var defaults = kong.Vars{
	"relayBatch": strconv.Itoa(relayBatch), "tallyBatch": strconv.Itoa(tallyBatch),
	"queueBatch": strconv.Itoa(processorBatch), "memory": strconv.Itoa(memory),
	"logBytes": strconv.Itoa(logBytes),
}
