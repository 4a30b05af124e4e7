package main

import (
	"crypto/md5"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// deadLetter puts messages into a dead-letter queue, each with a reason.
func deadLetter(t *testing.T, client *sqs.Client, url string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: &url, MessageBody: aws.String(body),
			MessageAttributes: map[string]types.MessageAttributeValue{
				"reason": {DataType: aws.String("String"), StringValue: aws.String("order not found")},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRedriveMovesTheEntriesBack(t *testing.T) {
	client, url, dead := openQueues(t)
	bodies := []string{"a", "b\n", "c"}
	deadLetter(t, client, dead, bodies...)

	code, stdout, stderr := invoke(t, "redrive", "--dry-run")
	line := `\S+Z  [-0-9a-f]+  "order not found"  "(a|b\\n|c)"\n`
	if want := regexp.MustCompile(`^(` + line + `){3}would move 3 messages to the queue\n$`); code != exitOK || !want.MatchString(stdout) || stderr != "" {
		t.Errorf("dry run: exit code %d\n%s%s", code, stdout, stderr)
	}
	if got := received(t, client, url, 1); len(got) != 0 {
		t.Errorf("the dry run moved %q", got)
	}
	code, stdout, _ = invoke(t, "redrive", "--json")
	report := readJSON[redriveReport](t, stdout)
	if code != exitOK || report.Moved != 3 || report.DryRun || len(report.Messages) != 3 || report.Messages[0].Reason != "order not found" {
		t.Errorf("exit code %d, %+v", code, report)
	}
	if got := received(t, client, url, 4); !slices.Equal(got, bodies) {
		t.Errorf("the queue has %q, want %q", got, bodies)
	}
	if got := received(t, client, dead, 1); len(got) != 0 {
		t.Errorf("the dead-letter queue still has %q", got)
	}
	code, stdout, _ = invoke(t, "redrive")
	if code != exitOK || stdout != "moved 0 messages to the queue\n" {
		t.Errorf("of an empty queue: exit code %d, %s", code, stdout)
	}
}

func TestRedriveKeepsToTheLimit(t *testing.T) {
	client, url, dead := openQueues(t)
	deadLetter(t, client, dead, "a", "b", "c")
	code, stdout, _ := invoke(t, "redrive", "--limit", "2")
	if code != exitOK || !strings.HasSuffix(stdout, "moved 2 messages to the queue\n") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if moved, left := len(received(t, client, url, 3)), len(received(t, client, dead, 3)); moved != 2 || left != 1 {
		t.Errorf("%d moved, %d left", moved, left)
	}
}

func TestRedriveFromAQueueThatIsNotThereFails(t *testing.T) {
	_, url, dead := openQueues(t)
	code, stdout, stderr := invoke(t, "redrive", "--queue-url", url, "--dead-letter-queue-url", dead+"-none")
	if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "ordersctl: look at the dead-letter queue: ") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// The clock of this machine may be wrong; SQS dates the messages by its own.
func TestRedriveGoesByTheClockOfSQS(t *testing.T) {
	for _, ahead := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		inAWS(t)
		t.Setenv("AWS_ENDPOINT_URL_SQS", datedQueue(t, time.Now().Add(ahead)))
		code, stdout, stderr := invoke(t, "redrive", "--dry-run", "--json", "--queue-url", "http://sqs/1/orders", "--dead-letter-queue-url", "http://sqs/1/dead")
		report := readJSON[redriveReport](t, stdout)
		if code != exitOK || report.Moved != 1 || report.Messages[0].Body != "before" {
			t.Errorf("SQS is %v ahead: exit code %d, %+v, %s", ahead, code, report, stderr)
		}
	}
}

func TestRedriveWithoutTheClockOfSQSMovesNothing(t *testing.T) {
	inAWS(t)
	t.Setenv("AWS_ENDPOINT_URL_SQS", datedQueue(t, time.Time{}))
	code, stdout, stderr := invoke(t, "redrive", "--queue-url", "http://sqs/1/orders", "--dead-letter-queue-url", "http://sqs/1/dead")
	if code != exitFailed || stdout != "" || stderr != "ordersctl: look at the dead-letter queue: the response has no date\n" {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// datedQueue is a dead-letter queue at that time, or without any, with an entry of a minute before
// and one of a minute later.
func datedQueue(t *testing.T, now time.Time) (endpoint string) {
	t.Helper()
	newEntry := func(body string, sent time.Time) string {
		return fmt.Sprintf(`{"MessageId":%[1]q,"ReceiptHandle":%[1]q,"Body":%[1]q,"MD5OfBody":"%x","Attributes":{"SentTimestamp":"%d"}}`,
			body, md5.Sum([]byte(body)), sent.UnixMilli())
	}
	entries := `{"Messages":[` + newEntry("before", now.Add(-time.Minute)) + `,` + newEntry("later", now.Add(time.Minute)) + `]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		if !now.IsZero() {
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		}
		response := "{}"
		if r.Header.Get("X-Amz-Target") == "AmazonSQS.ReceiveMessage" {
			response, entries = entries, response
		}
		_, _ = io.WriteString(w, response)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
