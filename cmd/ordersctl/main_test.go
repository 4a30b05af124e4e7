package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json/v2"
	"fmt"
	"os"
	"slices"
	"strings"
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

func TestMain(m *testing.M) {
	// Tests must not use the developer's own AWS settings.
	for _, name := range []string{
		"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
		"ORDERS_TABLE", "ORDERS_QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "PROCESSING_TIME", "FULFILMENT", "ATTEMPT_TIMEOUT", "ORDERS_API",
	} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	os.Exit(awstest.Run(m))
}

// invoke runs the command in this process, as a person would type it.
func invoke(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = exitCode(run(t.Context(), args, &out, &errs), &errs)
	return code, out.String(), errs.String()
}

// readJSON reads a result as a machine does: without a member that the type T does not have.
func readJSON[T any](t *testing.T, stdout string) (result T) {
	t.Helper()
	if err := json.Unmarshal([]byte(stdout), &result, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("%v:\n%s", err, stdout)
	}
	return result
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		name           string
		args           string
		code           int
		stdout, stderr string // what it begins with
	}{
		{"asks which command", "", 2, "", `ordersctl: expected one of "redrive", "reconcile", "skip", "cost"`},
		{"knows no other command", "repair", 2, "", "ordersctl: unexpected argument repair"},
		{"knows no other flag", "cost --price 1", 2, "", "ordersctl: unknown flag --price"},
		{"takes no further argument", "cost now", 2, "", "ordersctl: unexpected argument now"},
		{"wants a number where one belongs", "cost --item-bytes x", 2, "", "ordersctl: --item-bytes: expected a valid 64 bit int but got \"x\"\nTry: ordersctl --help\n"},
		{"wants an order", "retry --api http://localhost", 2, "", "ordersctl: expected \"<order-id>\"\nTry"},
		{"wants an API", "retry x", 2, "", "ordersctl: retry: --api (ORDERS_API) is missing\nTry"},
		{"wants an address of an API", "retry x --api localhost:80", 2, "", "ordersctl: retry: --api must be a URL such as https://"},
		{"knows orders by their ids", "retry x --api http://localhost", 1, "", "ordersctl: order not found\n"},
		{"tells its version", "--version", 0, "ordersctl dev (go1.", ""},
		{"helps", "--help", 0, "Usage: ordersctl <command>\n", ""},
		{"helps for short", "-h", 0, "Usage: ordersctl <command>\n", ""},
		{"helps with a command", "redrive --help", 0, "Usage: ordersctl redrive [flags]\n", ""},
		{"wants a table", "reconcile", 2, "", "ordersctl: reconcile: --table (ORDERS_TABLE) is missing\nTry: ordersctl --help\n"},
		{"wants a queue to send to", "reconcile --table x --send", 2, "", "ordersctl: reconcile: --queue-url (ORDERS_QUEUE_URL) is missing\n"},
		{"wants both queues", "redrive", 2, "", "ordersctl: redrive: --queue-url (ORDERS_QUEUE_URL) is missing\nordersctl: --dead-letter-queue-url (DEAD_LETTER_QUEUE_URL) is missing\nTry"},
		{"wants a region", "reconcile --table x", 1, "", "ordersctl: no AWS region is known: give --region or set AWS_REGION\n"},
		{"wants a profile that there is", "reconcile --table x --profile none-of-that-name", 1, "", "ordersctl: read the AWS configuration: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := invoke(t, strings.Fields(test.args)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.HasPrefix(stdout, test.stdout) || test.stdout == "" && stdout != "" {
				t.Errorf("stdout %q, want %q", stdout, test.stdout)
			}
			if !strings.HasPrefix(stderr, test.stderr) || test.stderr == "" && stderr != "" {
				t.Errorf("stderr %q, want %q", stderr, test.stderr)
			}
		})
	}
}

func TestBadFlagsAreRefusedByNameAndRule(t *testing.T) {
	tests := []struct{ args, want string }{
		{"cost --status-reads=-1", "--status-reads must be 0 or more, not -1"},
		{"cost --rate 0", "--rate must be more than 0, not 0"},
		{"cost --item-bytes 50000", "--item-bytes must be from 1 to 41167, not 50000"},
		{"cost --throttle-rate 0", "--throttle-rate must be from 1 to 1000000, not 0"},
		{"cost --memory 127", "--memory must be from 128 to 10240, not 127"},
		{"cost --request-ms 0", "--request-ms must be more than 0, not 0"},
		{"cost --batch-ms 0", "--batch-ms must be more than 0, not 0"},
		{"cost --log-bytes=-1", "--log-bytes must be 0 or more, not -1"},
		{"redrive --limit=-1", "--limit must be 0 or more, not -1"},
		{"redrive --queue-url http://q --dead-letter-queue-url http://q", "--queue-url and --dead-letter-queue-url must be two queues"},
		{"reconcile --grace=-1s", "--grace must be 0 or more, not -1s"},
		{"reconcile --settle=-1s", "--settle must be 100ms or more, not -1s"},
		{"reconcile --limit 0", "--limit must be from 1 to 10000000, not 0"},
		{"reconcile --segments 0", "--segments must be from 1 to 1000, not 0"},
		{"reconcile --read-units 0", "--read-units must be from 1 to 1000000, not 0"},
		{"reconcile --processing-time 16m", `--processing-time (PROCESSING_TIME) must be from 1ms to 15m, such as 50s, not "16m"`},
		{"reconcile --fulfilment worker", `--fulfilment (FULFILMENT) must be timer or external, not "worker"`},
		{"reconcile --fulfilment external --attempt-timeout 16m", `--attempt-timeout (ATTEMPT_TIMEOUT) must be from 1ms to 15m, such as 5m, not "16m"`},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			code, _, stderr := invoke(t, strings.Fields(test.args)...)
			if code != exitUsage || !strings.Contains(stderr, test.want+"\n") {
				t.Errorf("exit code %d and %s, want 2 and %s", code, stderr, test.want)
			}
		})
	}
}

func TestVariablesAreInTheHelpAndDoTheSameAsFlags(t *testing.T) {
	for command, variables := range map[string][]string{
		"cancel":    {"ORDERS_API"},
		"redrive":   {"ORDERS_QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "AWS_PROFILE", "AWS_REGION"},
		"reconcile": {"ORDERS_TABLE", "ORDERS_QUEUE_URL", "PROCESSING_TIME", "FULFILMENT", "ATTEMPT_TIMEOUT", "AWS_PROFILE", "AWS_REGION"},
	} {
		_, help, _ := invoke(t, command, "--help")
		for _, name := range variables {
			if !strings.Contains(help, "$"+name) {
				t.Errorf("ordersctl %s --help does not name %s", command, name)
			}
		}
	}
	t.Setenv("ORDERS_TABLE", "orders")
	t.Setenv("PROCESSING_TIME", "50")
	code, _, stderr := invoke(t, "reconcile")
	if want := `--processing-time (PROCESSING_TIME) must be from 1ms to 15m, such as 50s, not "50"`; code != exitUsage || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d and %s, want 2 and %s", code, stderr, want)
	}
	if code, _, stderr := invoke(t, "cost"); code != exitOK {
		t.Errorf("a variable that cost does not have stopped it: %s", stderr)
	}
}

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
	d := order.Draft{Details: order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: 100}, InitialStatus: status}
	d.SetFingerprint()
	o, _, err := s.store(ago).Create(s.Context(), d)
	if err != nil {
		s.Fatal(err)
	}
	return o
}

// store writes as it was so long ago.
func (s shop) store(ago time.Duration) *dynamostore.Store {
	return awstest.Must(dynamostore.New(dynamostore.Config{
		Client: s.db, Table: s.table, Fulfilment: order.Timer(50 * time.Second), Random: rand.Reader,
		Now: func() time.Time { return time.Now().Add(-ago) },
	}))
}

// transition makes transitions of an order, as an operator did so long ago.
func (s shop) transition(o order.Order, ago time.Duration, all ...order.Transition) order.Order {
	s.Helper()
	for _, t := range all {
		var err error
		if o, err = s.store(ago).Transition(s.Context(), o.ID, order.TransitionRequest{Transition: t}); err != nil {
			s.Fatal(err)
		}
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
	if err := (dynamostore.Audit{Client: s.db, Table: s.table}).AddTally(s.Context(), sum, time.Now()); err != nil {
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

// received takes n messages off a queue and returns their bodies, sorted. It gives up when the
// queue is empty.
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
