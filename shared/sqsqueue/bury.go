package sqsqueue

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/awsclient"
	"orders/shared/order"
)

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
