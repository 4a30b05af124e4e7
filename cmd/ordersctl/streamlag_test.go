package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	tabletypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/smithy-go"
)

// A tape is a stream whose shards give the responses of a script, a character for each call of
// GetRecords:
//
//	.  nothing                        X  the iterator's place is trimmed
//	t  a record of the tally          B  too busy
//	o  a record of an order           F  another failure
//	|  the end of the shard
//
// After the last character there is nothing, forever. A shard whose script ends in | is closed,
// unless it begins with *: that it closes shows only there, and only then the shard behind it in
// the list comes.
type tape struct {
	shards []string
	begin  error // of an iterator that begins at a checkpoint

	mu    sync.Mutex // several shards are read concurrently
	reads []time.Time
}

func (s *tape) DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	return &dynamodb.DescribeTableOutput{Table: &tabletypes.TableDescription{LatestStreamArn: aws.String("arn")}}, nil
}

func (s *tape) DescribeStream(context.Context, *dynamodbstreams.DescribeStreamInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error) {
	out := &dynamodbstreams.DescribeStreamOutput{StreamDescription: &types.StreamDescription{}}
	for i, script := range s.shards {
		shard := types.Shard{ShardId: aws.String(strconv.Itoa(i)), SequenceNumberRange: &types.SequenceNumberRange{}}
		closes := strings.HasPrefix(script, "*")
		if strings.HasSuffix(script, "|") && !closes {
			shard.SequenceNumberRange.EndingSequenceNumber = aws.String("9")
		}
		out.StreamDescription.Shards = append(out.StreamDescription.Shards, shard)
		if closes && len(s.reads) == 0 {
			break
		}
	}
	return out, nil
}

// GetShardIterator begins behind the first character if there is a checkpoint.
func (s *tape) GetShardIterator(_ context.Context, in *dynamodbstreams.GetShardIteratorInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error) {
	if in.ShardIteratorType == types.ShardIteratorTypeTrimHorizon {
		return &dynamodbstreams.GetShardIteratorOutput{ShardIterator: aws.String(*in.ShardId + " 0")}, nil
	}
	return &dynamodbstreams.GetShardIteratorOutput{ShardIterator: aws.String(*in.ShardId + " 1")}, s.begin
}

var errStream = errors.New("no such luck")

func (s *tape) GetRecords(_ context.Context, in *dynamodbstreams.GetRecordsInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error) {
	s.mu.Lock()
	s.reads = append(s.reads, time.Now())
	s.mu.Unlock()
	shard, place, _ := strings.Cut(*in.ShardIterator, " ")
	n, _ := strconv.Atoi(place)
	i, _ := strconv.Atoi(shard)
	script := strings.TrimPrefix(s.shards[i], "*") + "."
	n = min(n, len(script)-1)
	out := &dynamodbstreams.GetRecordsOutput{NextShardIterator: aws.String(shard + " " + strconv.Itoa(n+1))}
	switch script[n] {
	case 't':
		out.Records = []types.Record{record("TALLY")}
	case 'o':
		out.Records = []types.Record{record("ORDER#ORD1")}
	case '|':
		out.NextShardIterator = nil
	case 'X':
		return nil, &types.TrimmedDataAccessException{}
	case 'B':
		return nil, busy
	case 'F':
		return nil, errStream
	}
	return out, nil
}

var busy = &smithy.GenericAPIError{Code: "ProvisionedThroughputExceededException"}

func record(pk string) types.Record {
	return types.Record{Dynamodb: &types.StreamRecord{
		Keys: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}},
	}}
}

func TestWhatTheTallyHasNotCountedIsFound(t *testing.T) {
	long := strings.Repeat(".", 100)
	for name, tt := range map[string]struct {
		tape *tape
		want bool
		err  error
	}{
		"nothing":                           {&tape{shards: []string{"o"}}, false, nil},
		"a change":                          {&tape{shards: []string{"oo"}}, true, nil},
		"the tally's own":                   {&tape{shards: []string{"ottt"}}, false, nil},
		"behind empty answers":              {&tape{shards: []string{"o" + long[:18] + "o"}}, true, nil},
		"behind more, and the tally's own":  {&tape{shards: []string{"o" + long[:18] + "t" + long[:18] + "o"}}, true, nil},
		"behind many, in a closed shard":    {&tape{shards: []string{"o" + long + "o|"}}, true, nil},
		"nothing in a closed shard":         {&tape{shards: []string{"o" + long + "|"}}, false, nil},
		"in the last of many shards":        {&tape{shards: []string{"o|", "o|", "o|", "o|", "o|", "o|", "oo"}}, true, nil},
		"in a shard that comes meanwhile":   {&tape{shards: []string{"*o..|", "oo"}}, true, nil},
		"before the stream begins":          {&tape{shards: []string{"."}, begin: &types.TrimmedDataAccessException{}}, false, nil},
		"behind what the stream has lost":   {&tape{shards: []string{"o"}, begin: &types.TrimmedDataAccessException{}}, true, nil},
		"behind what it is about to lose":   {&tape{shards: []string{"oX"}}, true, nil},
		"in a shard that is too busy":       {&tape{shards: []string{"o.B"}}, true, nil},
		"in a stream that is too busy":      {&tape{shards: []string{"o"}, begin: busy}, true, nil},
		"in a shard that cannot be read":    {&tape{shards: []string{"o.F"}}, false, errStream},
		"in a shard that cannot be read up": {&tape{shards: []string{"o"}, begin: errStream}, false, errStream},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := newStreamLag(tt.tape).lags(t.Context())
				if got != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("got %v, %v", got, err)
				}
			})
		})
	}
}

// A shard serves the relay and the tally, and this is a third.
func TestAShardIsAskedTwiceASecondAtMost(t *testing.T) {
	for _, script := range []string{"o", "o" + strings.Repeat("t", 50), "o" + strings.Repeat(".", 50) + "|"} {
		synctest.Test(t, func(t *testing.T) {
			s := &tape{shards: []string{script}}
			if _, err := newStreamLag(s).lags(t.Context()); err != nil {
				t.Fatal(err)
			}
			took := s.reads[len(s.reads)-1].Sub(s.reads[0])
			if took < 10*time.Second || len(s.reads)-1 > int(took/(500*time.Millisecond)) {
				t.Errorf("%s: %d reads in %s", script, len(s.reads), took)
			}
		})
	}
}

func newStreamLag(s *tape) streamLag {
	return streamLag{
		table: "orders", tables: s, streams: s, quietPeriod: 10 * time.Second,
		checkpoint: func(context.Context, string) (string, error) { return "1", nil },
	}
}
