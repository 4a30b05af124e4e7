package sqsqueue_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/awstest"
	"orders/shared/order"
	"orders/shared/sqsqueue"
)

// F16.
func TestRedriveMovesWhatLiesInTheDeadLetterQueue(t *testing.T) {
	for name, tt := range map[string]struct{ letters, limit, moved int }{
		"none": {0, 0, 0}, "all": {23, 0, 23}, "as many as asked for": {23, 12, 12}, "fewer than asked for": {3, 12, 3},
	} {
		r := newRedrive(t, tt.letters)
		r.Limit = tt.limit
		var told []string
		r.Step = func(l sqsqueue.DeadLetter) { told = append(told, l.Body+" "+l.Reason) }
		moved, err := r.Run(t.Context())
		if err != nil || moved != tt.moved || len(told) != tt.moved {
			t.Errorf("%s: moved %d, told of %d, error %v", name, moved, len(told), err)
		}
		if tt.limit == 0 && tt.letters > 0 && !slices.Contains(told, "0 malformed message") {
			t.Errorf("%s: told %q", name, told)
		}
		client := awstest.SQS(t)
		if got := len(receive(t, client, r.URL, moved)); got != moved {
			t.Errorf("%s: %d on the queue", name, got)
		}
		if got, want := len(receive(t, client, r.DeadLetterURL, tt.letters-moved)), tt.letters-moved; got != want {
			t.Errorf("%s: %d in the dead-letter queue, not %d", name, got, want)
		}
	}
}

func TestADryRunPutsEverythingBackAtOnce(t *testing.T) {
	r := newRedrive(t, 13)
	r.DryRun = true
	for range 2 {
		if n, err := r.Run(t.Context()); n != 13 || err != nil {
			t.Errorf("would move %d, error %v", n, err)
		}
	}
	if got := receive(t, awstest.SQS(t), r.DeadLetterURL, 13); len(got) != 13 {
		t.Errorf("%d in the dead-letter queue", len(got))
	}
}

func TestWhatIsBuriedAfterTheBeginningStays(t *testing.T) {
	r := newRedrive(t, 3)
	r.Began = time.Now().Add(-time.Hour)
	if n, err := r.Run(t.Context()); n != 0 || err != nil {
		t.Errorf("moved %d, error %v", n, err)
	}
	if got := receive(t, awstest.SQS(t), r.DeadLetterURL, 3); len(got) != 3 {
		t.Errorf("%d in the dead-letter queue", len(got))
	}
}

func TestWhateverFailsDuringARedriveLosesNoMessage(t *testing.T) {
	for operation, onQueue := range map[string]int{"send": 2, "delete": 3, "cancel": 2} {
		r := newRedrive(t, 5)
		ctx, cancel := context.WithCancel(t.Context())
		r.Client = &broken{RedriveClient: awstest.SQS(t), operation: operation, cancel: cancel}
		if moved, err := r.Run(ctx); moved != 2 || !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%s: moved %d, error %v", operation, moved, err)
		}
		// The one whose deletion failed is in both.
		client := awstest.SQS(t)
		if got := len(receive(t, client, r.URL, onQueue)); got != onQueue {
			t.Errorf("%s: %d on the queue, not %d", operation, got, onQueue)
		}
		if got := len(receive(t, client, r.DeadLetterURL, 3)); got != 3 {
			t.Errorf("%s: %d in the dead-letter queue, not 3", operation, got)
		}
		cancel()
	}
}

// newRedrive has n letters to move.
func newRedrive(t *testing.T, n int) sqsqueue.Redrive {
	t.Helper()
	client := awstest.SQS(t)
	url, dead := awstest.Queues(t)
	queue := newQueue(client, url, dead, t)
	for i := range n {
		if err := queue.Bury(t.Context(), []byte(strconv.Itoa(i)), order.ErrMalformed); err != nil {
			t.Fatal(err)
		}
	}
	return sqsqueue.Redrive{Client: client, URL: url, DeadLetterURL: dead, Began: time.Now().Add(time.Second)}
}

// broken fails the third call of one operation, or ends the context there.
type broken struct {
	sqsqueue.RedriveClient
	operation string
	cancel    context.CancelFunc
	calls     int
}

var errBroken = errors.New("connection reset")

func (b *broken) SendMessage(ctx context.Context, in *sqs.SendMessageInput, options ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if b.operation != "delete" {
		b.calls++
	}
	if b.calls == 3 && b.operation == "cancel" {
		b.cancel()
	} else if b.calls == 3 && b.operation == "send" {
		return nil, errBroken
	}
	return b.RedriveClient.SendMessage(ctx, in, options...)
}

func (b *broken) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput, options ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error) {
	if b.operation == "delete" {
		if b.calls++; b.calls == 3 {
			return nil, errBroken
		}
	}
	return b.RedriveClient.DeleteMessage(ctx, in, options...)
}
