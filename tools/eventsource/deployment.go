package eventsource

import "time"

// What template.yaml sets for the functions that get batches; a test compares.
const (
	// How many records or messages an event has at most.
	RelayBatch     = 100
	TallyBatch     = 1000
	ProcessorBatch = 10

	// TallyWindow is the length of the tally's tumbling window.
	TallyWindow = 900 * time.Second
)

// Readers are the functions that get the stream, as the template sets them, by
// the names of its relay and its tally.
func Readers(relay, tally string) []Reader {
	return []Reader{
		{Function: relay, BatchSize: RelayBatch},
		{Function: tally, BatchSize: TallyBatch, Window: TallyWindow},
	}
}
