package awstest_test

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/chaos"
)

// A stream is the table's: one shard, all of which has been read, and where to read on.
type stream struct {
	client     *dynamodbstreams.Client
	network    *network
	arn, shard string
	iterator   *string
	records    []types.Record
	statuses   map[string]string // of each order, by its key, after its last record
}

func openStream(t chaos.T, e *engines, table string, n *network) *stream {
	ctx := context.WithoutCancel(t.Context())
	described, err := e.dynamoDB.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		t.Fatalf("describe table: %v", err)
	}
	s := &stream{client: e.streams, network: n, arn: aws.ToString(described.Table.LatestStreamArn), statuses: map[string]string{}}
	shards, err := s.client.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &s.arn})
	if err != nil || len(shards.StreamDescription.Shards) != 1 {
		t.Fatalf("describe stream: %+v, %v", shards, err)
	}
	s.shard = aws.ToString(shards.StreamDescription.Shards[0].ShardId)
	begin, err := s.client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &s.arn, ShardId: &s.shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatalf("read stream: %v", err)
	}
	s.iterator = begin.ShardIterator
	return s
}

// read returns all records so far, and holds them to one for each transition of an order
// and none besides (I5).
func (s *stream) read(t chaos.T) []types.Record {
	for reading := !s.network.fresh("stream"); reading; {
		output, err := s.client.GetRecords(context.WithoutCancel(t.Context()), &dynamodbstreams.GetRecordsInput{ShardIterator: s.iterator})
		if err != nil || output.NextShardIterator == nil {
			t.Fatalf("read stream: %+v, %v", output, err)
		}
		for _, r := range output.Records {
			s.follow(t, r)
		}
		s.records, s.iterator = append(s.records, output.Records...), output.NextShardIterator
		reading = len(output.Records) > 0
	}
	return s.records
}

// follow holds a record to what is known of its order.
func (s *stream) follow(t chaos.T, r types.Record) {
	key, status := keyOf(r), streamText(r.Dynamodb.NewImage["status"])
	if !ofOrder(r) {
		return
	}
	before, there := s.statuses[key]
	next := map[string]string{order.Pending.String(): order.Processing.String(), order.Processing.String(): order.Completed.String()}
	if there != (r.EventName == types.OperationTypeModify) || there && status != next[before] {
		t.Fatalf("the stream has %s of %s to %q, which was %q", r.EventName, key, status, before)
	}
	s.statuses[key] = status
}

// concerns reports whether one of the records is of the order.
func concerns(records []types.Record, id order.ID) bool {
	for _, r := range records {
		if keyOf(r) == dynamostore.OrderPrefix+string(id) {
			return true
		}
	}
	return false
}

// ofOrder is the filter of the mappings.
func ofOrder(r types.Record) bool { return strings.HasPrefix(keyOf(r), dynamostore.OrderPrefix) }

func keyOf(r types.Record) string { return streamText(r.Dynamodb.Keys["pk"]) }

func streamText(value types.AttributeValue) string {
	s, ok := value.(*types.AttributeValueMemberS)
	if !ok {
		return ""
	}
	return s.Value
}
