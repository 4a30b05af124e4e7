package sqsqueue_test

import (
	"bytes"
	"encoding/json/v2"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"

	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
)

func TestABuriedMessageIsKeptWithItsReasonInAFormThatSQSTakes(t *testing.T) {
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
		client := awstest.SQS(t)
		url, dead := awstest.Queues(t)
		reason := errors.New("bad\x00reason " + strings.Repeat("é", 400))
		if err := newQueue(client, url, dead, t).DeadLetter(t.Context(), []byte(tt.body), reason); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		letters := receive(t, client, dead, 1)
		if len(letters) != 1 || aws.ToString(letters[0].Body) != tt.kept {
			t.Errorf("%s: kept %.100q", name, bodies(letters))
			continue
		}
		got := attributes(letters[0])
		if got["form"] != tt.form || !strings.HasPrefix(got["reason"], "bad\ufffdreason") || utf8.RuneCountInString(got["reason"]) != 256 {
			t.Errorf("%s: attributes are %q", name, got)
		}
	}
}

func TestAReasonWithoutWordsIsNoObstacle(t *testing.T) {
	client := awstest.SQS(t)
	url, dead := awstest.Queues(t)
	if err := newQueue(client, url, dead, t).DeadLetter(t.Context(), []byte("x"), errors.New("")); err != nil {
		t.Error(err)
	}
}

func TestWhatIsBuriedIsLoggedOnceAsAMetricAndNeverRaw(t *testing.T) {
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
		BuriedMessages int
		QueueName      string
		OrderID        string `json:"order_id"`
		Level, Reason  string
	}
	if err := json.Unmarshal(log.Bytes(), &line, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if line.AWS.Timestamp != now.UnixMilli() || len(line.AWS.CloudWatchMetrics) != 1 || line.BuriedMessages != 1 {
		t.Fatalf("log: %s", log.String())
	}
	m := line.AWS.CloudWatchMetrics[0]
	if m.Namespace != "Orders" || m.Metrics[0].Name != "BuriedMessages" || m.Dimensions[0][0] != "QueueName" || !strings.HasSuffix(dead, "/"+line.QueueName) {
		t.Errorf("metric %+v of queue %q", m, line.QueueName)
	}
	if line.OrderID != string(id) || line.Reason != "order not found" || line.Level != "WARN" {
		t.Errorf("log: %s", log.String())
	}
}
