package awstest_test

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"orders/test/awstest"
	"orders/tools/eventsource"
)

// F17, I9, I17: Lambda brings records again, and the mappings have lost their filter.
func TestEachChangeIsCountedOnceHoweverTheStreamIsRead(t *testing.T) {
	for name, stand := range map[string]func(invoke eventsource.Invoke) eventsource.Invoke{
		"each batch whole, in part, and overlapping with the next": repeating,
		"each batch again from its beginning, for its answer was lost": func(invoke eventsource.Invoke) eventsource.Invoke {
			calls := 0
			return ofTally(func(ctx context.Context, event []byte) ([]byte, error) {
				answer, err := invoke(ctx, awstest.TallyFunction, event)
				if calls++; calls%2 == 1 {
					return nil, errDown
				}
				return answer, err
			}, invoke)
		},
		"all that ever came, with each batch": func(invoke eventsource.Invoke) eventsource.Invoke {
			var all events.DynamoDBTimeWindowEvent
			return ofTally(func(ctx context.Context, event []byte) ([]byte, error) {
				var batch events.DynamoDBTimeWindowEvent
				if err := json.Unmarshal(event, &batch); err != nil {
					return nil, err
				}
				batch.Records = append(all.Records, batch.Records...)
				all = batch
				event, err := json.Marshal(all)
				if err != nil {
					return nil, err
				}
				return invoke(ctx, awstest.TallyFunction, event)
			}, invoke)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := openFaulty(t, between(stand), func(s *awstest.Setup) { s.KeyPrefix = "" })
			h.create(12)
			h.audit()
		})
	}
}

// ofTally has the tally invoked in that way, and other functions as they are.
func ofTally(tally func(context.Context, []byte) ([]byte, error), invoke eventsource.Invoke) eventsource.Invoke {
	return func(ctx context.Context, function string, event []byte) ([]byte, error) {
		if function == awstest.TallyFunction {
			return tally(ctx, event)
		}
		return invoke(ctx, function, event)
	}
}

// F18, I9: what the tally's transaction meets.
func TestATransactionCountsOnceWhateverItMeets(t *testing.T) {
	lost, expired, conflict := awstest.AnswerLost, awstest.TokenExpired, awstest.Fault(awstest.Conflict)
	throttled := awstest.Canceled("ThrottlingError", "None")
	for name, calls := range map[string][][]awstest.Fault{
		"conflicts":                                  {{conflict}, {conflict}, {throttled}, {nil}, {conflict}},
		"its answer is lost":                         {{lost}, {nil}, {lost, lost}, {lost}},
		"its answer is lost, and then its token":     {{lost, expired}, {nil}, {lost, lost, expired}, {lost, expired}},
		"no answer comes, and the batch again":       {{lost, lost, lost}, {lost, lost, lost}, {nil}, {lost, lost, lost}},
		"the function dies before it or behind it":   {{awstest.KilledAfter}, {nil}, {awstest.KilledBefore}, {awstest.KilledAfter}},
		"a conflict after one that was not heard of": {{lost, lost, lost}, {conflict}, {nil}, {conflict}},
	} {
		t.Run(name, func(t *testing.T) {
			h := openFaulty(t)
			for _, attempts := range calls {
				h.faults.Play("TransactWriteItems", attempts...)
			}
			for range 3 {
				h.create(2)
			}
			h.audit()
		})
	}
}

// F19, I9, I16: 200 creates at once. Their records come from eight shards side by side,
// which all share one item of the tally.
func TestManyCreatesAtOnceAreCountedOnOneItem(t *testing.T) {
	h := openFaulty(t, between(scattering))
	lost := awstest.AnswerLost
	h.faults.Play("TransactWriteItems", awstest.Conflict)
	h.faults.Play("TransactWriteItems", lost, lost, lost) // so that the batch comes again
	h.create(1)
	h.settle()
	sideBySide(200, func(i int) {
		if answer := h.ask(t.Context(), fmt.Sprint("one of many ", i), ""); answer.Code != http.StatusCreated {
			t.Errorf("create: %d %s", answer.Code, answer.Body)
		}
	})
	h.audit()
	if n := h.calls.Take().Calls["PutItem"]; n > 200*3 {
		t.Errorf("%d attempts at 200 creates", n)
	}
}

// scattering brings the tally's records as if from eight shards at once, all of an order
// from one.
func scattering(invoke eventsource.Invoke) eventsource.Invoke {
	shards := shardsOfOneItem(8)
	return ofTally(func(ctx context.Context, event []byte) ([]byte, error) {
		var batch events.DynamoDBTimeWindowEvent
		if err := json.Unmarshal(event, &batch); err != nil {
			return nil, err
		}
		var failed [8]error
		sideBySide(len(shards), func(i int) {
			part := batch
			part.ShardID = shards[i]
			part.Records = slices.DeleteFunc(slices.Clone(batch.Records), func(r events.DynamoDBEventRecord) bool {
				return hashOf(r.Change.Keys["pk"].String())%8 != uint32(i)
			})
			event, err := json.Marshal(part)
			if err == nil {
				_, err = invoke(ctx, awstest.TallyFunction, event)
			}
			failed[i] = err
		})
		return []byte(`{"state":{},"batchItemFailures":[]}`), errors.Join(failed[:]...)
	}, invoke)
}

// shardsOfOneItem are names of shards whose counts all go to the tally's sixth item.
func shardsOfOneItem(n int) (shards []string) {
	for i := 0; len(shards) < n; i++ {
		if shard := fmt.Sprint("shard ", i); hashOf(shard)%16 == 5 {
			shards = append(shards, shard)
		}
	}
	return shards
}

func hashOf(s string) uint32 {
	hash := fnv.New32a()
	hash.Write([]byte(s))
	return hash.Sum32()
}
