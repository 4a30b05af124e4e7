package awstest_test

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/sqsqueue"
	"orders/test/awstest"
)

// F16, I4, I5, I13: messages that the queue has given up on are driven back, twice,
// under new ids, among poison.
func TestDeadLettersThatAreDrivenBackTwiceHaveOneEffect(t *testing.T) {
	const poison = "not JSON"
	back := make(gate)
	h := openFaulty(t, back.before(awstest.ProcessorFunction), givesUpAtOnce)
	h.create(6)
	h.put(poison)
	eventually(t, func() error {
		if n := h.onQueue(h.DeadLetterURL); n != 7 {
			return fmt.Errorf("%d dead letters, not 7", n)
		}
		return nil
	})
	close(back)
	// The first is not taken. Of those that are, some are not deleted: they are in both queues.
	h.faults.Play("SendMessageBatch", awstest.PartlyFailed(false, 0))
	h.faults.Play("DeleteMessageBatch", awstest.PartlyFailed(false, 1, 2))
	if _, err := h.redrive(); err == nil {
		t.Error("letters that stay are not told of")
	}
	for again := range 2 {
		if _, err := h.redrive(); err != nil {
			t.Errorf("redrive %d: %v", again, err)
		}
	}
	h.audit(poison)
}

// givesUpAtOnce has the queue give up on a message that was received once in vain.
func givesUpAtOnce(s *awstest.Setup) {
	s.Queue = func(attributes map[string]string) {
		attributes["VisibilityTimeout"] = "5"
		attributes["RedrivePolicy"] = receives.ReplaceAllString(attributes["RedrivePolicy"], "${1}1")
	}
}

// receives is the part of a redrive policy that says how often.
var receives = regexp.MustCompile(`("maxReceiveCount":"?)\d+`)

// redrive moves all that was buried before now, by a client that meets faults.
func (h *faultyHome) redrive() (moved int, err error) {
	h.Helper()
	return sqsqueue.Redrive{
		Client: awstest.SQS(h, sqs.WithAPIOptions(h.faults.Middleware), soonSQS),
		URL:    h.QueueURL, DeadLetterURL: h.DeadLetterURL, Began: time.Now(), Now: time.Now,
	}.Run(h.Context())
}
