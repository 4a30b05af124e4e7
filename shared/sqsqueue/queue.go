// Package sqsqueue keeps messages in SQS: Queue sends them and buries those that
// can never succeed, Receiver works off what Lambda's poller brings, and Redrive
// moves messages out of the dead-letter queue again.
//
// SQS delivers at least once and in any order, and so does this package: that
// a message takes effect once is the processing's promise, not the queue's. A
// wait is the queue's delay, at most 15 minutes; a message that is to wait longer
// comes early and is sent again by whoever processes it.
package sqsqueue

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// A Client is the part of *sqs.Client that a Queue needs.
type Client interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
}

// A Config is what a Queue is made of.
type Config struct {
	// Client, URL, that of the queue, and Now, the clock by which messages wait, are
	// needed always.
	Client Client
	URL    string
	Now    func() time.Time
	// DeadLetterURL is that of the dead-letter queue, and Log is told of every message
	// that is buried, in a form that CloudWatch counts. For Bury, which refuses to work
	// without.
	DeadLetterURL string
	Log           *slog.Logger
}

// validate returns all that is wrong with a configuration.
func (c Config) validate() error {
	var problems []error
	check := func(holds bool, problem string) {
		if !holds {
			problems = append(problems, errors.New("sqsqueue: "+problem))
		}
	}
	check(c.Client != nil, "Client is missing")
	check(c.URL != "", "URL is missing")
	check(c.Now != nil, "Now is missing")
	check(c.DeadLetterURL != c.URL || c.URL == "", "URL and DeadLetterURL must be two queues")
	check((c.DeadLetterURL == "") == (c.Log == nil), "DeadLetterURL and Log must be given together")
	return errors.Join(problems...)
}

// A Queue is an order.Queue in SQS. It is safe for concurrent use.
type Queue struct{ cfg Config }

var _ order.Queue = (*Queue)(nil)

// New returns the queue of a configuration, or all that is wrong with it. It makes no call.
func New(cfg Config) (*Queue, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Queue{cfg: cfg}, nil
}

const (
	// maxBatch is how many messages a SendMessageBatch takes. See
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html.
	maxBatch = 10
	// maxDelay is the longest that SQS keeps a message back.
	maxDelay = 15 * time.Minute
	// sideBySide is how many batches are under way at a time.
	sideBySide = 10
)

// Send puts messages on the queue, ten a call and several calls side by side.
// Those that SQS refuses are sent once more. An error is an *order.UnsentError;
// all messages but the ones from its First on are on the queue, and some of
// those may be.
func (q *Queue) Send(ctx context.Context, messages ...order.Message) error {
	batches := slices.Collect(slices.Chunk(messages, maxBatch))
	unsent := make([]*order.UnsentError, len(batches))
	var group errgroup.Group
	group.SetLimit(sideBySide)
	for i, batch := range batches {
		group.Go(func() error {
			unsent[i] = q.sendBatch(ctx, batch)
			return nil
		})
	}
	_ = group.Wait() // the batches' errors are in unsent
	for i, u := range unsent {
		if u != nil {
			u.First += i * maxBatch
			return u
		}
	}
	return nil
}

// sendBatch sends up to ten messages. SQS answers 200 also when it has refused
// some, so a message is sent when the answer says so and not before.
func (q *Queue) sendBatch(ctx context.Context, messages []order.Message) *order.UnsentError {
	entries := q.entries(messages)
	var refusal error
	for range 2 {
		output, err := q.cfg.Client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.cfg.URL, Entries: entries})
		if err != nil {
			return unsent(entries, awsclient.WrapError("send messages", err))
		}
		entries = slices.DeleteFunc(entries, func(e types.SendMessageBatchRequestEntry) bool {
			return slices.ContainsFunc(output.Successful, func(s types.SendMessageBatchResultEntry) bool {
				return aws.ToString(s.Id) == *e.Id
			})
		})
		if len(entries) == 0 {
			return nil
		}
		refusal = refused("send messages", output.Failed)
	}
	return unsent(entries, refusal)
}

func (q *Queue) entries(messages []order.Message) []types.SendMessageBatchRequestEntry {
	now := q.cfg.Now()
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{
			Id:           aws.String(strconv.Itoa(i)),
			MessageBody:  aws.String(string(m.Body())),
			DelaySeconds: delaySeconds(m.NotBefore, now),
		}
	}
	return entries
}

// unsent says that the first of entries, which are in the order of their ids, may
// not be on the queue.
func unsent(entries []types.SendMessageBatchRequestEntry, err error) *order.UnsentError {
	first, _ := strconv.Atoi(*entries[0].Id)
	return &order.UnsentError{First: first, Err: err}
}

// refused is why SQS has not done what was asked with some messages of a batch.
func refused(doing string, entries []types.BatchResultErrorEntry) error {
	if len(entries) == 0 {
		return fmt.Errorf("%s: %w: the answer does not name them all", doing, order.ErrUnavailable)
	}
	e := entries[0]
	err := fmt.Errorf("%s: %s: %s", doing, aws.ToString(e.Code), aws.ToString(e.Message))
	if e.SenderFault {
		return err
	}
	return errors.Join(order.ErrUnavailable, err)
}

// delaySeconds is what is left of the wait, rounded up, so that a message does
// not come early, as far as SQS keeps one back.
func delaySeconds(notBefore, now time.Time) int32 {
	if !notBefore.After(now) { // also when it is zero: Sub would overflow
		return 0
	}
	wait := min(notBefore.Sub(now), maxDelay)
	return int32((wait + time.Second - 1) / time.Second)
}

// DeadLetter puts a body into the dead-letter queue with the reason as its attribute
// "reason". SQS takes neither an empty body, which becomes a space, nor one with
// certain characters, which is quoted as Go quotes a string, nor one of any
// length, which is cut; the attribute "form" says so. Calling twice buries twice.
//
// Each time the log gets one line, which is also a metric in CloudWatch's
// embedded format: BuriedMessages in the namespace Orders, with the dead-letter
// queue's name as its dimension QueueName. See
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
func (q *Queue) DeadLetter(ctx context.Context, body []byte, reason error) error {
	if q.cfg.DeadLetterURL == "" {
		return errNoDeadLetters
	}
	text, form := letter(body)
	why := attributeText(reason.Error())
	input := &sqs.SendMessageInput{
		QueueUrl: &q.cfg.DeadLetterURL, MessageBody: &text,
		MessageAttributes: map[string]types.MessageAttributeValue{"reason": textAttribute(why)},
	}
	if form != "" {
		input.MessageAttributes["form"] = textAttribute(form)
	}
	if _, err := q.cfg.Client.SendMessage(ctx, input); err != nil {
		return awsclient.WrapError("bury a message", err)
	}
	q.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a message that can never succeed is in the dead-letter queue",
		slog.String("order_id", string(orderID(body))), slog.String("reason", why),
		slog.String("QueueName", path.Base(q.cfg.DeadLetterURL)), slog.Int("BuriedMessages", 1),
		slog.Any("_aws", metricDirective(q.cfg.Now().UnixMilli())))
	return nil
}

var errNoDeadLetters = errors.New("this queue has no DeadLetterURL, and so buries no message")

// metricDirective makes a metric of the log line that holds it.
func metricDirective(millis int64) map[string]any {
	return map[string]any{
		"Timestamp": millis,
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  "Orders",
			"Dimensions": [][]string{{"QueueName"}},
			"Metrics":    []any{map[string]string{"Name": "BuriedMessages", "Unit": "Count"}},
		}},
	}
}

// maxBody is how many bytes of a body are kept: what any queue takes (256 KiB),
// with room for the attributes.
const maxBody = 255 << 10

// letter is a body in a form that SQS takes, and what was done to it.
func letter(body []byte) (text, form string) {
	text = string(body)
	if text == "" {
		return " ", "empty"
	}
	if !sendable(text) {
		text, form = strconv.QuoteToASCII(text), "quoted"
	}
	if len(text) > maxBody {
		text, form = cut(text, maxBody), strings.TrimPrefix(fmt.Sprintf("%s, cut from %d bytes", form, len(text)), ", ")
	}
	return text, form
}

// sendable reports whether SQS takes all characters of s. See
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html.
func sendable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, forbidden)
}

func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// cut is as much of s as fits into n bytes, whole characters only.
func cut(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// attributeText is s as an attribute may be: short, not empty, and without the
// characters that SQS refuses.
func attributeText(s string) string {
	const most = 256
	s = strings.Map(func(r rune) rune {
		if forbidden(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most])
	}
	if s == "" {
		return "unknown"
	}
	return s
}

func textAttribute(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
}

// orderID is the id that a body names, for the log, "" when it names none. The
// body itself is never logged: it can hold anything.
func orderID(body []byte) order.ID {
	var named struct {
		OrderID string `json:"order_id"`
	}
	if err := json.Unmarshal(body, &named); err != nil {
		return ""
	}
	id, err := order.ParseID(named.OrderID)
	if err != nil {
		return ""
	}
	return id
}
