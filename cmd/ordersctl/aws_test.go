package main

import (
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

// inAWS lets the command find the engines the way an operator's finds AWS.
func inAWS(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_REGION", awstest.Region)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", awstest.DynamoDBEndpoint(t))
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", awstest.DynamoDBEndpoint(t))
}

// A shop is a table with orders, and nothing that works them off.
type shop struct {
	*testing.T
	db    *dynamodb.Client
	table string
}

func openShop(t *testing.T) shop {
	t.Helper()
	inAWS(t)
	s := shop{t, awstest.DynamoDB(t), awstest.Table(t)}
	t.Setenv("ORDERS_TABLE", s.table)
	return s
}

// create takes over an order in a status, as it was so long ago.
func (s shop) create(status order.Status, ago time.Duration) order.Order {
	s.Helper()
	store := awstest.Must(dynamostore.New(dynamostore.Config{
		Client: s.db, Table: s.table, Random: rand.Reader,
		Now: func() time.Time { return time.Now().Add(-ago) },
	}))
	d := order.Draft{Details: order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: 100}, InitialStatus: status}
	d.SetFingerprint()
	o, _, err := store.Create(s.Context(), d)
	if err != nil {
		s.Fatal(err)
	}
	return o
}

// count does what the tally function does with an order, but for its checkpoint.
func (s shop) count(orders ...order.Order) {
	s.Helper()
	var sum order.Tally
	for _, o := range orders {
		sum.Add(order.Change{New: &o}.Tally())
	}
	if err := (dynamostore.Audit{Client: s.db, Table: s.table}).AddTally(s.Context(), sum); err != nil {
		s.Fatal(err)
	}
}

// checkpoint moves the tally's checkpoints to the end of the stream.
func (s shop) checkpoint() {
	s.Helper()
	streams := awstest.Streams(s)
	arn := awstest.StreamARN(s, s.table)
	described, err := streams.DescribeStream(s.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
	if err != nil {
		s.Fatal(err)
	}
	for _, shard := range described.StreamDescription.Shards {
		s.put(map[string]string{
			"pk": "CHECKPOINT", "sk": *shard.ShardId,
			"sequence": fmt.Sprintf("%064s", lastSequence(s, streams, arn, *shard.ShardId)),
		})
	}
}

// shard is a shard of the table's stream.
func (s shop) shard() string {
	s.Helper()
	arn := awstest.StreamARN(s, s.table)
	described, err := awstest.Streams(s).DescribeStream(s.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: &arn})
	if err != nil || len(described.StreamDescription.Shards) == 0 {
		s.Fatalf("the stream has no shard: %v", err)
	}
	return *described.StreamDescription.Shards[0].ShardId
}

func lastSequence(t testing.TB, streams *dynamodbstreams.Client, arn, shard string) (last string) {
	t.Helper()
	begun, err := streams.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &arn, ShardId: &shard, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatal(err)
	}
	for iterator := begun.ShardIterator; iterator != nil; {
		read, err := streams.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			t.Fatal(err)
		}
		if len(read.Records) == 0 {
			break
		}
		last = *read.Records[len(read.Records)-1].Dynamodb.SequenceNumber
		iterator = read.NextShardIterator
	}
	return last
}

func (s shop) put(attributes map[string]string) {
	s.Helper()
	item := map[string]types.AttributeValue{}
	for name, value := range attributes {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	if _, err := s.db.PutItem(s.Context(), &dynamodb.PutItemInput{TableName: &s.table, Item: item}); err != nil {
		s.Fatal(err)
	}
}

// openQueues makes queues and lets the command find them.
func openQueues(t *testing.T) (client *sqs.Client, url, deadLetterURL string) {
	t.Helper()
	inAWS(t)
	t.Setenv("AWS_ENDPOINT_URL_SQS", awstest.SQSEndpoint(t))
	url, deadLetterURL = awstest.Queues(t)
	t.Setenv("ORDERS_QUEUE_URL", url)
	t.Setenv("DEAD_LETTER_QUEUE_URL", deadLetterURL)
	return awstest.SQS(t), url, deadLetterURL
}

// received takes n messages off a queue and returns their bodies, sorted. It gives
// up when the queue is empty.
func received(t *testing.T, client *sqs.Client, url string, n int) []string {
	t.Helper()
	var bodies []string
	for len(bodies) < n {
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			break
		}
		for _, m := range got.Messages {
			bodies = append(bodies, aws.ToString(m.Body))
		}
	}
	slices.Sort(bodies)
	return bodies
}
