package sqsqueue_test

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

func TestAllThatIsWrongWithAConfigurationIsToldAtOnce(t *testing.T) {
	sound := sqsqueue.Config{
		Client: nowhere{}, URL: "https://queue", DeadLetterURL: "https://dead", Now: time.Now, Log: slog.New(slog.DiscardHandler),
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
	queue := awstest.Must(sqsqueue.New(sqsqueue.Config{Client: &recorder{Client: nowhere{}}, URL: "url", Now: time.Now}))
	if err := queue.DeadLetter(t.Context(), []byte("x"), order.ErrMalformed); err == nil || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

func TestSendPutsEveryMessageOnTheQueueOnce(t *testing.T) {
	for _, n := range []int{0, 1, 10, 11, 123} {
		queue, client, url, _ := open(t)
		sent := messages(n)
		if err := queue.Send(t.Context(), sent...); err != nil {
			t.Fatalf("%d messages: %v", n, err)
		}
		var want []string
		for _, m := range sent {
			want = append(want, string(m.Body()))
		}
		got := bodies(receive(t, client, url, n))
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d messages: received %d, not those that were sent", n, len(got))
		}
	}
}

func TestAMessageIsDelayedForWhatIsLeftOfItsWaitRoundedUp(t *testing.T) {
	for _, tt := range []struct {
		wait time.Duration
		want int32
	}{
		{-time.Hour, 0},
		{0, 0},
		{1, 1},
		{time.Second, 1},
		{time.Second + 1, 2},
		{50 * time.Second, 50},
		{15*time.Minute - 1, 900},
		{15 * time.Minute, 900},
		{15*time.Minute + 1, 900},
		{200 * 365 * 24 * time.Hour, 900},
	} {
		m := order.Message{OrderID: id, To: order.Processing, NotBefore: now.Add(tt.wait)}
		if got := delay(t, m); got != tt.want {
			t.Errorf("a wait of %s: %d s, not %d", tt.wait, got, tt.want)
		}
	}
	if got := delay(t, order.Message{OrderID: id, To: order.Processing}); got != 0 {
		t.Errorf("no wait: %d s", got)
	}
}

// F7: SQS responds 200 and takes only some of the messages.
func TestAMessageThatSQSRefusesIsSentOnceMore(t *testing.T) {
	client := &recorder{Client: awstest.SQS(t)}
	url, dead := awstest.Queues(t)
	refuse := func(entry types.SendMessageBatchRequestEntry, call int) bool { return call == 1 && *entry.Id != "0" }
	client.refuse = refuse
	if err := newQueue(client, url, dead, t).Send(t.Context(), messages(4)...); err != nil {
		t.Fatal(err)
	}
	if got := client.sizes; !slices.Equal(got, []int{4, 3}) {
		t.Errorf("calls of %v messages, not of those that failed", got)
	}
	if got := receive(t, client.Client, url, 4); len(got) != 4 {
		t.Errorf("%d messages on the queue", len(got))
	}
}

func TestAnErrorNamesTheFirstMessageThatMayNotBeOnTheQueue(t *testing.T) {
	sent := messages(35)
	for name, tt := range map[string]struct {
		refused []int
		first   int
	}{
		"first of all":         {[]int{0}, 0},
		"one in the middle":    {[]int{17}, 17},
		"several in any batch": {[]int{34, 29, 21, 22}, 21},
		"last":                 {[]int{34}, 34},
	} {
		client := &recorder{Client: nowhere{}, refuse: func(entry types.SendMessageBatchRequestEntry, _ int) bool {
			return slices.ContainsFunc(tt.refused, func(i int) bool { return string(sent[i].Body()) == *entry.MessageBody })
		}}
		err := newQueue(client, "url", "dead", t).Send(t.Context(), sent...)
		unsent, ok := errors.AsType[*order.UnsentError](err)
		if !ok || unsent.First != tt.first || !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("%s: error %v, not of message %d", name, err, tt.first)
		}
	}
}

func TestAMessageThatTheResponseDoesNotNameIsUnsent(t *testing.T) {
	client := &recorder{Client: nowhere{}, forget: "2"}
	err := newQueue(client, "url", "dead", t).Send(t.Context(), messages(5)...)
	if unsent, ok := errors.AsType[*order.UnsentError](err); !ok || unsent.First != 2 {
		t.Errorf("error %v", err)
	}
}

func TestErrorsSayWhetherToTryAgain(t *testing.T) {
	client := awstest.SQS(t, func(o *sqs.Options) { o.BaseEndpoint = aws.String("http://127.0.0.1:1"); o.RetryMaxAttempts = 1 })
	queue := newQueue(client, "http://127.0.0.1:1/q", "http://127.0.0.1:1/d", t)
	for doing, err := range map[string]error{
		"send":        queue.Send(t.Context(), messages(1)...),
		"dead-letter": queue.DeadLetter(t.Context(), []byte("x"), order.ErrMalformed),
	} {
		if !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("no response: %s: %v", doing, err)
		}
	}
	gone := newQueue(awstest.SQS(t), awstest.SQSEndpoint(t)+"/"+awstest.Account+"/none", "dead", t)
	if err := gone.Send(t.Context(), messages(1)...); err == nil || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("there is no such queue: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := queue.Send(ended, messages(1)...); !errors.Is(err, context.Canceled) {
		t.Errorf("the context has ended: %v", err)
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

// open returns a queue, and a client of its engine.
func open(t *testing.T) (queue *sqsqueue.Queue, client *sqs.Client, url, dead string) {
	t.Helper()
	client = awstest.SQS(t)
	url, dead = awstest.Queues(t)
	return newQueue(client, url, dead, t), client, url, dead
}

func newQueue(client sqsqueue.Client, url, dead string, t *testing.T) *sqsqueue.Queue {
	t.Helper()
	return awstest.Must(sqsqueue.New(sqsqueue.Config{
		Client: client, URL: url, DeadLetterURL: dead,
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}))
}

// delay is what a message is sent with.
func delay(t *testing.T, m order.Message) (seconds int32) {
	t.Helper()
	client := &recorder{Client: nowhere{}, refuse: func(e types.SendMessageBatchRequestEntry, _ int) bool {
		seconds = e.DelaySeconds
		return false
	}}
	if err := newQueue(client, "url", "dead", t).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return seconds
}

// receive takes n messages off a queue, and looks whether there are more.
func receive(t *testing.T, client sqsqueue.Client, url string, n int) []types.Message {
	t.Helper()
	var got []types.Message
	seen := map[string]bool{}
	for {
		output, err := client.(*sqs.Client).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: map[bool]int32{true: 5}[len(got) < n],
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		for _, m := range output.Messages {
			if seen[*m.MessageId] {
				t.Fatalf("message %s came twice", *m.MessageId)
			}
			seen[*m.MessageId] = true
		}
		got = append(got, output.Messages...)
		if len(output.Messages) == 0 {
			return got
		}
	}
}

func bodies(messages []types.Message) (list []string) {
	for _, m := range messages {
		list = append(list, aws.ToString(m.Body))
	}
	return list
}

// A recorder refuses messages in the name of SQS.
type recorder struct {
	sqsqueue.Client
	refuse func(entry types.SendMessageBatchRequestEntry, call int) bool
	forget string // the id of an entry to leave out of the response
	sizes  []int
}

func (r *recorder) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, options ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	if r.refuse == nil {
		r.refuse = func(types.SendMessageBatchRequestEntry, int) bool { return false }
	}
	if _, engine := r.Client.(*sqs.Client); engine { // one batch at a time then
		r.sizes = append(r.sizes, len(in.Entries))
	}
	var failed []types.BatchResultErrorEntry
	taken := *in
	taken.Entries = nil
	for _, e := range in.Entries {
		if r.refuse(e, len(r.sizes)) {
			failed = append(failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("InternalError")})
		} else {
			taken.Entries = append(taken.Entries, e)
		}
	}
	out, err := r.Client.SendMessageBatch(ctx, &taken, options...)
	if out != nil {
		out.Failed = append(out.Failed, failed...)
		out.Successful = slices.DeleteFunc(out.Successful, func(s types.SendMessageBatchResultEntry) bool { return *s.Id == r.forget })
	}
	return out, err
}

// nowhere takes all that it is sent.
type nowhere struct{ sqsqueue.Client }

func (nowhere) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	out := &sqs.SendMessageBatchOutput{}
	for _, e := range in.Entries {
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func attributes(m types.Message) map[string]string {
	texts := map[string]string{}
	for name, a := range maps.All(m.MessageAttributes) {
		texts[name] = aws.ToString(a.StringValue)
	}
	return texts
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
		"too long":      {"x" + long, ("x" + long)[:limit-1], "cut from 1048577 bytes"},
		"both":          {"\x01" + strings.Repeat("x", 1<<20), `"\x01` + strings.Repeat("x", limit-5), "quoted, cut from 1048582 bytes"},
	} {
		queue, client, _, dead := open(t)
		reason := errors.New("bad\x00reason " + strings.Repeat("é", 400))
		if err := queue.DeadLetter(t.Context(), []byte(tt.body), reason); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		entries := receive(t, client, dead, 1)
		if len(entries) != 1 || aws.ToString(entries[0].Body) != tt.kept {
			t.Errorf("%s: kept %.100q", name, bodies(entries))
			continue
		}
		got := attributes(entries[0])
		if got["form"] != tt.form || !strings.HasPrefix(got["reason"], "bad\ufffdreason") || utf8.RuneCountInString(got["reason"]) != 256 {
			t.Errorf("%s: attributes are %q", name, got)
		}
	}
}

func TestAReasonWithoutWordsIsNoObstacle(t *testing.T) {
	queue, _, _, _ := open(t)
	if err := queue.DeadLetter(t.Context(), []byte("x"), errors.New("")); err != nil {
		t.Error(err)
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
	if strings.Contains(log.String(), "secret") || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("log: %s", log.String())
	}
	var line struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
		DeadLetteredMessages int
		QueueName            string
		OrderID              string `json:"order_id"`
		Level, Reason        string
	}
	if err := json.Unmarshal(log.Bytes(), &line, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if line.AWS.Timestamp != now.UnixMilli() || len(line.AWS.CloudWatchMetrics) != 1 || line.DeadLetteredMessages != 1 {
		t.Fatalf("log: %s", log.String())
	}
	m := line.AWS.CloudWatchMetrics[0]
	if m.Namespace != "Orders" || m.Metrics[0].Name != "DeadLetteredMessages" || m.Dimensions[0][0] != "QueueName" || !strings.HasSuffix(dead, "/"+line.QueueName) {
		t.Errorf("metric %+v of queue %q", m, line.QueueName)
	}
	if line.OrderID != string(id) || line.Reason != "order not found" || line.Level != "WARN" {
		t.Errorf("log: %s", log.String())
	}
}
