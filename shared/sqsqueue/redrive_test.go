package sqsqueue_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
)

// F16.
func TestRedriveMovesTheEntriesOfTheDeadLetterQueue(t *testing.T) {
	for name, tt := range map[string]struct{ entries, limit, moved int }{
		"none": {0, 0, 0}, "all": {23, 0, 23}, "as many as asked for": {23, 12, 12}, "fewer than asked for": {3, 12, 3},
	} {
		r := newRedrive(t, tt.entries)
		r.Limit = tt.limit
		var told []string
		r.Step = func(l sqsqueue.Entry) { told = append(told, l.Body+" "+l.Reason) }
		moved, err := r.Run(t.Context())
		if err != nil || moved != tt.moved || len(told) != tt.moved {
			t.Errorf("%s: moved %d, told of %d, error %v", name, moved, len(told), err)
		}
		if tt.limit == 0 && tt.entries > 0 && !slices.Contains(told, "0 malformed message") {
			t.Errorf("%s: told %q", name, told)
		}
		checkQueues(t, name, r, moved, tt.entries-moved)
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
	checkQueues(t, "after two dry runs", r, 0, 13)
}

func TestAnEntryThatIsNewerThanTheBeginningStays(t *testing.T) {
	r := newRedrive(t, 3)
	r.Began = time.Now().Add(-time.Hour)
	if n, err := r.Run(t.Context()); n != 0 || err != nil {
		t.Errorf("moved %d, error %v", n, err)
	}
	checkQueues(t, "newer entries", r, 0, 3)
}

// In each case 5 messages are in the dead-letter queue.
func TestNoFailureDuringARedriveLosesAMessage(t *testing.T) {
	for name, tt := range map[string]struct {
		faulty                        faulty
		moved, onQueue, inDeadLetters int
	}{
		"a message is not taken":         {faulty{refuseSend: []string{"0"}, transient: true}, 4, 4, 1},
		"a message is not deleted":       {faulty{refuseDelete: []string{"0"}, transient: true}, 4, 5, 1}, // it is in both
		"nothing is taken":               {faulty{sendErr: errBroken}, 0, 0, 5},
		"nothing is deleted":             {faulty{deleteErr: errBroken}, 0, 5, 5},
		"it is ended before messages go": {faulty{cancelBefore: true}, 0, 0, 5},
		"it is ended when they are sent": {faulty{cancelAfter: true}, 5, 5, 0},
	} {
		r := newRedrive(t, 5)
		ctx, cancel := context.WithCancel(t.Context())
		tt.faulty.RedriveClient, tt.faulty.bodies, tt.faulty.cancel = r.Client, map[string]string{}, cancel
		r.Client = tt.faulty
		if moved, err := r.Run(ctx); moved != tt.moved || !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%s: moved %d, error %v", name, moved, err)
		}
		checkQueues(t, name, r, tt.onQueue, tt.inDeadLetters)
		cancel()
	}
}

// checkQueues fails the test unless so many messages are on the queue and in the dead-letter queue.
func checkQueues(t *testing.T, name string, r sqsqueue.Redrive, onQueue, inDeadLetters int) {
	t.Helper()
	client := awstest.SQS(t)
	if got := len(receive(t, client, r.URL, onQueue)); got != onQueue {
		t.Errorf("%s: %d on the queue, not %d", name, got, onQueue)
	}
	if got := len(receive(t, client, r.DeadLetterURL, inDeadLetters)); got != inDeadLetters {
		t.Errorf("%s: %d in the dead-letter queue, not %d", name, got, inDeadLetters)
	}
}

// F16, I14: of 24 messages, those that SQS refuses stay and are reported; the others are moved.
func TestAMessageThatSQSRefusesEndsNoRedrive(t *testing.T) {
	for name, tt := range map[string]struct {
		faulty                        faulty
		moved, onQueue, inDeadLetters int
		want                          string
	}{
		"to take": {faulty{refuseSend: []string{"0", "7", "23"}}, 21, 21, 3,
			"3 messages are left in the dead-letter queue: send messages to the queue: InvalidMessageContents: not taken"},
		"to take any": {faulty{refuseSend: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}}, 14, 14, 10,
			"10 messages are left in the dead-letter queue: send messages to the queue: InvalidMessageContents: not taken"},
		"to delete": {faulty{refuseDelete: []string{"4", "11"}}, 22, 24, 2,
			"2 messages are left in the dead-letter queue: delete messages, which are in both queues now: ReceiptHandleIsInvalid: not taken"},
	} {
		r := newRedrive(t, 24)
		tt.faulty.RedriveClient, tt.faulty.bodies = r.Client, map[string]string{}
		r.Client = tt.faulty
		var moved []string
		r.Step = func(e sqsqueue.Entry) { moved = append(moved, e.Body) }
		n, err := r.Run(t.Context())
		if n != tt.moved || len(moved) != tt.moved || err == nil || err.Error() != tt.want || errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%s: moved %d, reported %d, error %v", name, n, len(moved), err)
		}
		for _, body := range append(tt.faulty.refuseSend, tt.faulty.refuseDelete...) {
			if slices.Contains(moved, body) {
				t.Errorf("%s: reported %s as moved", name, body)
			}
		}
		checkQueues(t, name, r, tt.onQueue, tt.inDeadLetters)
	}
}

// A refused message that comes again is not retried, which might go on forever, and is put back in
// the end.
func TestAMessageThatSQSRefusesIsTriedOnce(t *testing.T) {
	entries := &shelf{shown: strings.Fields("1x 2x x 3"), refused: "x"}
	r := entries.redrive()
	moved, err := r.Run(t.Context())
	if moved != 3 || err == nil || entries.tried != 1 || !slices.Equal(entries.putBack, []string{"x"}) {
		t.Errorf("moved %d, error %v, tried %d times, put back %q", moved, err, entries.tried, entries.putBack)
	}
}

// A faulty client does what SQS or the network may do.
type faulty struct {
	sqsqueue.RedriveClient
	refuseSend, refuseDelete []string // the bodies of messages
	transient                bool     // whether these refusals are the fault of SQS
	sendErr, deleteErr       error    // of every call
	cancelBefore             bool     // the context, before a call that sends
	cancelAfter              bool
	cancel                   context.CancelFunc
	bodies                   map[string]string // of messages received, by receipt
}

func (f faulty) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, options ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	out, err := f.RedriveClient.ReceiveMessage(ctx, in, options...)
	if err == nil {
		for _, m := range out.Messages {
			f.bodies[*m.ReceiptHandle] = *m.Body
		}
	}
	return out, err
}

func (f faulty) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, options ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	if f.sendErr != nil {
		return nil, f.sendErr
	}
	if f.cancelBefore {
		f.cancel()
	}
	if f.cancelAfter {
		defer f.cancel()
	}
	var refused []types.BatchResultErrorEntry
	in.Entries = slices.DeleteFunc(in.Entries, func(e types.SendMessageBatchRequestEntry) bool {
		bad := slices.Contains(f.refuseSend, *e.MessageBody)
		if bad {
			refused = append(refused, newRefusal(e.Id, "InvalidMessageContents", !f.transient))
		}
		return bad
	})
	out := &sqs.SendMessageBatchOutput{}
	var err error
	if len(in.Entries) > 0 {
		out, err = f.RedriveClient.SendMessageBatch(ctx, in, options...)
	}
	if err == nil {
		out.Failed = append(out.Failed, refused...)
	}
	return out, err
}

func (f faulty) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, options ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	if f.deleteErr != nil {
		return nil, f.deleteErr
	}
	var refused []types.BatchResultErrorEntry
	in.Entries = slices.DeleteFunc(in.Entries, func(e types.DeleteMessageBatchRequestEntry) bool {
		bad := slices.Contains(f.refuseDelete, f.bodies[*e.ReceiptHandle])
		if bad {
			refused = append(refused, newRefusal(e.Id, "ReceiptHandleIsInvalid", !f.transient))
		}
		return bad
	})
	out, err := f.RedriveClient.DeleteMessageBatch(ctx, in, options...)
	if err == nil {
		out.Failed = append(out.Failed, refused...)
	}
	return out, err
}

func newRefusal(id *string, code string, senderFault bool) types.BatchResultErrorEntry {
	return types.BatchResultErrorEntry{Id: id, SenderFault: senderFault, Code: &code, Message: aws.String("not taken")}
}

func TestMessagesThatAreTooLongForOneCallAreMovedInSeveral(t *testing.T) {
	entries := &shelf{shown: []string{"12345"}, body: strings.Repeat("x", 100<<10)}
	r := entries.redrive()
	if moved, err := r.Run(t.Context()); moved != 5 || err != nil {
		t.Errorf("moved %d, error %v", moved, err)
	}
}

// SQS may return a message again, after its visibility timeout or without a reason.
func TestAMessageThatShowsAgainEndsNoRedrive(t *testing.T) {
	for name, tt := range map[string]struct {
		dry    bool
		shown  string
		moved  int
		hidden string // put back in the end
	}{
		"one that is to stay":      {false, "1L L23 4", 4, "L"},
		"one that was moved":       {false, "12 1 3", 4, ""}, // again: a message twice has one effect
		"in a dry run, one of all": {true, "12L 1 L 23", 3, "123L"},
	} {
		entries := &shelf{shown: strings.Fields(tt.shown)}
		r := entries.redrive()
		r.DryRun = tt.dry
		moved, err := r.Run(t.Context())
		slices.Sort(entries.putBack)
		if putBack := strings.Join(entries.putBack, ""); moved != tt.moved || err != nil || putBack != tt.hidden {
			t.Errorf("%s: moved %d, error %v, %q put back; want %d and %q", name, moved, err, putBack, tt.moved, tt.hidden)
		}
	}
}

func TestARedriveEndsWhileNewMessagesKeepFailing(t *testing.T) {
	entries := &shelf{shown: strings.Fields("1L " + strings.Repeat("L ", 1000))}
	r := sqsqueue.Redrive{Client: entries, Began: time.UnixMilli(1000), Now: func() time.Time { return now.Add(time.Duration(entries.calls) * time.Minute) }}
	if moved, err := r.Run(t.Context()); moved != 1 || err != nil || entries.calls < 10 || entries.calls > 13 {
		t.Errorf("moved %d, error %v after %d minutes; want 10 without a message to move", moved, err, entries.calls)
	}
}

func TestAllThatIsHiddenIsPutBackTenACall(t *testing.T) {
	for name, tt := range map[string]struct {
		shelf *shelf
		calls int
		err   string
	}{
		"all":              {&shelf{}, 3, ""},
		"visible already":  {&shelf{code: "MessageNotInflight"}, 3, ""},
		"some are refused": {&shelf{code: "InternalError"}, 3, "3 messages could not be put back; they show again within 10m0s"},
		"no response":      {&shelf{err: errBroken}, 0, "connection reset"},
	} {
		tt.shelf.shown = []string{"abcdefghi", "jklmnopqr", "stuvw"}
		r := tt.shelf.redrive()
		r.DryRun = true
		moved, err := r.Run(t.Context())
		if moved != 23 || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || tt.calls > 0 && tt.shelf.changes != tt.calls {
			t.Errorf("%s: moved %d, error %v, %d calls", name, moved, err, tt.shelf.changes)
		}
	}
}

// newRedrive has n entries to move.
func newRedrive(t *testing.T, n int) sqsqueue.Redrive {
	t.Helper()
	queue, client, url, dead := open(t)
	for i := range n {
		if err := queue.DeadLetter(t.Context(), []byte(strconv.Itoa(i)), order.ErrMalformed); err != nil {
			t.Fatal(err)
		}
	}
	return sqsqueue.Redrive{Client: client, URL: url, DeadLetterURL: dead, Began: time.Now().Add(time.Second), Now: time.Now}
}

var errBroken = errors.New("connection reset")

// A shelf is a dead-letter queue that shows what it is told to: a word for each call, a character
// for each message, L for one that came late.
type shelf struct {
	shown   []string
	body    string // of each message, if not its id
	code    string // of a message in each call that is not put back
	err     error  // of a call that puts back
	refused string // the body of one that the queue does not take
	tried   int    // how often it was sent
	calls   int    // that received
	mu      sync.Mutex
	changes int
	putBack []string
}

func (s *shelf) redrive() sqsqueue.Redrive {
	return sqsqueue.Redrive{Client: s, Began: time.UnixMilli(1000), Now: func() time.Time { return now }}
}

func (s *shelf) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	s.calls++
	out := &sqs.ReceiveMessageOutput{}
	if s.calls > len(s.shown) {
		return out, nil
	}
	for id := range strings.SplitSeq(s.shown[s.calls-1], "") {
		sent := "999"
		if id == "L" {
			sent = "1000"
		}
		out.Messages = append(out.Messages, types.Message{
			MessageId: &id, ReceiptHandle: &id, Body: aws.String(cmp.Or(s.body, id)), Attributes: map[string]string{"SentTimestamp": sent},
		})
	}
	return out, nil
}

// SendMessageBatch takes 256 KiB in a call, as each queue does.
func (s *shelf) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	size := 0
	for _, e := range in.Entries {
		size += len(*e.MessageBody)
	}
	if size > 256<<10 {
		return nil, &types.BatchRequestTooLong{}
	}
	out, err := nowhere{}.SendMessageBatch(ctx, in)
	for i, e := range in.Entries {
		if s.refused != "" && *e.MessageBody == s.refused {
			s.tried++
			out.Successful = slices.Delete(out.Successful, i, i+1)
			out.Failed = append(out.Failed, newRefusal(e.Id, "InvalidMessageContents", true))
		}
	}
	return out, err
}

func (*shelf) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	out := &sqs.DeleteMessageBatchOutput{}
	for _, e := range in.Entries {
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func (s *shelf) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	for _, e := range in.Entries {
		s.putBack = append(s.putBack, *e.ReceiptHandle)
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	if s.code != "" {
		out.Failed = []types.BatchResultErrorEntry{{Id: in.Entries[0].Id, Code: &s.code}}
	}
	return out, s.err
}
