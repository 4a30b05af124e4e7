package awstest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
	"orders/test/conformance"
	"orders/tools/eventsource"
)

// These tests need real queues: their visibility timeouts and their redrive policy. Random
// histories (TestChaos) and the suite under faults (TestConformanceUnderFaults) play the other
// faults.

// F5, I4, I5: the relay cannot be invoked while orders are created. When it is back, it dies in
// the middle of the backlog.
func TestTheRelayContinuesWhereItStopped(t *testing.T) {
	back := make(gate)
	d := openFaulty(t, back.before(awstest.RelayFunction))
	d.create(25)
	d.faults.Play("SendMessageBatch")
	d.faults.Play("SendMessageBatch", awstest.KilledAfter)
	close(back)
	d.audit()
}

// F12, I5: a message becomes visible again while a worker still handles it. So there are more calls
// at the same time than messages.
func TestTwoWorkersOnOneMessageHaveOneEffect(t *testing.T) {
	const messages = 4
	var calls, most atomic.Int64
	d := openFaulty(t, visibilityTimeout("1"))
	end := d.faults.Begin("UpdateItem", func(a *awstest.Attempt) (*smithyhttp.Response, error) {
		most.Store(max(most.Load(), calls.Add(1)))
		defer calls.Add(-1)
		return awstest.Slow(1500 * time.Millisecond)(a)
	})
	d.create(messages)
	conformance.Eventually(t, func() error {
		if n := most.Load(); n <= messages+1 { // one is the tally's
			return fmt.Errorf("%d calls were made at the same time for %d messages", n, messages)
		}
		return nil
	})
	end()
	d.audit()
}

// F15, F16, I4, I5, I13, I14: the queue has given up on messages, with poison among them. They are
// redriven twice, under new ids.
func TestDeadLettersThatAreRedrivenTwiceHaveOneEffect(t *testing.T) {
	back := make(gate)
	d := openFaulty(t, back.before(awstest.ProcessorFunction), visibilityTimeout("5"), givesUpAtOnce)
	d.create(6)
	poison := []string{
		"not JSON", `{"order_id":"ORD00000000000000000000000000","to":"Shipped"}`,
		`{"order_id":"ORD00000000000000000000000000","to":"Processing"}`, // there is no such order
	}
	for _, body := range poison {
		d.put(body)
	}
	for _, o := range d.orders { // as a later version may write it: no poison
		d.put(fmt.Sprintf(`{"then":[{"to":1}],"order_id":%q,"to":"Processing"}`, o.ID))
	}
	d.awaitMessages(d.DeadLetterURL, 6+len(poison)+6)
	close(back)
	// The first is refused. Of the others, some are not deleted: they are in both queues.
	d.faults.Play("SendMessageBatch", awstest.PartlyFailed(false, 0))
	d.faults.Play("DeleteMessageBatch", awstest.PartlyFailed(false, 1, 2))
	d.faults.Play("SendMessage", awstest.NeverArrives)
	d.faults.Play("SendMessage", awstest.Throttled, awstest.Throttled, awstest.Throttled)
	if err := d.redrive(); err == nil {
		t.Error("the redrive does not report the messages that it left")
	}
	for again := range 2 {
		if err := d.redrive(); err != nil {
			t.Errorf("redrive %d: %v", again, err)
		}
	}
	d.audit(poison...)
}

// givesUpAtOnce makes the queue give up on a message that was received once in vain.
func givesUpAtOnce(s *awstest.Setup) {
	outer := s.Queue
	s.Queue = func(attributes map[string]string) {
		outer(attributes)
		attributes["RedrivePolicy"] = receives.ReplaceAllString(attributes["RedrivePolicy"], "${1}1")
	}
}

// receives matches the part of a redrive policy that says how often a message may be received.
var receives = regexp.MustCompile(`("maxReceiveCount":"?)\d+`)

// A faultyDeployment is a deployment whose calls meet faults, and whose functions can be killed.
type faultyDeployment struct {
	*testing.T
	awstest.Deployment
	faults awstest.Faults
	seen   awstest.Capture // of the event source
	queues *sqs.Client     // meets no faults
	orders []order.Order   // as they were created
}

// openFaulty opens a deployment beside those of other tests.
func openFaulty(t *testing.T, change ...func(*awstest.Setup)) *faultyDeployment {
	t.Helper()
	t.Parallel()
	d := &faultyDeployment{T: t, queues: awstest.SQS(t)}
	d.Deployment = awstest.OpenDeployment(t, func(s *awstest.Setup) {
		s.DynamoDB = []func(*dynamodb.Options){dynamodb.WithAPIOptions(d.faults.Middleware)}
		s.SQS = []func(*sqs.Options){sqs.WithAPIOptions(d.faults.Middleware)}
		visibilityTimeout("10")(s)
		for _, c := range change {
			c(s)
		}
		outer := s.Between
		s.Between = func(invoke eventsource.Invoke) eventsource.Invoke { return d.seen.Tee(outer(awstest.Mortal(invoke))) }
	})
	return d
}

func visibilityTimeout(seconds string) func(*awstest.Setup) {
	return func(s *awstest.Setup) {
		s.Queue = func(attributes map[string]string) { attributes["VisibilityTimeout"] = seconds }
	}
}

func between(wrap func(eventsource.Invoke) eventsource.Invoke) func(*awstest.Setup) {
	return func(s *awstest.Setup) { s.Between = wrap }
}

// A gate makes functions fail until it is closed.
type gate chan struct{}

func (g gate) before(function string) func(*awstest.Setup) {
	return between(func(invoke eventsource.Invoke) eventsource.Invoke {
		return func(ctx context.Context, name string, event []byte) ([]byte, error) {
			select {
			case <-g:
			default:
				if name == function {
					return nil, errors.New("the function is down")
				}
			}
			return invoke(ctx, name, event)
		}
	})
}

// create creates n orders, one after the other.
func (d *faultyDeployment) create(n int) {
	d.Helper()
	for i := range n {
		draft := order.Draft{Details: order.Details{
			ClientReference: fmt.Sprint("order ", i), UserID: "645", ItemIDs: []string{"890", "563"}, TotalAmount: 1650_78,
		}}
		draft.SetFingerprint()
		o, _, err := d.Store.Create(d.Context(), draft)
		if err != nil {
			d.Fatal(err)
		}
		d.orders = append(d.orders, o)
	}
}

// put sends a body to the queue by a client that meets no faults.
func (d *faultyDeployment) put(body string) {
	d.Helper()
	if _, err := d.queues.SendMessage(d.Context(), &sqs.SendMessageInput{QueueUrl: &d.QueueURL, MessageBody: &body}); err != nil {
		d.Fatal(err)
	}
}

// redrive moves all messages that are dead letters now, by a client that meets faults.
func (d *faultyDeployment) redrive() error {
	d.Helper()
	_, err := sqsqueue.Redrive{
		Client: awstest.SQS(d, sqs.WithAPIOptions(d.faults.Middleware)),
		URL:    d.QueueURL, DeadLetterURL: d.DeadLetterURL, Began: time.Now(), Now: time.Now,
	}.Run(d.Context())
	return err
}

// awaitMessages waits until a queue has n messages.
func (d *faultyDeployment) awaitMessages(url string, n int) {
	d.Helper()
	conformance.Eventually(d, func() error {
		if got := d.countMessages(url); got != n {
			return fmt.Errorf("%d messages are in %s, not %d", got, url, n)
		}
		return nil
	})
}

// countMessages counts the messages of a queue that are visible, in flight or delayed.
func (d *faultyDeployment) countMessages(url string) (n int) {
	d.Helper()
	output, err := d.queues.GetQueueAttributes(d.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		d.Fatalf("count messages: %v", err)
	}
	for _, kind := range []string{"", "NotVisible", "Delayed"} {
		part, err := strconv.Atoi(output.Attributes["ApproximateNumberOfMessages"+kind])
		if err != nil {
			d.Fatal(err)
		}
		n += part
	}
	return n
}

// audit waits until all orders are completed and counted and the queue is empty (I4, I9, I17). It
// checks that each order has changed three times (I5), and that these bodies, and no others, are in
// the dead-letter queue, at least once each (I13).
func (d *faultyDeployment) audit(deadLetters ...string) {
	d.Helper()
	conformance.Eventually(d, d.unfinished)
	if left := d.faults.Unplayed(); len(left) > 0 {
		d.Errorf("not all faults were met: %s", left)
	}
	changes := map[string]int{}
	for _, record := range d.seen.Records(d, awstest.TallyFunction, 3*len(d.orders)) {
		key := record.Change.Keys["pk"]
		changes[key.String()]++
	}
	for _, o := range d.orders {
		if n := changes["ORDER#"+string(o.ID)]; n != 3 {
			d.Errorf("order %s has changed %d times, not 3", o.ID, n)
		}
	}
	bodies, err := d.DeadLetters(d.Context())
	if err != nil {
		d.Fatalf("dead letters: %v", err)
	}
	got := map[string]bool{}
	for _, body := range bodies {
		got[string(body)] = true
	}
	want := map[string]bool{}
	for _, body := range deadLetters {
		want[body] = true
	}
	if !maps.Equal(got, want) || d.countMessages(d.DeadLetterURL) != len(bodies) {
		d.Errorf("the dead letters are %.1000q, not %.1000q", bodies, deadLetters)
	}
}

// unfinished says what is missing until all is done.
func (d *faultyDeployment) unfinished() error {
	metrics, err := d.Metrics.Metrics(d.Context())
	if err != nil {
		return err
	}
	if left := d.countMessages(d.QueueURL); metrics.ByStatus != (order.Counts{order.Completed: int64(len(d.orders))}) || left > 0 {
		return fmt.Errorf("the metrics are %+v, and %d messages are in the queue", metrics, left)
	}
	var recount order.Tally
	for _, created := range d.orders {
		o, err := d.Store.Get(d.Context(), created.ID)
		if err != nil {
			return err
		}
		if o.Status != order.Completed || o.CompletedAt.Sub(o.StartedAt) < time.Second {
			return fmt.Errorf("order %+v is now %+v", created, o)
		}
		recount.Add(order.Change{New: &o}.Tally())
	}
	page, err := d.Store.List(d.Context(), 1000, "")
	if err == nil && (len(page.IDs) != len(d.orders) || metrics != recount) {
		err = fmt.Errorf("%d orders are listed, the metrics are %+v, a recount gives %+v", len(page.IDs), metrics, recount)
	}
	return err
}
