// Package sqsqueue keeps messages in SQS: Queue sends them and dead-letters those that can never
// succeed, Receiver processes the batches that Lambda's poller delivers, and Redrive moves messages
// from the dead-letter queue back to the queue.
//
// SQS delivers at least once and in any order, and so does this package. That a message takes
// effect once is the promise of the processing, not of the queue. A wait is the queue's delay, at
// most 15 minutes. A message that has to wait longer comes early, and the processing sends it
// again.
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

// A Client is the part of *sqs.Client that a Queue uses.
type Client interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
}

// A Config configures a Queue.
type Config struct {
	// Client, URL (of the queue) and Now (the clock for delays) are required.
	Client Client
	URL    string
	Now    func() time.Time
	// DeadLetterURL is the URL of the dead-letter queue. Log gets a line for each message that is
	// dead-lettered, which CloudWatch counts. Without them, DeadLetter returns an error.
	DeadLetterURL string
	Log           *slog.Logger
}

// validate returns all problems of a configuration.
func (c Config) validate() error {
	var problems []error
	check := func(ok bool, problem string) {
		if !ok {
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

// New returns the queue of a configuration, or all problems of it. It makes no request.
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
	// maxDelay is the longest delay of SQS.
	maxDelay = 15 * time.Minute
	// maxConcurrent is how many batches are sent concurrently.
	maxConcurrent = 10
)

// Send puts messages on the queue, ten a call and several calls concurrently. Messages that SQS
// refuses are sent once more. An error is an *order.UnsentError: all messages before its First are
// on the queue, and some of the others may be.
func (q *Queue) Send(ctx context.Context, messages ...order.Message) error {
	batches := slices.Collect(slices.Chunk(messages, maxBatch))
	unsent := make([]*order.UnsentError, len(batches))
	var group errgroup.Group
	group.SetLimit(maxConcurrent)
	for i, batch := range batches {
		group.Go(func() error {
			unsent[i] = q.sendBatch(ctx, batch)
			return nil
		})
	}
	_ = group.Wait() // the errors are in unsent
	for i, u := range unsent {
		if u != nil {
			u.First += i * maxBatch
			return u
		}
	}
	return nil
}

// sendBatch sends up to ten messages. The status of a response is 200 also when SQS has refused
// some of them, so a message is sent when the response says so.
func (q *Queue) sendBatch(ctx context.Context, messages []order.Message) *order.UnsentError {
	entries := q.newEntries(messages)
	var refusal error
	for range 2 {
		output, err := q.cfg.Client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.cfg.URL, Entries: entries})
		if err != nil {
			return newUnsentError(entries, awsclient.WrapError("send messages", err))
		}
		entries = slices.DeleteFunc(entries, func(e types.SendMessageBatchRequestEntry) bool {
			return slices.ContainsFunc(output.Successful, func(s types.SendMessageBatchResultEntry) bool {
				return aws.ToString(s.Id) == *e.Id
			})
		})
		if len(entries) == 0 {
			return nil
		}
		refusal = newRefusal("send messages", output.Failed)
	}
	return newUnsentError(entries, refusal)
}

func (q *Queue) newEntries(messages []order.Message) []types.SendMessageBatchRequestEntry {
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

// newUnsentError names the first of the entries, which are sorted by id.
func newUnsentError(entries []types.SendMessageBatchRequestEntry, err error) *order.UnsentError {
	first, _ := strconv.Atoi(*entries[0].Id)
	return &order.UnsentError{First: first, Err: err}
}

// newRefusal is the error of a batch of which SQS has refused some entries.
func newRefusal(action string, entries []types.BatchResultErrorEntry) error {
	if len(entries) == 0 {
		return fmt.Errorf("%s: %w: the response does not name all entries", action, order.ErrUnavailable)
	}
	e := entries[0]
	err := fmt.Errorf("%s: %s: %s", action, aws.ToString(e.Code), aws.ToString(e.Message))
	if e.SenderFault {
		return err
	}
	return errors.Join(order.ErrUnavailable, err)
}

// delaySeconds is the rest of the wait, at most maxDelay, rounded up so that a message does not
// come early.
func delaySeconds(notBefore, now time.Time) int32 {
	if !notBefore.After(now) { // also when it is zero: Sub would overflow
		return 0
	}
	wait := min(notBefore.Sub(now), maxDelay)
	return int32((wait + time.Second - 1) / time.Second)
}

// DeadLetter puts a body into the dead-letter queue, with the reason as the attribute "reason". SQS
// refuses an empty body, which becomes a space; a body with certain characters, which is quoted as
// a Go string; and a body that is too long, which is cut. The attribute "form" says so. Calling it
// twice makes two entries.
//
// Each call logs one line, which is also a metric in CloudWatch's embedded format:
// DeadLetteredMessages in the namespace Orders, with the name of the dead-letter queue as the
// dimension QueueName. See
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
func (q *Queue) DeadLetter(ctx context.Context, body []byte, reason error) error {
	if q.cfg.DeadLetterURL == "" {
		return errors.New("dead-letter a message: the queue has no DeadLetterURL")
	}
	text, form := encodeBody(body)
	why := encodeAttribute(reason.Error())
	input := &sqs.SendMessageInput{
		QueueUrl: &q.cfg.DeadLetterURL, MessageBody: &text,
		MessageAttributes: map[string]types.MessageAttributeValue{"reason": newAttribute(why)},
	}
	if form != "" {
		input.MessageAttributes["form"] = newAttribute(form)
	}
	if _, err := q.cfg.Client.SendMessage(ctx, input); err != nil {
		return awsclient.WrapError("dead-letter a message", err)
	}
	attrs := []slog.Attr{slog.String("order_id", string(parseOrderID(body))), slog.String("reason", why)}
	q.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a message that can never succeed is in the dead-letter queue",
		append(attrs, awsclient.Metrics(q.cfg.Now(), "QueueName", path.Base(q.cfg.DeadLetterURL),
			awsclient.Metric{Name: "DeadLetteredMessages", Unit: "Count", Values: []int64{1}})...)...)
	return nil
}

// maxBody is how many bytes of a body are kept: any queue takes 256 KiB, attributes included.
const maxBody = 255 << 10

// encodeBody returns a body that SQS takes, and how it differs from the original.
func encodeBody(body []byte) (text, form string) {
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
	return utf8.ValidString(s) && !strings.ContainsFunc(s, isForbidden)
}

func isForbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// cut returns at most the first n bytes of s, without a part of a character.
func cut(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// encodeAttribute returns s as SQS takes it for an attribute: not empty, at most 256 characters,
// and the replacement character in place of those that SQS refuses.
func encodeAttribute(s string) string {
	const maxRunes = 256
	s = strings.Map(func(r rune) rune {
		if isForbidden(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	if runes := []rune(s); len(runes) > maxRunes {
		s = string(runes[:maxRunes])
	}
	if s == "" {
		return "unknown"
	}
	return s
}

func newAttribute(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
}

// parseOrderID returns the order id in a body for the log, "" if there is none. The body itself is
// never logged, because it may contain anything.
func parseOrderID(body []byte) order.ID {
	var message struct {
		OrderID string `json:"order_id"`
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return ""
	}
	id, err := order.ParseID(message.OrderID)
	if err != nil {
		return ""
	}
	return id
}
