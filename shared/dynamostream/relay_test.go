package dynamostream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/dynamostream"
	"orders/shared/order"
	"orders/test/awstest"
)

const processing = 50 * time.Second

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func id(n int) order.ID { return order.ID(fmt.Sprintf("ORD%026d", n)) }

// The orders that the records of these tests are about.
var (
	pending   = order.Order{ID: id(1), Status: order.Pending, CreatedAt: noon}
	processed = order.Order{ID: id(1), Status: order.Processing, CreatedAt: noon, StartedAt: noon.Add(time.Second)}
	completed = order.Order{ID: id(1), Status: order.Completed, CreatedAt: noon, StartedAt: noon.Add(time.Second), CompletedAt: noon.Add(time.Minute)}
)

type image = map[string]events.DynamoDBAttributeValue

// created is the record of a new order.
func created(sequence string, n int) events.DynamoDBEventRecord {
	o := pending
	o.ID = id(n)
	return awstest.NewRecord(sequence, order.Change{New: &o})
}

// damaged is a record with other attributes in its new image; the zero value removes one.
func damaged(r events.DynamoDBEventRecord, attributes image) events.DynamoDBEventRecord {
	for name, value := range attributes {
		r.Change.NewImage[name] = value
		if value.IsNull() {
			delete(r.Change.NewImage, name)
		}
	}
	return r
}

func unreadable(sequence string, n int) events.DynamoDBEventRecord {
	return damaged(created(sequence, n), image{"status": events.NewStringAttribute("Shipped")})
}

// queue is an order.Queue that keeps what it is given, and fails if told to.
type queue struct {
	sendErr, deadLetterErr error
	sent                   []order.Message
	deadLettered           []string
	reasons                []error
}

func (q *queue) Send(_ context.Context, messages ...order.Message) error {
	q.sent = append(q.sent, messages...)
	return q.sendErr
}

func (q *queue) DeadLetter(_ context.Context, body []byte, reason error) error {
	if q.deadLetterErr != nil {
		return q.deadLetterErr
	}
	q.deadLettered, q.reasons = append(q.deadLettered, string(body)), append(q.reasons, reason)
	return nil
}

// relayed hands records to a relay and returns the response as Lambda gets it.
func relayed(t *testing.T, q order.Queue, records ...events.DynamoDBEventRecord) string {
	t.Helper()
	r := dynamostream.Relay{Queue: q, Fulfilment: order.Timer(processing), Log: slog.New(slog.DiscardHandler)}
	response, err := r.Handle(t.Context(), events.DynamoDBEvent{Records: records})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const allWell = `{"batchItemFailures":[]}`

func failedFrom(sequence string) string {
	return `{"batchItemFailures":[{"itemIdentifier":"` + sequence + `"}]}`
}

func TestTheRelayLeavesOtherRecordsAlone(t *testing.T) {
	for name, records := range map[string][]events.DynamoDBEventRecord{"none": nil, "an empty list": {}, "other items'": awstest.ForeignRecords()} {
		var q queue
		if response := relayed(t, &q, records...); response != allWell || q.sent != nil || q.deadLettered != nil {
			t.Errorf("%s: response %s, sent %v, dead-lettered %v", name, response, q.sent, q.deadLettered)
		}
	}
}

// I4, I5: off the main path, a message says which version of the order it is for. What waits for an
// operator, or for nothing, has no message.
func TestTheRelaySendsTheVersionOfAnOrderThatHasLeftTheMainPath(t *testing.T) {
	workers := order.Fulfilment{External: true, AttemptTimeout: 5 * time.Minute, MaxAttempts: 2}
	lives := []order.Order{pending, processed}
	step := func(request order.Transition) {
		t.Helper()
		o, err := lives[len(lives)-1].Transition(order.TransitionRequest{Transition: request}, noon.Add(time.Hour), workers)
		if err != nil {
			t.Fatal(err)
		}
		lives = append(lives, o)
	}
	advance := func(version int, after time.Duration) {
		t.Helper()
		o, err := lives[len(lives)-1].Advance(order.Message{Version: version}, noon.Add(after), workers)
		if err != nil {
			t.Fatal(err)
		}
		lives = append(lives, o)
	}
	advance(2, 10*time.Minute) // the second attempt
	step(order.Fail)
	step(order.Retry)
	advance(5, 2*time.Hour)
	step(order.Cancel)
	var records []events.DynamoDBEventRecord
	for i := range lives[1:] {
		records = append(records, awstest.NewRecord(fmt.Sprint(i), order.Change{Old: &lives[i], New: &lives[i+1]}))
	}
	var q queue
	r := dynamostream.Relay{Queue: &q, Fulfilment: workers, Log: slog.New(slog.DiscardHandler)}
	if _, err := r.Handle(t.Context(), events.DynamoDBEvent{Records: records}); err != nil || q.deadLettered != nil {
		t.Errorf("dead-lettered %q, error %v", q.deadLettered, err)
	}
	want := []order.Message{
		{OrderID: id(1), To: order.Processing, Version: 2, NotBefore: noon.Add(time.Second + 5*time.Minute)},
		{OrderID: id(1), To: order.Failed, Version: 3, NotBefore: noon.Add(15 * time.Minute)},
		{OrderID: id(1), To: order.Processing, Version: 5, NotBefore: noon.Add(time.Hour)},
		{OrderID: id(1), To: order.Processing, Version: 6, NotBefore: noon.Add(2*time.Hour + 5*time.Minute)},
	}
	if !slices.Equal(q.sent, want) {
		t.Errorf("sent %+v, want %+v", q.sent, want)
	}
}

// F7, I4: Lambda repeats the batch from the record that the response names.
func TestTheRelayNamesTheFirstRecordWhoseMessageIsUnsent(t *testing.T) {
	down := errors.New("the queue is down")
	batch := func() []events.DynamoDBEventRecord {
		return []events.DynamoDBEventRecord{
			awstest.NewRecord("10", order.Change{Old: &processed, New: &completed}), // no message
			created("20", 2), unreadable("25", 9), created("30", 3), unreadable("35", 9), created("40", 4),
		}
	}
	for name, tt := range map[string]struct {
		queue        queue
		want         string
		deadLettered int
	}{
		"all sent":                        {queue{}, allWell, 2},
		"the second is not":               {queue{sendErr: &order.UnsentError{First: 1, Err: down}}, failedFrom("30"), 1},
		"the last is not":                 {queue{sendErr: &order.UnsentError{First: 2, Err: down}}, failedFrom("40"), 2},
		"the queue does not say how many": {queue{sendErr: down}, failedFrom("20"), 0},
		"the dead-letter queue is down":   {queue{deadLetterErr: down}, failedFrom("25"), 0},
		"both are down":                   {queue{sendErr: &order.UnsentError{First: 1, Err: down}, deadLetterErr: down}, failedFrom("25"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			q := tt.queue
			if response := relayed(t, &q, batch()...); response != tt.want {
				t.Errorf("response %s, want %s", response, tt.want)
			}
			if len(q.sent) != 3 || len(q.deadLettered) != tt.deadLettered {
				t.Errorf("sent %v, dead-lettered %v", q.sent, q.deadLettered)
			}
		})
	}
}

// Bad input 54, I14.
func TestARecordThatCannotBeReadIsDeadLetteredAndTheOthersAreSent(t *testing.T) {
	removed := awstest.NewRecord("1", order.Change{Old: &pending})
	removed.Change.OldImage = nil
	half := awstest.NewRecord("1", order.Change{Old: &pending, New: &processed})
	half.Change.OldImage = nil
	imageless := created("1", 1)
	imageless.Change.NewImage = nil
	renamed := created("1", 1)
	renamed.EventName = "UPSERT"
	other := created("1", 1)
	other.Change.NewImage = created("1", 2).Change.NewImage
	malformed := created("1", 1)
	malformed.Change.Keys["pk"] = events.NewStringAttribute("ORDER#' OR 1=1--")
	malformed.Change.NewImage["pk"] = malformed.Change.Keys["pk"]
	for name, record := range map[string]events.DynamoDBEventRecord{
		"no image":                 imageless,
		"no old image":             half,
		"no image of what is gone": removed,
		"another event":            renamed,
		"the image of another":     other,
		"an invalid id":            malformed,
		"an unknown status":        unreadable("1", 1),
		"a status without a value": damaged(created("1", 1), image{"status": {}}),
		"a null status":            damaged(created("1", 1), image{"status": events.NewNullAttribute()}),
		"no time of creation":      damaged(created("1", 1), image{"created_at": {}}),
		"a time that is a number":  damaged(created("1", 1), image{"started_at": events.NewNumberAttribute("1")}),
	} {
		t.Run(name, func(t *testing.T) {
			var q queue
			if response := relayed(t, &q, record, created("2", 2)); response != allWell {
				t.Errorf("response %s", response)
			}
			if len(q.sent) != 1 || q.sent[0].OrderID != id(2) {
				t.Errorf("sent %v", q.sent)
			}
			want := `{"event_id":"event-1","sequence_number":"1","keys":{"pk":"` + record.Change.Keys["pk"].String() + `","sk":"ORDER"}}`
			if len(q.deadLettered) != 1 || q.deadLettered[0] != want {
				t.Fatalf("dead-lettered %s, want %s", q.deadLettered, want)
			}
			if reason := q.reasons[0].Error(); strings.Contains(reason, "secret") || strings.Contains(reason, "Shipped") {
				t.Errorf("the reason %q tells a value", reason)
			}
		})
	}
}

// slow is a queue that takes until the end of the context.
type slow struct{ queue }

func (s *slow) Send(ctx context.Context, _ ...order.Message) error {
	<-ctx.Done()
	return &order.UnsentError{First: 1, Err: ctx.Err()}
}

func TestTheRelayRespondsBeforeItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		r := dynamostream.Relay{Queue: &slow{}, Fulfilment: order.Timer(processing), Log: slog.New(slog.DiscardHandler)}
		response, err := r.Handle(ctx, events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{created("1", 1), created("2", 2)}})
		if err != nil || len(response.BatchItemFailures) != 1 || response.BatchItemFailures[0].ItemIdentifier != "2" {
			t.Errorf("response %+v, error %v", response, err)
		}
		if took := time.Since(began); took != 9*time.Second {
			t.Errorf("responded after %s of 10 s", took)
		}
	})
}
