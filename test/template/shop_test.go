package template

import "slices"

// A shop makes up the series of a deployment, minute by minute: what its functions, its queue and its
// table report. Its fault, if it has one, begins in the minute fault.
type shop struct {
	orders            func(minute int) int  // how many are created
	shift             int                   // of these minutes
	nextMinute        func(minute int) bool // whether the records of a minute are read in the next one
	processingMinutes int                   // how long an order is processed; 0 for less than a minute
	capacity          int                   // messages a minute that are processed; 0 for enough, -1 for none

	relayStops, tallyStops, checkStops, tallyBlocked, deadLetter bool
	slow                                                         bool   // requests, two in a hundred
	reports                                                      string // a metric with a 1 in each minute
	relayLags                                                    int    // minutes
	tableDown                                                    int    // minutes
	loses                                                        int    // messages, of the orders of one minute
	fails                                                        int    // orders, for an hour
}

// every returns n orders in each minute that is a multiple of another number.
func every(minutes, n int) func(minute int) int {
	return func(minute int) int {
		if minute%minutes != 0 {
			return 0
		}
		return n
	}
}

// A batch is messages with the same times.
type batch struct {
	n         int
	sent, due int // minutes
	completes bool
}

// A simulation is a shop at work.
type simulation struct {
	shop
	recording
	streamed []batch // what the relay has not sent yet; sent is when the write was
	queue    []batch
}

const (
	batchSize = 10 // messages that the processor gets at once
	quick     = 400.0
)

// record simulates half a day of a shop and returns what CloudWatch has of it.
func (s shop) record() recording {
	sim := &simulation{shop: s, recording: newRecording(12 * 60)}
	for minute := range sim.minutes {
		sim.create(minute)
		sim.relay(minute)
		sim.process(minute)
		sim.look(minute)
	}
	return sim.recording
}

// faulty reports whether a fault that lasts some minutes, or forever, is there.
func faulty(minute, lasts int) bool { return minute >= fault && (lasts < 0 || minute < fault+lasts) }

func forever(is bool) int {
	if is {
		return -1
	}
	return 0
}

// create takes the orders of a minute. Half of the requests are reads.
func (s *simulation) create(minute int) {
	n := s.orders(minute - s.shift)
	if n == 0 {
		return
	}
	api := "OrdersApi"
	s.add("Count of "+api, minute, float64(2*n))
	s.add("Latency of "+api, minute, s.latencies(minute, 2*n)...)
	s.add("Errors of CreateFunction", minute, 0)
	if faulty(minute, s.tableDown) {
		s.add("5xx of "+api, minute, float64(n))
		s.add("ServerErrors", minute, float64(n))
		return
	}
	s.add("ConsumedWriteCapacityUnits of OrdersTable by_creation", minute, float64(n))
	s.streamed = append(s.streamed, batch{n: n, sent: minute, due: minute})
	s.tally(minute)
}

// latencies are those of a minute's requests, of which one is always slow.
func (s *simulation) latencies(minute, requests int) []float64 {
	slow := 1
	if faulty(minute, forever(s.slow)) {
		slow += requests / 50
	}
	return slices.Concat(slices.Repeat([]float64{1500}, slow), slices.Repeat([]float64{30}, requests-slow))
}

// tally reads what is written in a minute.
func (s *simulation) tally(minute int) {
	switch {
	case faulty(minute, forever(s.tallyStops)):
	case faulty(minute, forever(s.tallyBlocked)):
		s.add("Invocations of TallyFunction", minute, 1)
		s.add("Errors of TallyFunction", minute, 1)
		s.add("BlockedRecords of OrdersTable", minute, 1)
		s.add("IteratorAge of TallyFunction", minute, float64(minute-fault)*60_000)
	default:
		s.add("Invocations of TallyFunction", s.read(minute), 1)
		s.add("IteratorAge of TallyFunction", s.read(minute), 1500)
		s.add("Errors of TallyFunction", s.read(minute), 0)
	}
}

// read is the minute in which a write of another minute is read from the stream.
func (s *simulation) read(minute int) int {
	if s.nextMinute != nil && s.nextMinute(minute) {
		return minute + 1
	}
	return minute
}

// relay sends the messages of what is in the stream.
func (s *simulation) relay(minute int) {
	if faulty(minute, forever(s.relayStops)) {
		return
	}
	lag := 0
	if faulty(minute, -1) {
		lag = s.relayLags
	}
	var rest []batch
	for _, b := range s.streamed {
		if s.read(b.sent)+lag > minute {
			rest = append(rest, b)
			continue
		}
		s.add("Invocations of RelayFunction", minute, 1)
		s.add("Errors of RelayFunction", minute, 0)
		s.add("IteratorAge of RelayFunction", minute, float64(lag)*60_000+500)
		b.sent = minute
		if !b.completes && b.due == fault {
			b.n -= s.loses
		}
		s.queue = append(s.queue, b)
	}
	s.streamed = rest
}

// process processes the messages that are due, the oldest first.
func (s *simulation) process(minute int) {
	capacity := s.capacity
	if capacity == 0 || !faulty(minute, -1) {
		capacity = 1 << 30
	}
	var rest []batch
	received, deleted := 0, 0
	for _, b := range s.queue {
		n := min(b.n, max(0, capacity))
		if b.due > minute {
			n = 0
		}
		capacity -= n
		received += n
		if faulty(minute, s.tableDown) {
			n = 0
		}
		if deleted += n; n > 0 {
			s.advance(minute, b, n)
		}
		if b.n -= n; b.n > 0 {
			rest = append(rest, b)
		}
	}
	s.queue = rest
	if len(rest) > 0 {
		s.add("ApproximateAgeOfOldestMessage of OrdersQueue", minute, float64(minute-rest[0].sent)*60)
	}
	s.add("NumberOfMessagesReceived of OrdersQueue", minute, float64(received))
	s.add("NumberOfMessagesDeleted of OrdersQueue", minute, float64(deleted))
}

// advance starts or completes n orders, and writes that to the stream.
func (s *simulation) advance(minute int, b batch, n int) {
	metric := "StartLateness of OrdersTable"
	if b.completes {
		metric = "CompleteLateness of OrdersTable"
	}
	for range (n + batchSize - 1) / batchSize {
		s.add(metric, minute, float64(minute-b.due)*60_000+quick)
	}
	s.add("Errors of ProcessorFunction", minute, 0)
	if !b.completes {
		s.streamed = append(s.streamed, batch{n: n, sent: minute, due: minute + max(1, s.processingMinutes), completes: true})
	}
	s.tally(minute)
}

// look is what runs on a schedule, and what a fault reports each minute.
func (s *simulation) look(minute int) {
	if s.reports != "" && minute >= fault {
		s.add(s.reports, minute, 1)
	}
	if s.deadLetter && minute >= fault {
		s.add("ApproximateNumberOfMessagesVisible of DeadLetterQueue", minute, 1)
		if minute == fault {
			s.add("DeadLetteredMessages of DeadLetterQueue", minute, 1)
		}
	}
	if minute%10 != 0 || faulty(minute, forever(s.checkStops)) {
		return
	}
	overdue := 0
	for _, waiting := range [][]batch{s.streamed, s.queue} {
		for _, b := range waiting {
			if b.due < minute-10 {
				overdue += b.n
			}
		}
	}
	if age := minute - fault; age >= 10 && age < 30 {
		overdue += s.loses
	}
	s.add("Invocations of CheckFunction", minute, 1)
	s.add("Errors of CheckFunction", minute, 0)
	s.add("OverdueOrders of OrdersTable", minute, float64(overdue))
	if s.fails > 0 && faulty(minute, 60) {
		s.add("FailedOrders of OrdersTable", minute, float64(s.fails))
	}
}
