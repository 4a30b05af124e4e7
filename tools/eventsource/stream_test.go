package eventsource_test

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"orders/test/awstest"
	"orders/tools/eventsource"
)

func TestARecordIsSentAsLambdaSendsIt(t *testing.T) {
	table := awstest.Table(t)
	arn := awstest.StreamARN(t, table)
	put(t, table, map[string]types.AttributeValue{
		"n": &types.AttributeValueMemberN{Value: "1.50"}, "b": &types.AttributeValueMemberB{Value: []byte{0, 255}},
		"bool": &types.AttributeValueMemberBOOL{Value: true}, "null": &types.AttributeValueMemberNULL{Value: true},
		"ss": &types.AttributeValueMemberSS{Value: []string{"x"}}, "ns": &types.AttributeValueMemberNS{Value: []string{"2"}},
		"bs": &types.AttributeValueMemberBS{Value: [][]byte{{1}}},
		"l":  &types.AttributeValueMemberL{Value: []types.AttributeValue{text("é 🚀"), &types.AttributeValueMemberL{}}},
		"m":  &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"k": text("")}},
	}, "a")
	put(t, table, nil, "a")
	if _, err := awstest.DynamoDB(t).DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &table, Key: map[string]types.AttributeValue{"pk": text("a"), "sk": text("sk")},
	}); err != nil {
		t.Fatal(err)
	}
	f := newFunction()
	run(t, config(t, table, f.invoke))
	var event struct {
		Records []struct {
			EventID, EventName, EventVersion, EventSource, EventSourceARN, AwsRegion string
			Dynamodb                                                                 struct {
				ApproximateCreationDateTime    float64
				Keys, NewImage, OldImage       any
				SequenceNumber, StreamViewType string
				SizeBytes                      int64
			}
		}
	}
	if err := json.Unmarshal(f.next(t), &event, json.MatchCaseInsensitiveNames(true)); err != nil || len(event.Records) != 3 {
		t.Fatalf("event %+v, error %v", event, err)
	}
	whole := map[string]any{
		"pk": av("S", "a"), "sk": av("S", "sk"), "n": av("N", "1.5"), "b": av("B", "AP8="), "bool": av("BOOL", true), "null": av("NULL", true),
		"ss": av("SS", []any{"x"}), "ns": av("NS", []any{"2"}), "bs": av("BS", []any{"AQ=="}),
		"l": av("L", []any{av("S", "é 🚀"), av("L", []any{})}), "m": av("M", map[string]any{"k": av("S", "")}),
	}
	key := map[string]any{"pk": av("S", "a"), "sk": av("S", "sk")}
	for i, want := range []struct {
		name     string
		old, new any
	}{{"INSERT", nil, whole}, {"MODIFY", whole, key}, {"REMOVE", key, nil}} {
		r := event.Records[i]
		if r.EventName != want.name || !reflect.DeepEqual(r.Dynamodb.Keys, any(key)) || !reflect.DeepEqual(r.Dynamodb.OldImage, want.old) || !reflect.DeepEqual(r.Dynamodb.NewImage, want.new) {
			t.Errorf("record %d is %+v, not %+v", i, r, want)
		}
		at := time.UnixMilli(int64(r.Dynamodb.ApproximateCreationDateTime * 1000))
		if r.EventID == "" || r.EventVersion == "" || r.EventSource != "aws:dynamodb" || r.EventSourceARN != arn || r.AwsRegion == "" ||
			r.Dynamodb.SequenceNumber == "" || r.Dynamodb.SizeBytes == 0 || r.Dynamodb.StreamViewType != "NEW_AND_OLD_IMAGES" || time.Since(at) > time.Hour {
			t.Errorf("record %d is %+v", i, r)
		}
	}
}

func TestAFailedBatchIsSentAgainUntilItSucceeds(t *testing.T) {
	table := awstest.Table(t)
	put(t, table, nil, "a", "b", "c", "d", "e")
	f := newFunction("error", `{"batchItemFailures":[{"itemIdentifier":"SECOND"}]}`, "error")
	run(t, config(t, table, f.invokeWithNumber))
	for i, want := range []string{"abc", "abc", "bc", "bc", "de"} {
		if got := keys(t, f.next(t)); got != want {
			t.Errorf("event %d has %q, not %q", i, got, want)
		}
	}
	f.isNotInvoked(t)
}

// There are three records, 1 to 3.
func TestRecordsBeforeTheFirstFailureAreDone(t *testing.T) {
	var batch eventsource.Batch
	for _, number := range []string{"1", "2", "3"} {
		batch.Records = append(batch.Records, streams.Record{Dynamodb: &streams.StreamRecord{SequenceNumber: &number}})
	}
	const failed = 0 // the whole batch
	for response, want := range map[string]int{
		`{"batchItemFailures":[]}`:   3,
		`{"batchItemFailures":null}`: 3,
		``:                           3,
		`null`:                       3,
		`{"batchItemFailures":[{"itemIdentifier":"2"}]}`:                        1,
		`{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"2"}]}`: 1,
		`{"batchItemFailures":[{"itemIdentifier":"1"}]}`:                        failed,
		`{"batchItemFailures":[{"itemIdentifier":""}]}`:                         failed,
		`{"batchItemFailures":[{"id":"2"}]}`:                                    failed,
		`{"batchItemFailures":[{"itemIdentifier":"7"}]}`:                        failed,
		`"yes"`: failed,
		`[`:     failed,
	} {
		if done, err := batch.Done([]byte(response)); done != want || (err != nil) != (want == failed) {
			t.Errorf("%s: %d are done, not %d; %v", response, done, want, err)
		}
	}
}

func TestRecordsThatDoNotMatchTheFilterAreNotSent(t *testing.T) {
	table := awstest.Table(t)
	put(t, table, nil, "TALLY", "x1", "TALLY2", "x2", "Xx", "x3")
	f := newFunction()
	cfg := config(t, table, f.invoke)
	cfg.KeyPrefix = "x"
	run(t, cfg)
	if got := keys(t, f.next(t)) + " " + keys(t, f.next(t)); got != "x1 x2x3" {
		t.Errorf("events of %q", got)
	}
	f.isNotInvoked(t)
}

func TestEveryReaderGetsTheWholeStreamAndLaterRecords(t *testing.T) {
	table := awstest.Table(t)
	put(t, table, nil, "a")
	functions := map[string]*function{"one": newFunction("error", "error"), "two": newFunction()}
	cfg := config(t, table, func(ctx context.Context, name string, event []byte) ([]byte, error) {
		return functions[name].invoke(ctx, name, event)
	})
	cfg.Readers = []eventsource.Reader{{Function: "one", BatchSize: 3}, {Function: "two", BatchSize: 3}}
	run(t, cfg)
	for name, want := range map[string][]string{"one": {"a", "a", "a"}, "two": {"a"}} {
		for _, w := range want {
			if got := keys(t, functions[name].next(t)); got != w {
				t.Errorf("%s gets %q, not %q", name, got, w)
			}
		}
	}
	put(t, table, nil, "b")
	for name, f := range functions {
		if got := keys(t, f.next(t)); got != "b" {
			t.Errorf("%s gets %q", name, got)
		}
	}
}

func TestAnEventOfAWindowHasItsShardAndNeedsAResponseWithAState(t *testing.T) {
	table := awstest.Table(t)
	f := newFunction(`{"batchItemFailures":[]}`)
	cfg := config(t, table, f.invoke)
	cfg.Readers[0].Window = 15 * time.Minute
	run(t, cfg)
	put(t, table, nil, "a")
	var first, again events.DynamoDBTimeWindowEvent
	for _, e := range []*events.DynamoDBTimeWindowEvent{&first, &again} {
		if err := json.Unmarshal(f.next(t), e); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(first, again) {
		t.Errorf("%+v was sent again as %+v", first, again)
	}
	w := first.Window
	if len(first.Records) != 1 || first.ShardID == "" || first.EventSourceARN != awstest.StreamARN(t, table) || len(first.State) != 0 ||
		w.End.Sub(w.Start.Time) != 15*time.Minute || w.Start.After(time.Now()) || w.End.Before(time.Now()) || first.IsFinalInvokeForWindow || first.IsWindowTerminatedEarly {
		t.Errorf("first event: %+v", first)
	}
	f.isNotInvoked(t)
}

// The emulators have no such stream: shards with a child each, a description in pages, an expired
// iterator.
func TestShardsAreReadParentsFirstAndToTheirEnd(t *testing.T) {
	s := &fakeStream{shards: []streams.Shard{
		{ShardId: aws.String("child"), ParentShardId: aws.String("parent")},
		{ShardId: aws.String("parent"), ParentShardId: aws.String("gone")},
		{ShardId: aws.String("grandchild"), ParentShardId: aws.String("child")},
	}, fail: map[string][]error{"parent 1": {&streams.ExpiredIteratorException{}, &streams.ExpiredIteratorException{}}}}
	f := newFunction("error", `{}`, "error")
	cfg := config(t, awstest.Table(t), f.invoke)
	cfg.Streams = s
	run(t, cfg)
	for _, want := range []string{"parent0", "parent0", "parent1", "parent1", "child0", "child1", "grandchild0", "grandchild1"} {
		if got := keys(t, f.next(t)); got != want {
			t.Errorf("event of %q, not %q", got, want)
		}
	}
	f.isNotInvoked(t)
}

// Either call may report that the next record is no longer in the stream.
func TestAReaderThatFallsBehindContinuesWithTheOldestRecord(t *testing.T) {
	for call, failures := range map[string]map[string][]error{
		"GetShardIterator": {"s 1": {&streams.ExpiredIteratorException{}}, "after 0": {&streams.TrimmedDataAccessException{}}},
		"GetRecords":       {"s 1": {&streams.TrimmedDataAccessException{}}},
	} {
		t.Run("reported by "+call, func(t *testing.T) {
			f := newFunction()
			cfg := config(t, awstest.Table(t), f.invoke)
			cfg.Streams = &fakeStream{shards: []streams.Shard{{ShardId: aws.String("s")}}, fail: failures}
			run(t, cfg)
			for _, want := range []string{"s0", "s0", "s1"} { // the first is the oldest here
				if got := keys(t, f.next(t)); got != want {
					t.Errorf("event of %q, not %q", got, want)
				}
			}
		})
	}
}

func av(kind string, value any) any { return map[string]any{kind: value} }

// keys returns the partition keys of an event's records, concatenated.
func keys(t *testing.T, event []byte) (joined string) {
	t.Helper()
	var e events.DynamoDBEvent
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatal(err)
	}
	for _, r := range e.Records {
		joined += r.Change.Keys["pk"].String()
	}
	return joined
}

// invokeWithNumber puts the sequence number of the second record into the response.
func (f *function) invokeWithNumber(ctx context.Context, name string, event []byte) ([]byte, error) {
	response, err := f.invoke(ctx, name, event)
	var e events.DynamoDBEvent
	if err := json.Unmarshal(event, &e); err != nil || len(e.Records) < 2 {
		return response, err
	}
	return bytes.Replace(response, []byte("SECOND"), []byte(e.Records[1].Change.SequenceNumber), 1), err
}

// A fakeStream has two records in each shard, one per page, and at most two shards per description.
type fakeStream struct {
	shards []streams.Shard
	fail   map[string][]error // of the first calls, by "SHARD RECORD" or "after RECORD"
}

func (s *fakeStream) failure(call string) (err error) {
	if list := s.fail[call]; len(list) > 0 {
		err, s.fail[call] = list[0], list[1:]
	}
	return err
}

func (s *fakeStream) DescribeStream(_ context.Context, in *dynamodbstreams.DescribeStreamInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error) {
	n := min(2, len(s.shards))
	description := &streams.StreamDescription{Shards: s.shards[:n]}
	if in.ExclusiveStartShardId != nil {
		description.Shards = s.shards[n:]
	} else if n < len(s.shards) {
		description.LastEvaluatedShardId = s.shards[n-1].ShardId
	}
	return &dynamodbstreams.DescribeStreamOutput{StreamDescription: description}, nil
}

func (s *fakeStream) GetShardIterator(_ context.Context, in *dynamodbstreams.GetShardIteratorInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error) {
	next := "0"
	if in.SequenceNumber != nil {
		next = "1"
		if err := s.failure("after " + *in.SequenceNumber); err != nil {
			return nil, err
		}
	}
	return &dynamodbstreams.GetShardIteratorOutput{ShardIterator: aws.String(*in.ShardId + " " + next)}, nil
}

func (s *fakeStream) GetRecords(_ context.Context, in *dynamodbstreams.GetRecordsInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error) {
	if err := s.failure(*in.ShardIterator); err != nil {
		return nil, err
	}
	shard, n, _ := strings.Cut(*in.ShardIterator, " ")
	out := &dynamodbstreams.GetRecordsOutput{Records: []streams.Record{{Dynamodb: &streams.StreamRecord{
		SequenceNumber: &n, Keys: map[string]streams.AttributeValue{"pk": &streams.AttributeValueMemberS{Value: shard + n}},
	}}}}
	if n == "0" {
		out.NextShardIterator = aws.String(shard + " 1")
	}
	return out, nil
}
