package main

// A workload is how orders are taken and how full the batches are in which they
// are worked off. The bigger the load, the fuller the batches.
type workload struct {
	StatusReads float64 // of one order, by its client
	RelayBatch  int     // stream records in one invocation of the relay
	TallyBatch  int     // stream records in one invocation of the tally
	QueueBatch  int     // messages in one request of SQS, or one invocation of the processor
}

// Of one order's life. Its item is up to 1 KB and begins as Pending.
const (
	changes  = 3 // it is created, started, completed: each a record in the stream
	messages = 2 // start and complete

	// A create writes the item and its entry in the index, at one unit each. A
	// transition changes no attribute that is in the index.
	createUnits     = 2
	transitionUnits = 1
	// The tally writes two items in a transaction, at two units each.
	tallyUnits = 4
	// A strongly consistent read of up to 4 KB.
	readUnits = 1
	// A message is sent, received and deleted.
	queueRequests = 3
)

// A usage is what one order asks of AWS, in the units that it bills.
type usage struct {
	HTTPRequests    float64
	HTTPInvocations float64
	Batches         float64 // invocations by stream and queue
	WriteUnits      float64
	ReadUnits       float64
	QueueRequests   float64
}

// perOrder is the usage of one order through its whole life. A test counts the calls
// that are really made, and the units that DynamoDB says they consumed.
func (w workload) perOrder() usage {
	requests := 1 + w.StatusReads
	return usage{
		HTTPRequests:    requests,
		HTTPInvocations: requests,
		Batches:         changes/float64(w.RelayBatch) + changes/float64(w.TallyBatch) + messages/float64(w.QueueBatch),
		WriteUnits:      createUnits + messages*transitionUnits + tallyUnits*changes/float64(w.TallyBatch),
		ReadUnits:       readUnits * w.StatusReads,
		QueueRequests:   queueRequests * messages / float64(w.QueueBatch),
	}
}
