package sqsqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"orders/shared/order"
	"orders/shared/sqsqueue"
)

// Lambda reads the JSON that the runtime makes of the response.
func TestASuccessfulBatchReturnsAnEmptyListNeverNull(t *testing.T) {
	function := lambda.NewHandler(receiver(func(string) error { return nil }).Handle)
	for _, event := range []string{`{"Records":[{"messageId":"a","body":"x"}]}`, `{"Records":[]}`, `{"Records":null}`, `{}`} {
		response, err := function.Invoke(t.Context(), []byte(event))
		if err != nil || string(response) != `{"batchItemFailures":[]}` {
			t.Errorf("%s: %s, error %v", event, response, err)
		}
	}
}

// F14, I14.
func TestAMessageThatFailsOrPanicsComesAgainAndTheOthersAreDone(t *testing.T) {
	var mu sync.Mutex
	var done []string
	var log bytes.Buffer
	r := receiver(func(body string) error {
		switch {
		case body == "fails", strings.Contains(body, "order_id"):
			return errors.New("store is unavailable")
		case body == "panics":
			panic("out of range")
		}
		mu.Lock()
		defer mu.Unlock()
		done = append(done, body)
		return nil
	})
	r.Log = slog.New(slog.NewTextHandler(&log, nil))
	bad := fmt.Sprintf(`{"order_id":%q,"to":"Processing"}`, id)
	got := failures(handle(t, r, batch("a", "fails", "b", "panics", "c", bad)))
	if want := []string{"id-1", "id-3", "id-5"}; !slices.Equal(got, want) {
		t.Errorf("failures %v, not %v", got, want)
	}
	slices.Sort(done)
	if want := []string{"a", "b", "c"}; !slices.Equal(done, want) {
		t.Errorf("done %v, not %v", done, want)
	}
	for _, id := range got {
		if n := strings.Count(log.String(), "message_id="+id+" "); n != 1 {
			t.Errorf("%d lines about %s: %s", n, id, log.String())
		}
	}
	if strings.Count(log.String(), "message_id=id-5 order_id="+string(id)+" ") != 1 {
		t.Errorf("the log does not name the order: %s", log.String())
	}
}

func TestMessagesOfABatchAreProcessedConcurrently(t *testing.T) {
	var all sync.WaitGroup
	all.Add(10)
	r := receiver(func(string) error {
		all.Done()
		all.Wait() // returns only if the others have begun
		return nil
	})
	if got := failures(handle(t, r, batch(make([]string, 10)...))); len(got) != 0 {
		t.Errorf("failures %v", got)
	}
}

// F13: unfinished messages come again, and finished ones stay done, also when the processing
// ignores its context.
func TestUnfinishedMessagesAreReturnedBeforeTheDeadline(t *testing.T) {
	for name, wait := range map[string]func(context.Context){
		"listens":         func(ctx context.Context) { <-ctx.Done() },
		"does not":        func(context.Context) { time.Sleep(20 * time.Second) },
		"is just in time": func(context.Context) { time.Sleep(9*time.Second - time.Nanosecond) },
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r := receiver(nil)
			r.Process = func(ctx context.Context, body []byte, _ time.Time) error {
				if string(body) == "slow" {
					wait(ctx)
				}
				return ctx.Err()
			}
			begin := time.Now()
			response, err := r.Handle(ctx, batch("a", "slow", "b"))
			want := []string{"id-1"}
			if name == "is just in time" {
				want = nil
			}
			if got := failures(response); !slices.Equal(got, want) || err != nil || time.Since(begin) > 9*time.Second {
				t.Errorf("%s: failures %v after %s, error %v", name, got, time.Since(begin), err)
			}
			time.Sleep(20 * time.Second) // the one that does not listen
		})
	}
}

func receiver(process func(body string) error) sqsqueue.Receiver {
	return sqsqueue.Receiver{
		Process: func(_ context.Context, body []byte, at time.Time) error {
			if !at.Equal(now) {
				return fmt.Errorf("at %s, not %s", at, now)
			}
			return process(string(body))
		},
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
}

// Done sees all of a batch, also when some of it failed.
func TestTheEndOfABatchIsToldBeforeItsResponse(t *testing.T) {
	var processed atomic.Int32
	var seen []int32
	r := sqsqueue.Receiver{
		Process: func(context.Context, []byte, time.Time) error { processed.Add(1); return order.ErrUnavailable },
		Done:    func(context.Context) { seen = append(seen, processed.Load()) },
		Now:     time.Now, Log: slog.New(slog.DiscardHandler),
	}
	handle(t, r, events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1"}, {MessageId: "2"}, {MessageId: "3"}}})
	if !slices.Equal(seen, []int32{3}) {
		t.Errorf("told after %v messages, want once after 3", seen)
	}
}

func handle(t *testing.T, r sqsqueue.Receiver, e events.SQSEvent) events.SQSEventResponse {
	t.Helper()
	response, err := r.Handle(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func batch(bodies ...string) (e events.SQSEvent) {
	for i, body := range bodies {
		e.Records = append(e.Records, events.SQSMessage{MessageId: fmt.Sprintf("id-%d", i), Body: body})
	}
	return e
}

func failures(response events.SQSEventResponse) (ids []string) {
	for _, f := range response.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}
