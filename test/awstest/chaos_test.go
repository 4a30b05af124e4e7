package awstest_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
	"orders/test/chaos"
)

// F1 to F4, F6 to F14, F16 to F18, F20, I1 to I14, I16, I17: the home on AWS plays random
// histories.
func TestChaos(t *testing.T) {
	engines := openEngines(t)
	chaos.Play(t, "aws", func(t chaos.T) chaos.Deployment { return openChaosHome(t, engines) })
}

// A chaosHome is the home on AWS, standing still: the project's own store and functions
// on real engines. What Lambda's mappings and time itself do there, it does when it is
// told to, a step at a time.
type chaosHome struct {
	chaos.T
	*reads
	network *network
	// deployment is what functions are made of, but for what is of one invocation.
	deployment awstest.Deployment
	stream     *stream
	queue      *queue
	dead       *deadLetters
	relay      *reader
	tally      *reader

	random *rand.ChaCha8 // of ids, so that a history played again has the same
	now    time.Time
	met    map[string]int
}

// chaosProcessing is as long as the template's.
const chaosProcessing = 50 * time.Second

func openChaosHome(t chaos.T, e *engines) *chaosHome {
	e.next()
	n := &network{touched: map[string]bool{}}
	table, queues := e.table(t), e.queues(t)
	h := &chaosHome{
		T: t, network: n, met: map[string]int{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		deployment: awstest.Deployment{
			DynamoDB: e.tablesThrough(n), SQS: e.queuesThrough(n),
			Table: table, QueueURL: queues.url, DeadLetterURL: queues.deadLetterURL,
			ProcessingTime: chaosProcessing, Log: slog.New(slog.DiscardHandler),
		},
		stream: openStream(t, e, table, n),
		queue:  &queue{client: e.sqs, url: queues.url, arn: queues.arn, network: n},
		dead:   &deadLetters{client: e.sqs, url: queues.deadLetterURL, network: n},
		random: rand.NewChaCha8([32]byte{}),
	}
	n.due = h.queue.due
	h.reads = &reads{store: awstest.Must(dynamostore.New(dynamostore.Config{Client: e.dynamoDB, Table: table})), network: n}
	h.relay, h.tally = newRelay(h), newTally(h)
	return h
}

// Now implements chaos.Home.
func (h *chaosHome) Now() time.Time { return h.now }

// Tick implements chaos.Home. SQS has a clock of its own, which nobody turns back.
func (h *chaosHome) Tick(d time.Duration) {
	h.now = h.now.Add(d)
	h.queue.elapsed += max(d, 0)
}

// ProcessingTime implements chaos.Home.
func (h *chaosHome) ProcessingTime() time.Duration { return chaosProcessing }

// Met implements chaos.Home.
func (h *chaosHome) Met() map[string]int { return h.met }

// Counted implements chaos.Home: once the tally has acknowledged all that is in the stream.
func (h *chaosHome) Counted() bool { return h.tally.done == len(h.stream.read(h)) }

// Waits implements chaos.Home: the relay has not read all of the order's changes, or the
// queue has a message for it.
func (h *chaosHome) Waits(id order.ID) bool {
	return concerns(h.stream.read(h)[h.relay.done:], id) || h.queue.holds(h, id)
}

// DeadLetters implements chaos.Home.
func (h *chaosHome) DeadLetters() (bodies [][]byte) {
	for _, m := range h.dead.read(h) {
		bodies = append(bodies, []byte(*m.Body))
	}
	return bodies
}

// Workers implements chaos.Home.
func (h *chaosHome) Workers() []string { return []string{"relay", "processor", "tally", "redrive"} }

// Work implements chaos.Home.
func (h *chaosHome) Work(worker, fault string) {
	switch worker {
	case "relay":
		h.relay.work(fault)
	case "tally":
		h.tally.work(fault)
	case "processor":
		h.workOff(fault)
	default:
		h.redrive(fault)
	}
}

// under does what a step asks for while a fault is in the way, and then holds the
// functions to their bounds. do returns how many drafts, records or messages it handed over.
func (h *chaosHome) under(doing, fault string, operations []string, do func(disturbance) (handed int)) {
	h.Helper()
	d := disturbances[strings.TrimPrefix(fault, onQueue)]
	h.network.begin(d, operations)
	handed := do(d)
	met := h.network.end(handed)
	if fault != "" && (met || len(d.attempts) == 0 && handed > 0) {
		h.met[doing+": "+fault]++
	}
	if wrong := h.network.wrong; wrong != "" {
		h.Fatalf("%s: %s", doing, wrong)
	}
}

// invoke runs a function as Lambda would, on a clock that is as wrong as the disturbance says.
func (h *chaosHome) invoke(function string, event []byte, d disturbance) ([]byte, error) {
	deployment := h.deployment
	deployment.Now = func() time.Time { return h.now.Add(d.skew) }
	deployment.Timeout = d.limit(function)
	answered, err := awstest.Mortal(deployment.Invoke)(context.WithoutCancel(h.Context()), function, event)
	if err == nil && !explicit.Match(answered) {
		h.network.report("%s answers %s, without a list of what failed", function, answered)
	}
	return answered, err
}
