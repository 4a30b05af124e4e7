package sqsqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

func TestAllThatIsWrongWithAConfigurationIsToldAtOnce(t *testing.T) {
	sound := sqsqueue.Config{
		Client: &fakeSQS{}, URL: "https://queue", DeadLetterURL: "https://dead", Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	for name, tt := range map[string]struct {
		change func(*sqsqueue.Config)
		want   []string
	}{
		"nothing":                     {func(*sqsqueue.Config) {}, nil},
		"no dead entries, and no log": {func(c *sqsqueue.Config) { c.DeadLetterURL, c.Log = "", nil }, nil},
		"all is missing": {func(c *sqsqueue.Config) { *c = sqsqueue.Config{} },
			[]string{"Client is missing", "URL is missing", "Now is missing"}},
		"one queue for both": {func(c *sqsqueue.Config) { c.DeadLetterURL = c.URL }, []string{"URL and DeadLetterURL must be two queues"}},
		"no log":             {func(c *sqsqueue.Config) { c.Log = nil }, []string{"DeadLetterURL and Log must be given together"}},
		"only a log, and no clock": {func(c *sqsqueue.Config) { c.DeadLetterURL, c.Now = "", nil },
			[]string{"Now is missing", "DeadLetterURL and Log must be given together"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := sound
			tt.change(&cfg)
			queue, err := sqsqueue.New(cfg)
			var want []error
			for _, problem := range tt.want {
				want = append(want, errors.New("sqsqueue: "+problem))
			}
			if got, want := fmt.Sprint(err), fmt.Sprint(errors.Join(want...)); got != want || (queue == nil) == (tt.want == nil) {
				t.Errorf("error %s, want %s", got, want)
			}
		})
	}
}

func TestAQueueWithoutADeadLetterQueueRefuses(t *testing.T) {
	queue := awstest.Must(sqsqueue.New(sqsqueue.Config{Client: &fakeSQS{}, URL: "url", Now: time.Now}))
	if err := queue.DeadLetter(t.Context(), []byte("x"), order.ErrMalformed); err == nil || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

func TestSendPutsEveryMessageOnTheQueueOnce(t *testing.T) {
	for _, n := range []int{0, 1, 10, 11, 123} {
		q := open(t)
		if err := q.Send(t.Context(), messages(n)...); err != nil {
			t.Fatalf("%d messages: %v", n, err)
		}
		q.checkMessages(t, n)
	}
}

func TestAMessageIsDelayedForWhatIsLeftOfItsWaitRoundedUp(t *testing.T) {
	for wait, want := range map[time.Duration]int32{
		-time.Hour: 0, 0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, 50 * time.Second: 50,
		15*time.Minute - 1: 900, 15 * time.Minute: 900, 15*time.Minute + 1: 900, 200 * 365 * 24 * time.Hour: 900,
		-now.Sub(time.Time{}): 0, // no wait
	} {
		var client fakeSQS
		m := order.Message{OrderID: id, To: order.Processing, NotBefore: now.Add(wait)}
		if err := newQueue(&client, "url", "dead").Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got := client.sent[0].DelaySeconds; got != want {
			t.Errorf("a wait of %s: %d s, not %d", wait, got, want)
		}
	}
}

// F7: SQS responds 200 and takes only some of the messages.
func TestAMessageThatSQSRefusesIsSentOnceMore(t *testing.T) {
	q := open(t)
	q.faults.Play("SendMessageBatch", awstest.PartlyFailed(false, 1, 2, 3))
	if err := q.Send(t.Context(), messages(4)...); err != nil {
		t.Fatal(err)
	}
	q.checkMessages(t, 4) // none comes twice
}

func TestAnErrorNamesTheFirstMessageThatMayNotBeOnTheQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		script script
		first  int
	}{
		"first of all":         {script{refused: []int{0}}, 0},
		"one in the middle":    {script{refused: []int{17}}, 17},
		"several in any batch": {script{refused: []int{34, 29, 21, 22}}, 21},
		"last":                 {script{refused: []int{34}}, 34},
		"one is not named":     {script{unnamed: "2"}, 2},
	} {
		err := newQueue(&fakeSQS{script: tt.script}, "url", "dead").Send(t.Context(), messages(35)...)
		unsent, ok := errors.AsType[*order.UnsentError](err)
		if !ok || unsent.First != tt.first || !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%s: error %v, not of message %d", name, err, tt.first)
		}
	}
}

func TestErrorsSayWhetherToTryAgain(t *testing.T) {
	q := open(t)
	q.faults.Begin("SendMessageBatch", awstest.NeverArrives)
	q.faults.Begin("SendMessage", awstest.NeverArrives)
	for doing, err := range map[string]error{
		"send":        q.Send(t.Context(), messages(1)...),
		"dead-letter": q.DeadLetter(t.Context(), []byte("x"), order.ErrMalformed),
	} {
		if !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("no response: %s: %v", doing, err)
		}
	}
	gone := newQueue(awstest.SQS(t), awstest.SQSEndpoint(t)+"/"+awstest.Account+"/none", "dead")
	if err := gone.Send(t.Context(), messages(1)...); err == nil || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("there is no such queue: %v", err)
	}
}

const id = order.ID("ORD00000000000000000000000000")

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func messages(n int) []order.Message {
	list := make([]order.Message, n)
	for i := range list {
		list[i] = order.Message{OrderID: order.ID(fmt.Sprintf("ORD%026d", i)), To: order.Processing}
	}
	return list
}

// A testQueue is a queue with a dead-letter queue, and the client of both, whose calls meet faults.
type testQueue struct {
	*sqsqueue.Queue
	client             *sqs.Client
	faults             awstest.Faults
	url, deadLetterURL string
}

func open(t *testing.T) *testQueue {
	t.Helper()
	q := &testQueue{}
	q.client = awstest.SQS(t, sqs.WithAPIOptions(q.faults.Middleware), func(o *sqs.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 1 })
	})
	q.url, q.deadLetterURL = awstest.Queues(t)
	q.Queue = newQueue(q.client, q.url, q.deadLetterURL)
	t.Cleanup(func() {
		if unplayed := q.faults.Unplayed(); len(unplayed) > 0 {
			t.Errorf("faults that did not happen: %v", unplayed)
		}
	})
	return q
}

func newQueue(client sqsqueue.Client, url, dead string) *sqsqueue.Queue {
	return awstest.Must(sqsqueue.New(sqsqueue.Config{
		Client: client, URL: url, DeadLetterURL: dead,
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}))
}

// checkMessages fails the test unless the first n of messages, and no others, are on the queue.
func (q *testQueue) checkMessages(t *testing.T, n int) {
	t.Helper()
	var want, got []string
	for _, m := range messages(n) {
		want = append(want, string(m.Body()))
	}
	for _, m := range receive(t, q.url, n) {
		got = append(got, *m.Body)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("of %d messages %d are on the queue, or others", n, len(got))
	}
}

// receive takes n messages off a queue, and looks whether there are more.
func receive(t *testing.T, url string, n int) (got []types.Message) {
	t.Helper()
	for {
		output, err := awstest.SQS(t).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: map[bool]int32{true: 5}[len(got) < n],
			MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		if len(output.Messages) == 0 {
			return got
		}
		got = append(got, output.Messages...)
	}
}

// A fakeSQS takes what it is sent, up to 256 KiB a call. Its dead-letter queue shows what it is told
// to: a word for each call, a character for each message, L for one that came late.
type fakeSQS struct {
	sqsqueue.Client
	script

	mu       sync.Mutex
	sent     []types.SendMessageBatchRequestEntry
	batches  []int // how many messages each call sent
	received int   // calls
	putBack  []string
	changes  int // calls that put back
}

// A script is what a fakeSQS is told to do.
type script struct {
	refused []int  // messages, by what they end in
	unnamed string // the id of an entry that no response names
	shown   []string
	body    func(id string) string // of a dead letter, if not its id
	code    string                 // of a message in each call that is not put back
	err     error                  // of a call that puts back
}

func (f *fakeSQS) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent, f.batches = append(f.sent, in.Entries...), append(f.batches, len(in.Entries))
	out := &sqs.SendMessageBatchOutput{}
	for _, e := range in.Entries {
		switch {
		case slices.ContainsFunc(f.refused, func(n int) bool { return strings.Contains(*e.MessageBody, fmt.Sprintf("%026d", n)) }):
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("InternalError")})
		case *e.Id != f.unnamed:
			out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
		}
	}
	return out, nil
}

func (f *fakeSQS) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	f.received++
	out := &sqs.ReceiveMessageOutput{}
	if f.received > len(f.shown) {
		return out, nil
	}
	for id := range strings.SplitSeq(f.shown[f.received-1], "") {
		body, sent := id, "999"
		if f.body != nil {
			body = f.body(id)
		}
		if id == "L" {
			sent = "1000"
		}
		out.Messages = append(out.Messages, types.Message{
			MessageId: &id, ReceiptHandle: &id, Body: &body, Attributes: map[string]string{"SentTimestamp": sent},
		})
	}
	return out, nil
}

func (f *fakeSQS) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	out := &sqs.DeleteMessageBatchOutput{}
	for _, e := range in.Entries {
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func (f *fakeSQS) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
	for _, e := range in.Entries {
		f.putBack = append(f.putBack, *e.ReceiptHandle)
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	if f.code != "" {
		out.Failed = []types.BatchResultErrorEntry{{Id: in.Entries[0].Id, Code: &f.code}}
	}
	return out, f.err
}

func TestADeadLetteredMessageIsKeptWithItsReasonInAFormThatSQSTakes(t *testing.T) {
	const limit = 255 << 10
	long := strings.Repeat("é", 1<<19)
	for name, tt := range map[string]struct{ body, kept, form string }{
		"as it is":      {`{"x":"é 🚀` + "\t\r\n" + `"}`, `{"x":"é 🚀` + "\t\r\n" + `"}`, ""},
		"empty":         {"", " ", "empty"},
		"control":       {"a\x00b", `"a\x00b"`, "quoted"},
		"non-character": {"a\uffff", `"a\uffff"`, "quoted"},
		"not UTF-8":     {"é\xff", `"\u00e9\xff"`, "quoted"},
		"largest":       {long[:limit], long[:limit], ""},
		"a byte more":   {strings.Repeat("x", limit+1), strings.Repeat("x", limit), "cut from 261121 bytes"},
		"too long":      {"x" + long, ("x" + long)[:limit-1], "cut from 1048577 bytes"},
		"both":          {"\x01" + strings.Repeat("x", 1<<20), `"\x01` + strings.Repeat("x", limit-5), "quoted, cut from 1048582 bytes"},
	} {
		q := open(t)
		reason := errors.New("bad\x00reason " + strings.Repeat("é", 400))
		if err := q.DeadLetter(t.Context(), []byte(tt.body), reason); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		entries := receive(t, q.deadLetterURL, 1)
		if len(entries) != 1 || aws.ToString(entries[0].Body) != tt.kept {
			t.Errorf("%s: kept %d entries, or another body", name, len(entries))
			continue
		}
		form := aws.ToString(entries[0].MessageAttributes["form"].StringValue)
		why := aws.ToString(entries[0].MessageAttributes["reason"].StringValue)
		if form != tt.form || !strings.HasPrefix(why, "bad\ufffdreason") || utf8.RuneCountInString(why) != 256 {
			t.Errorf("%s: form %q, reason %q", name, form, why)
		}
		if err := q.DeadLetter(t.Context(), []byte("x"), errors.New("")); err != nil {
			t.Errorf("without a reason: %v", err)
		}
	}
}

func TestADeadLetterIsLoggedOnceAsAMetricAndNeverRaw(t *testing.T) {
	var log bytes.Buffer
	url, dead := awstest.Queues(t)
	queue := awstest.Must(sqsqueue.New(sqsqueue.Config{
		Client: awstest.SQS(t), URL: url, DeadLetterURL: dead, Now: func() time.Time { return now },
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}))
	body := `{"order_id":"` + string(id) + `","to":"secret"}`
	if err := queue.DeadLetter(t.Context(), []byte(body), order.ErrNotFound); err != nil {
		t.Fatal(err)
	}
	want := `"level":"WARN","msg":"a message that can never succeed is in the dead-letter queue","order_id":"` + string(id) +
		`","reason":"order not found","QueueName":"` + path.Base(dead) + `","DeadLetteredMessages":1,` +
		`"_aws":{"CloudWatchMetrics":[{"Dimensions":[["QueueName"]],"Metrics":[{"Name":"DeadLetteredMessages","Unit":"Count"}],` +
		`"Namespace":"Orders"}],"Timestamp":1767323045000}}` + "\n"
	if _, line, _ := strings.Cut(log.String(), ","); line != want {
		t.Errorf("logged %s, want %s", line, want)
	}
}
