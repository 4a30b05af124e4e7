package awstest_test

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/order"
	"orders/test/awstest"
	"orders/tools/eventsource"
)

// A worker is the processor, which takes a batch and answers.
type worker func(events.SQSEvent) ([]byte, error)

// ofProcessor alters what the processor is brought, and leaves the other functions alone.
func ofProcessor(stand func(work worker, batch events.SQSEvent) ([]byte, error)) func(*awstest.Setup) {
	return between(func(invoke eventsource.Invoke) eventsource.Invoke {
		return func(ctx context.Context, function string, event []byte) ([]byte, error) {
			if function != awstest.ProcessorFunction {
				return invoke(ctx, function, event)
			}
			var batch events.SQSEvent
			if err := json.Unmarshal(event, &batch); err != nil {
				return nil, err
			}
			return stand(func(e events.SQSEvent) ([]byte, error) {
				event, err := json.Marshal(e)
				if err != nil {
					return nil, err
				}
				return invoke(ctx, function, event)
			}, batch)
		}
	})
}

// F8, F9, I4, I5, I6, I7, I9: what SQS may do to a batch.
func TestMessagesTakeEffectOnceHoweverTheyAreDelivered(t *testing.T) {
	for name, stand := range map[string]func(worker, events.SQSEvent) ([]byte, error){
		"twice, one after the other": func(work worker, batch events.SQSEvent) ([]byte, error) {
			if answer, err := work(batch); err != nil {
				return answer, err
			}
			return work(batch)
		},
		"four times, side by side": func(work worker, batch events.SQSEvent) (answer []byte, err error) {
			var answers [4][]byte
			var errs [4]error
			sideBySide(4, func(i int) { answers[i], errs[i] = work(batch) })
			return answers[3], errs[3]
		},
		"each four times in one batch, in reverse": func(work worker, batch events.SQSEvent) ([]byte, error) {
			batch.Records = slices.Repeat(batch.Records, 4)
			slices.Reverse(batch.Records)
			return work(batch)
		},
		"and are acknowledged in vain, the first time": losingFirstAnswers(),
	} {
		t.Run(name, func(t *testing.T) {
			h := openFaulty(t, hiddenFor("3"), ofProcessor(stand))
			h.create(12)
			h.audit()
		})
	}
}

// losingFirstAnswers loses what the processor answers to a batch, once for each.
func losingFirstAnswers() func(worker, events.SQSEvent) ([]byte, error) {
	var seen sync.Map
	return func(work worker, batch events.SQSEvent) ([]byte, error) {
		answer, err := work(batch)
		if _, again := seen.LoadOrStore(batch.Records[0].MessageId, true); !again {
			return nil, errDown
		}
		return answer, err
	}
}

// F9, I4, I6, I7: complete comes before start, and before its time.
func TestACompletionThatComesTooSoonWaits(t *testing.T) {
	back := make(gate)
	h := openFaulty(t, back.before(awstest.RelayFunction))
	h.create(5)
	var early [][]byte
	for id := range h.told {
		early = append(early, order.Message{OrderID: id, To: order.Completed}.Body())
	}
	for range 2 {
		if err := h.Deliver(t.Context(), early...); err != nil {
			t.Fatal(err)
		}
	}
	for id := range h.told {
		if o := h.read(id); o.Status != order.Pending {
			t.Errorf("order %s is %s", id, o.Status)
		}
	}
	close(back)
	h.audit()
}

// F10, F11, I4, I5, I7, I9: a worker dies before a transition or behind it, or hears
// nothing of it.
func TestATransitionTakesEffectOnceWhateverBecomesOfItsWorker(t *testing.T) {
	lost, before, after := awstest.AnswerLost, awstest.KilledBefore, awstest.KilledAfter
	for name, faults := range map[string][]awstest.Fault{ // of a call's attempts
		"it dies before":                  {before},
		"it dies behind it":               {after},
		"the answer is lost":              {lost},
		"every attempt's answer is lost":  {lost, lost, lost},
		"it arrives twice":                {awstest.Twice},
		"an answer is lost, then it dies": {lost, after},
		"the table is down":               {awstest.Throttled, awstest.ServiceDown(500), awstest.ThroughputExceeded},
		"its credentials have expired":    {awstest.ExpiredCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			h := openFaulty(t, hiddenFor("2"))
			for range 4 { // of eight calls, or more: some of starts, some of completions
				h.faults.Play("UpdateItem", faults...)
				h.faults.Play("UpdateItem")
			}
			h.create(4)
			h.audit()
		})
	}
}

// F10, I4, I7: a message comes too soon, and its worker dies when it is on the queue again
// and not yet gone, or just before.
func TestAMessageThatComesTooSoonIsNotLostWithItsWorker(t *testing.T) {
	for name, killed := range map[string]awstest.Fault{"before": awstest.KilledBefore, "behind": awstest.KilledAfter} {
		t.Run(name, func(t *testing.T) {
			h := openFaulty(t, hiddenFor("2"))
			h.faults.Begin("SendMessageBatch", awstest.Hurried)
			h.faults.Play("SendMessageBatch") // the relay's: start
			h.faults.Play("SendMessageBatch") // the relay's: complete, too soon
			h.faults.Play("SendMessageBatch", killed)
			h.create(1)
			h.audit()
		})
	}
}

// F12, I5: a message shows again while it is being worked on.
func TestTwoWorkersOnOneMessageHaveOneEffect(t *testing.T) {
	var mu sync.Mutex
	at, twice := map[string]int{}, 0
	work := func(ids []string, n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			if at[id] += n; at[id] > 1 {
				twice++
			}
		}
	}
	h := openFaulty(t, hiddenFor("1"), ofProcessor(func(process worker, batch events.SQSEvent) ([]byte, error) {
		var ids []string
		for _, m := range batch.Records {
			ids = append(ids, m.MessageId)
		}
		work(ids, 1)
		defer work(ids, -1)
		return process(batch)
	}))
	end := h.faults.Begin("UpdateItem", awstest.Slow(1500*time.Millisecond)) // the messages are hidden for a second
	h.create(4)
	eventually(t, func() error {
		mu.Lock()
		defer mu.Unlock()
		if twice < 4 {
			return fmt.Errorf("%d messages were with two workers", twice)
		}
		return nil
	})
	end()
	h.audit()
}
