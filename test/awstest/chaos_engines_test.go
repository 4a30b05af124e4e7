package awstest_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/awsclient"
	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
	"orders/test/chaos"
	"orders/tools/cfn"
)

// engines serve deployments, one after the other, each with a table and queues of its own.
type engines struct {
	*testing.T
	template *cfn.Template
	opened   int // deployments
	sqs      *sqs.Client
	sqsCfg   aws.Config
	dynamoEngine
}

// A dynamoEngine is DynamoDB Local with its clients.
type dynamoEngine struct {
	dynamoDB  *dynamodb.Client
	streams   *dynamodbstreams.Client
	dynamoCfg aws.Config
	stop      func()
}

func openEngines(t *testing.T) *engines {
	return &engines{
		T: t, template: awstest.Template(t), sqs: awstest.SQS(t), sqsCfg: functionConfig(t, awstest.SQSEndpoint(t)),
		dynamoEngine: dynamoEngineAt(t, awstest.DynamoDBEndpoint(t), func() {}),
	}
}

func dynamoEngineAt(t *testing.T, endpoint string, stop func()) dynamoEngine {
	return dynamoEngine{
		dynamoDB:  awstest.DynamoDB(t, func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint }),
		streams:   awstest.Streams(t, func(o *dynamodbstreams.Options) { o.BaseEndpoint = &endpoint }),
		dynamoCfg: functionConfig(t, endpoint), stop: stop,
	}
}

// perEngine is the number of deployments after which DynamoDB Local has become about half as slow
// again, and is replaced.
const perEngine = 100

// next counts the deployments, none of which is open now.
func (e *engines) next() {
	if e.opened++; e.opened%perEngine == 0 {
		e.stop()
		endpoint, stop := awstest.FreshDynamoDB(e.T)
		e.dynamoEngine = dynamoEngineAt(e.T, endpoint, stop)
	}
}

// functionConfig is the configuration of the functions' clients, without the delays between
// attempts, and without timeouts: a slow machine must not look like a fault.
func functionConfig(t *testing.T, endpoint string) aws.Config {
	variables := map[string]string{
		"AWS_REGION": awstest.Region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": endpoint,
	}
	env := awsclient.NewEnv(func(name string) string { return variables[name] })
	cfg := env.AWS()
	if err := env.Err(); err != nil {
		t.Fatal(err)
	}
	cfg.HTTPClient = awshttp.NewBuildableClient()
	retryer := cfg.Retryer
	cfg.Retryer = func() aws.Retryer {
		return unmetered{retry.AddWithMaxBackoffDelay(retryer(), time.Millisecond).(aws.RetryerV2)}
	}
	return cfg
}

// dynamoDBThrough is a client of the functions.
func (e *engines) dynamoDBThrough(n *network) *dynamodb.Client {
	return dynamodb.NewFromConfig(e.dynamoCfg, dynamodb.WithAPIOptions(n.Middleware), func(o *dynamodb.Options) {
		o.DisableValidateResponseChecksum = true
	})
}

// sqsThrough is a client of the functions.
func (e *engines) sqsThrough(n *network) *sqs.Client {
	return sqs.NewFromConfig(e.sqsCfg, sqs.WithAPIOptions(n.Middleware))
}

// receive receives all messages of a queue, and hides them for longer than any history takes.
func receive(t chaos.T, client *sqs.Client, url string) (messages []sqstypes.Message) {
	for {
		output, err := client.ReceiveMessage(context.WithoutCancel(t.Context()), &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: int32((12 * time.Hour).Seconds()),
			MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		if len(output.Messages) == 0 {
			return messages
		}
		messages = append(messages, output.Messages...)
	}
}

// unmetered disables the SDK's bucket of retry tokens. Faults would empty it, and the result of a
// step would depend on the faults before.
type unmetered struct{ aws.RetryerV2 }

func (unmetered) GetRetryToken(context.Context, error) (func(error) error, error) {
	return func(error) error { return nil }, nil
}

// A queue holds the messages of the real queue, where they are hidden. They become due on a clock
// that the history moves.
type queue struct {
	client  *sqs.Client
	network *network
	url     string
	elapsed time.Duration
	held    []held
	foreign int // messages that are not in the real queue
}

type held struct {
	sqstypes.Message
	due time.Duration // on the queue's clock
}

func (q *queue) due(delay time.Duration) time.Duration { return q.elapsed + delay }

// receive returns all messages that are in the queue, in the order in which they become due.
func (q *queue) receive(t chaos.T) []held {
	if q.network.fresh("queue") {
		return q.held
	}
	for _, m := range receive(t, q.client, q.url) {
		due := q.elapsed
		if said := m.MessageAttributes[dueAttribute].StringValue; said != nil {
			millis, err := strconv.ParseInt(*said, 10, 64)
			if err != nil {
				t.Fatalf("a message is due at %q", *said)
			}
			due = time.Duration(millis) * time.Millisecond
		}
		q.held = append(q.held, held{m, due})
	}
	slices.SortStableFunc(q.held, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.due, b.due), strings.Compare(*a.Body, *b.Body))
	})
	return q.held
}

// put adds messages as if they had come from the real queue.
func (q *queue) put(bodies [][]byte) (added []held) {
	for _, body := range bodies {
		q.foreign++
		added = append(added, held{sqstypes.Message{
			MessageId: aws.String(fmt.Sprint("foreign-", q.foreign)), Body: aws.String(string(body)),
		}, q.elapsed})
	}
	q.held = append(q.held, added...)
	return added
}

// remove deletes messages.
func (q *queue) remove(t chaos.T, messages []held) {
	ids := map[string]bool{}
	for _, m := range messages {
		ids[*m.MessageId] = true
	}
	var entries []sqstypes.DeleteMessageBatchRequestEntry
	q.held = slices.DeleteFunc(q.held, func(m held) bool {
		gone := ids[*m.MessageId]
		if gone && m.ReceiptHandle != nil {
			entries = append(entries, sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(len(entries))), ReceiptHandle: m.ReceiptHandle})
		}
		return gone
	})
	for batch := range slices.Chunk(entries, 10) {
		output, err := q.client.DeleteMessageBatch(context.WithoutCancel(t.Context()), &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: batch})
		if err != nil || len(output.Failed) > 0 {
			t.Fatalf("delete messages: %+v, %v", output, err)
		}
	}
}

// holds reports whether there is a message for an order.
func (q *queue) holds(t chaos.T, id order.ID) bool {
	return slices.ContainsFunc(q.receive(t), func(m held) bool {
		message, err := order.ParseMessage([]byte(*m.Body))
		return err == nil && message.OrderID == id
	})
}

// deadLetters holds the messages of the dead-letter queue, where they are hidden.
type deadLetters struct {
	client  *sqs.Client
	network *network
	url     string
	held    []sqstypes.Message
}

func (d *deadLetters) read(t chaos.T) []sqstypes.Message {
	if !d.network.fresh("dead letters") {
		d.held = append(d.held, receive(t, d.client, d.url)...)
	}
	return d.held
}

// show makes the messages visible again, for a redrive.
func (d *deadLetters) show(t chaos.T) {
	for batch := range slices.Chunk(d.read(t), 10) {
		var entries []sqstypes.ChangeMessageVisibilityBatchRequestEntry
		for i, m := range batch {
			entries = append(entries, sqstypes.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
			})
		}
		output, err := d.client.ChangeMessageVisibilityBatch(context.WithoutCancel(t.Context()), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &d.url, Entries: entries})
		if err != nil || len(output.Failed) > 0 {
			t.Fatalf("show messages: %+v, %v", output, err)
		}
	}
	d.held = nil
	d.network.touch("dead letters")
}

// A stream is the stream of the table, which has one shard. It keeps the records that were read.
type stream struct {
	client     *dynamodbstreams.Client
	network    *network
	arn, shard string
	iterator   *string
	records    []streamtypes.Record
	statuses   map[string]order.Status // by the key of the order, after its last record
}

func openStream(t chaos.T, e *engines, table string, n *network) *stream {
	ctx := context.WithoutCancel(t.Context())
	described, err := e.dynamoDB.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		t.Fatalf("describe table: %v", err)
	}
	s := &stream{client: e.streams, network: n, arn: aws.ToString(described.Table.LatestStreamArn), statuses: map[string]order.Status{}}
	shards, err := s.client.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &s.arn})
	if err != nil || len(shards.StreamDescription.Shards) != 1 {
		t.Fatalf("describe stream: %+v, %v", shards, err)
	}
	s.shard = aws.ToString(shards.StreamDescription.Shards[0].ShardId)
	begin, err := s.client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &s.arn, ShardId: &s.shard, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatalf("read stream: %v", err)
	}
	s.iterator = begin.ShardIterator
	return s
}

// read returns all records so far. It checks that there is one for each transition of an order, and
// no other (I5).
func (s *stream) read(t chaos.T) []streamtypes.Record {
	for reading := !s.network.fresh("stream"); reading; {
		output, err := s.client.GetRecords(context.WithoutCancel(t.Context()), &dynamodbstreams.GetRecordsInput{ShardIterator: s.iterator})
		if err != nil || output.NextShardIterator == nil {
			t.Fatalf("read stream: %+v, %v", output, err)
		}
		for _, r := range output.Records {
			s.check(t, r)
		}
		s.records, s.iterator = append(s.records, output.Records...), output.NextShardIterator
		reading = len(output.Records) > 0
	}
	return s.records
}

// check compares a record with the one before of the same order.
func (s *stream) check(t chaos.T, r streamtypes.Record) {
	key, status := keyOf(r), streamText(r.Dynamodb.NewImage["status"])
	if !ofOrder(r) {
		return
	}
	before, there := s.statuses[key]
	after, known := order.ParseStatus(status)
	if !known || there != (r.EventName == streamtypes.OperationTypeModify) || there && !chaos.IsStep(before, after) {
		t.Fatalf("the stream has %s of %s to %q, which was %q", r.EventName, key, status, before)
	}
	s.statuses[key] = after
}

// concerns reports whether one of the records is about the order.
func concerns(records []streamtypes.Record, id order.ID) bool {
	for _, r := range records {
		if keyOf(r) == dynamostore.OrderPrefix+string(id) {
			return true
		}
	}
	return false
}

// ofOrder is the filter of the mappings.
func ofOrder(r streamtypes.Record) bool { return strings.HasPrefix(keyOf(r), dynamostore.OrderPrefix) }

func keyOf(r streamtypes.Record) string { return streamText(r.Dynamodb.Keys["pk"]) }

func streamText(value streamtypes.AttributeValue) string {
	s, ok := value.(*streamtypes.AttributeValueMemberS)
	if !ok {
		return ""
	}
	return s.Value
}
