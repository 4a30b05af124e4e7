package sqsqueue_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
)

// A testRedrive moves entries between real queues.
type testRedrive struct {
	*testQueue
	sqsqueue.Redrive
}

// newRedrive has n entries to move, whose bodies are their numbers.
func newRedrive(t *testing.T, n int) testRedrive {
	t.Helper()
	q := open(t)
	for i := range n {
		if err := q.DeadLetter(t.Context(), []byte(strconv.Itoa(i)), order.ErrMalformed); err != nil {
			t.Fatal(err)
		}
	}
	return testRedrive{q, sqsqueue.Redrive{
		Client: q.client, URL: q.url, DeadLetterURL: q.deadLetterURL, Began: time.Now().Add(time.Second), Now: time.Now,
	}}
}

// check fails the test unless so many messages are on the queue and in the dead-letter queue.
func (r testRedrive) check(t *testing.T, name string, onQueue, inDeadLetters int) {
	t.Helper()
	if got := len(receive(t, r.url, onQueue)); got != onQueue {
		t.Errorf("%s: %d on the queue, not %d", name, got, onQueue)
	}
	if got := len(receive(t, r.deadLetterURL, inDeadLetters)); got != inDeadLetters {
		t.Errorf("%s: %d in the dead-letter queue, not %d", name, got, inDeadLetters)
	}
}

// F16.
func TestRedriveMovesTheEntriesOfTheDeadLetterQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		entries, limit int
		dry            bool
		began          time.Duration // since the entries were made
		reported       int
	}{
		"none":                 {0, 0, false, time.Second, 0},
		"all":                  {23, 0, false, time.Second, 23},
		"as many as asked for": {23, 12, false, time.Second, 12},
		"fewer than asked for": {3, 12, false, time.Second, 3},
		"newer entries":        {3, 0, false, -time.Hour, 0},
		"a dry run":            {13, 0, true, time.Second, 13},
	} {
		r := newRedrive(t, tt.entries)
		r.Limit, r.DryRun, r.Began = tt.limit, tt.dry, time.Now().Add(tt.began)
		var told []string
		r.Step = func(e sqsqueue.Entry) { told = append(told, e.Body+" "+e.Reason) }
		n, err := r.Run(t.Context())
		if err != nil || n != tt.reported || len(told) != n {
			t.Errorf("%s: %d are reported, and told of %d, error %v", name, n, len(told), err)
		}
		if name == "all" && !slices.Contains(told, "0 malformed message") {
			t.Errorf("told %q", told)
		}
		if tt.dry {
			n = 0
		}
		r.check(t, name, n, tt.entries-n)
	}
}

// F16, I14: whatever fails, no message is lost, and those that SQS refuses are left and reported.
func TestNoFailureDuringARedriveLosesAMessage(t *testing.T) {
	refused := func(entries ...int) awstest.Fault { return awstest.PartlyFailed(true, entries...) }
	const left = "messages are left in the dead-letter queue: "
	for name, tt := range map[string]struct {
		operation                     string
		fault                         awstest.Fault
		cancels                       bool
		moved, onQueue, inDeadLetters int // of 24
		want                          string
	}{
		"a message is not taken":     {"SendMessageBatch", awstest.PartlyFailed(false, 0), false, 23, 23, 1, "1 " + left + "store is unavailable\nsend messages to the queue: InternalError"},
		"some are refused":           {"SendMessageBatch", refused(0, 7), false, 22, 22, 2, "2 " + left + "send messages to the queue: InvalidMessageContents"},
		"a whole batch is refused":   {"SendMessageBatch", refused(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), false, 14, 14, 10, "10 " + left},
		"some are not deleted":       {"DeleteMessageBatch", refused(4, 5), false, 22, 24, 2, "2 " + left + "delete messages, which are in both queues now"},
		"nothing is taken":           {"SendMessageBatch", awstest.NeverArrives, false, 0, 0, 24, "send messages to the queue"},
		"nothing is deleted":         {"DeleteMessageBatch", awstest.NeverArrives, false, 0, 10, 24, "delete 10 messages, which are in both queues now"},
		"it ends before messages go": {"SendMessageBatch", awstest.Slow(time.Hour), true, 0, 0, 24, "send messages to the queue"},
		"it ends when they are sent": {"DeleteMessageBatch", awstest.Slow(0), true, 10, 10, 14, "receive from the dead-letter queue"},
	} {
		r := newRedrive(t, 24)
		ctx, cancel := context.WithCancel(t.Context())
		fault := tt.fault
		if tt.cancels {
			fault = fault.Told(cancel)
		}
		if strings.HasPrefix(name, "nothing") {
			r.faults.Begin(tt.operation, fault)
		} else {
			r.faults.Play(tt.operation, fault)
		}
		reported := 0
		r.Step = func(sqsqueue.Entry) { reported++ }
		moved, err := r.Run(ctx)
		if moved != tt.moved || reported != moved || err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: moved %d, reported %d, error %v", name, moved, reported, err)
		}
		if permanent := strings.Contains(err.Error(), "InvalidMessageContents"); errors.Is(err, order.ErrUnavailable) == permanent {
			t.Errorf("%s: error %v is unavailable, or is not", name, err)
		}
		r.check(t, name, tt.onQueue, tt.inDeadLetters)
		cancel()
	}
}

// SQS may show a message again, after its visibility timeout or without a reason. The capital L is a
// message that was sent when the redrive began.
func TestARedriveEndsAndPutsBackWhatItDoesNotMove(t *testing.T) {
	large := func(string) string { return strings.Repeat("x", 64<<10) }
	refused := func(id string) string { return map[string]string{"x": strings.Repeat("0", 26)}[id] + id }
	for name, tt := range map[string]struct {
		script  script
		dry     bool
		shown   string
		moved   int
		putBack string
		batches []int // how many messages were sent in each call
		want    string
	}{
		"one that is to stay shows again": {shown: "1L L23 4", moved: 4, putBack: "L", batches: []int{1, 2, 1}},
		"one that was moved shows again":  {shown: "12 1 3", moved: 4, batches: []int{2, 1, 1}}, // a message twice has one effect
		"a dry run counts a message once": {dry: true, shown: "12L 1 L 23", moved: 3, putBack: "123L"},
		"one that is refused shows again": {script: script{body: refused, refused: []int{0}}, shown: "1x 2x x 3", moved: 3, putBack: "x", batches: []int{2, 1, 1}, want: "1 messages are left"},
		"a call takes ten messages":       {shown: "abcdefghijk", moved: 11, batches: []int{10, 1}},
		"a call takes 256 KiB":            {script: script{body: large}, shown: "12345", moved: 5, batches: []int{4, 1}},
		"a longer message goes alone":     {script: script{body: func(string) string { return strings.Repeat("x", 256<<10+1) }}, shown: "12", moved: 2, batches: []int{1, 1}},
		"all is put back, ten a call":     {dry: true, shown: "abcdefghijklmnopqrstuvw", moved: 23, putBack: "abcdefghijklmnopqrstuvw"},
		"some are visible already":        {script: script{code: "MessageNotInflight"}, dry: true, shown: "123", moved: 3, putBack: "123"},
		"some are not put back":           {script: script{code: "InternalError"}, dry: true, shown: "123", moved: 3, putBack: "123", want: "1 messages could not be put back; they show again within 10m0s"},
		"nothing is put back":             {script: script{err: errors.New("connection reset")}, dry: true, shown: "123", moved: 3, putBack: "123", want: "put messages back: "},
	} {
		client := &fakeSQS{script: tt.script}
		client.shown = strings.Fields(tt.shown)
		r := sqsqueue.Redrive{Client: client, Began: time.UnixMilli(1000), DryRun: tt.dry, Now: func() time.Time { return now }}
		moved, err := r.Run(t.Context())
		if moved != tt.moved || (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: moved %d, error %v", name, moved, err)
		}
		if putBack := sorted(strings.Join(client.putBack, "")); putBack != sorted(tt.putBack) || client.changes != (len(putBack)+9)/10 {
			t.Errorf("%s: %q put back in %d calls; want %q", name, putBack, client.changes, tt.putBack)
		}
		if !slices.Equal(client.batches, tt.batches) {
			t.Errorf("%s: sent in calls of %v; want %v", name, client.batches, tt.batches)
		}
	}
}

func sorted(s string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Split(s, ""))), "")
}

func TestARedriveEndsWhileNewMessagesKeepFailing(t *testing.T) {
	client := &fakeSQS{script: script{shown: strings.Fields("1L " + strings.Repeat("L ", 1000))}}
	r := sqsqueue.Redrive{Client: client, Began: time.UnixMilli(1000), Now: func() time.Time { return now.Add(time.Duration(client.received) * time.Minute) }}
	if moved, err := r.Run(t.Context()); moved != 1 || err != nil || client.received < 10 || client.received > 13 {
		t.Errorf("moved %d, error %v after %d minutes; want 10 without a message to move", moved, err, client.received)
	}
}
