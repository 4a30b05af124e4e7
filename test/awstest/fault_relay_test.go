package awstest_test

import (
	"context"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
	"orders/test/awstest"
	"orders/tools/eventsource"
)

// F5, I4, I5: the relay is away while orders come, and dies in the middle of what has
// piled up, or cannot send it.
func TestOrdersAreCompletedOnceTheRelayIsBack(t *testing.T) {
	before, after := awstest.KilledBefore, awstest.KilledAfter
	down := []awstest.Fault{awstest.ServiceDown(503), awstest.Throttled, awstest.ServiceDown(500)}
	for name, calls := range map[string][][]awstest.Fault{ // three of which each batch takes
		"it dies before its first message":  {{before}},
		"it dies before the last of them":   {{nil}, {nil}, {before}},
		"it dies after some of them":        {{nil}, {after}},
		"it dies again and again":           {{after}, {nil}, {nil}, {before}, {nil}, {nil}, {after}},
		"it finds the queue down":           {down, down, {nil}, down},
		"its credentials expire on the way": {{nil}, {nil}, {awstest.ExpiredCredentials}},
	} {
		t.Run(name, func(t *testing.T) {
			h, records := openRelayed(t, 25)
			for _, attempts := range calls {
				h.faults.Play("SendMessageBatch", attempts...)
			}
			h.relay(records)
			h.audit()
		})
	}
}

// F5, I4: nobody can invoke the relay while orders come; then it gets them all.
func TestTheRelayTakesUpTheStreamWhereItWasLeft(t *testing.T) {
	back := make(gate)
	h := openFaulty(t, back.before(awstest.RelayFunction))
	h.create(25)
	close(back)
	h.audit()
}

// F6, I5, I9: messages are on the queue though nobody said so, and are sent again.
func TestMessagesThatAreSentTwiceHaveOneEffect(t *testing.T) {
	lost := awstest.AnswerLost
	h := openFaulty(t)
	for _, attempts := range [][]awstest.Fault{{lost}, {awstest.Twice}, {lost, lost}, {lost, lost, lost}, {awstest.Twice}} {
		h.faults.Play("SendMessageBatch", attempts...)
	}
	h.create(12)
	h.audit()
}

// F7, I4: SQS answers 200 and takes a part of the batch.
func TestOnlyWhatTheQueueRefusesIsSentAgain(t *testing.T) {
	h, records := openRelayed(t, 8)
	h.faults.Play("SendMessageBatch", awstest.PartlyFailed(false, 0, 5))
	h.relay(records)
	h.audit()
	if sent := h.deliveries(order.Processing); sent != 8 {
		t.Errorf("%d messages were sent to start 8 orders", sent)
	}
}

// F7, I4: it does so again and again, and the batch comes again from where it failed.
func TestWhatTheQueueKeepsRefusingComesAgainWithTheStream(t *testing.T) {
	for name, senderFault := range map[string]bool{"by its own fault": false, "by the sender's": true} {
		t.Run(name, func(t *testing.T) {
			h, records := openRelayed(t, 8)
			h.faults.Play("SendMessageBatch", awstest.PartlyFailed(senderFault, 3, 6))
			h.faults.Play("SendMessageBatch", awstest.PartlyFailed(senderFault, 0, 1))    // which are 3 and 6
			h.faults.Play("SendMessageBatch", awstest.PartlyFailed(senderFault, 0, 1, 4)) // from 3 on
			h.faults.Play("SendMessageBatch", awstest.PartlyFailed(senderFault, 0, 1, 2)) // all of these
			h.relay(records)
			h.audit()
			if sent := h.deliveries(order.Processing); sent != 6+0+2+0+5 {
				t.Errorf("%d messages were sent to start 8 orders", sent)
			}
		})
	}
}

// openRelayed opens a home with n orders of which the relay has not been told: the
// records are for the test to bring, in one batch. Those that follow come by themselves.
func openRelayed(t *testing.T, n int) (*faultyHome, []events.DynamoDBEventRecord) {
	t.Helper()
	var kept atomic.Int64 // records, from the relay
	h := openFaulty(t, between(func(invoke eventsource.Invoke) eventsource.Invoke {
		return func(ctx context.Context, function string, event []byte) ([]byte, error) {
			if function != awstest.RelayFunction || kept.Load() == int64(n) {
				return invoke(ctx, function, event)
			}
			var e struct{ Records []jsontext.Value }
			err := json.Unmarshal(event, &e)
			kept.Add(int64(len(e.Records)))
			return []byte(`{"batchItemFailures":[]}`), err
		}
	}))
	h.create(n)
	return h, h.seen.Records(t, awstest.RelayFunction, n)
}

// relay brings records to the relay as Lambda does: again from the first that failed, or
// all of them when there is no answer, until none fails.
func (h *faultyHome) relay(records []events.DynamoDBEventRecord) {
	h.Helper()
	relay := awstest.Mortal(h.Invoke)
	for range 10 {
		answer, err := relay(h.Context(), awstest.RelayFunction, h.seen.Event(h, records))
		if err != nil {
			continue
		}
		var response events.DynamoDBEventResponse
		if err := json.Unmarshal(answer, &response); err != nil {
			h.Fatalf("the relay answers %s: %v", answer, err)
		}
		if len(response.BatchItemFailures) == 0 {
			return
		}
		failed := response.BatchItemFailures[0].ItemIdentifier
		records = records[slices.IndexFunc(records, func(r events.DynamoDBEventRecord) bool { return r.Change.SequenceNumber == failed }):]
	}
	h.Error("the relay fails again and again")
}
