package template

import (
	"context"
	"crypto/rand"
	"encoding/json/v2"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"orders/shared/api"
	"orders/shared/dynamostore"
	"orders/shared/dynamostream"
	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
)

// A recorder is an HTTP server in place of AWS. It records the calls that it gets, and either accepts
// or refuses writes.
type recorder struct {
	*httptest.Server
	refuses bool
	item    string // what a read and a refusal return: a member with the order's item, "" if there is none

	mu         sync.Mutex
	operations map[string]bool
	calls      []call
}

// recorders returns one recorder for each path through the code: writes succeed; the order does not
// exist; the order exists, and it is too early for its transition.
func recorders(t testing.TB) []*recorder {
	since := func(year string) string {
		return `"Item":{"pk":{"S":"ORDER#` + someID + `"},"sk":{"S":"ORDER"},"status":{"S":"Processing"},` +
			`"created_at":{"S":"` + year + `-01-01T00:00:00.000Z"},"started_at":{"S":"` + year + `-01-01T00:00:00.000Z"},` +
			`"user_id":{"S":"u"},"item_ids":{"L":[]},"total_amount":{"N":"1"},"fingerprint":{"B":"` + strings.Repeat("A", 43) + `="}}`
	}
	all := []*recorder{{item: since("2026")}, {refuses: true}, {refuses: true, item: since("2999")}}
	for _, r := range all {
		r.operations = map[string]bool{}
		r.Server = httptest.NewServer(r)
		t.Cleanup(r.Close)
	}
	return all
}

const someID = "ORDNKNQ5QDYPK6NEMJR32YM2KWTNA"

// A request has the fields, of the requests of all operations, that matter to IAM.
type request struct {
	TableName, IndexName, QueueURL string
	KeyConditionExpression         string
	Key, Item                      map[string]struct{ S string }
	ExpressionAttributeValues      map[string]struct{ S string }
	RequestItems                   map[string]struct {
		Keys []map[string]struct{ S string }
	}
	Entries []struct{ ID string }
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	service, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	var in request
	if err := json.UnmarshalRead(req.Body, &in, json.MatchCaseInsensitiveNames(true)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r.record(service, operation, in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	write := operation == "PutItem" || operation == "UpdateItem"
	switch {
	case operation == "SendMessageBatch":
		sent := []map[string]string{}
		for _, e := range in.Entries {
			sent = append(sent, map[string]string{"Id": e.ID, "MessageId": e.ID, "MD5OfMessageBody": ""})
		}
		_ = json.MarshalWrite(w, map[string]any{"Successful": sent})
	case write && r.refuses:
		w.WriteHeader(http.StatusBadRequest)
		refusal := []string{`"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"`}
		if r.item != "" {
			refusal = append(refusal, r.item)
		}
		fmt.Fprintf(w, `{%s}`, strings.Join(refusal, ","))
	case operation == "GetItem" && strings.HasPrefix(in.Key["pk"].S, "ORDER#"):
		fmt.Fprintf(w, `{%s}`, r.item)
	case in.IndexName != "":
		fmt.Fprint(w, `{"Items":[{"pk":{"S":"ORDER#`+someID+`"},"sk":{"S":"ORDER"}}]}`)
	default:
		fmt.Fprint(w, `{}`)
	}
}

var partitionKey = regexp.MustCompile(`^#\w+ = (:\w+)`)

// record records a request as IAM sees it: a batch of messages is one message.
func (r *recorder) record(service, operation string, in request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations[operation] = true
	switch {
	case operation == "BatchGetItem":
		for table, of := range in.RequestItems {
			for _, key := range of.Keys {
				r.add("dynamodb:BatchGetItem", request{TableName: table, Key: key})
			}
		}
	case strings.HasPrefix(service, "DynamoDB"):
		r.add("dynamodb:"+operation, in)
	default:
		r.calls = append(r.calls, call{"sqs:" + strings.TrimSuffix(operation, "Batch"), "${" + path.Base(in.QueueURL) + ".Arn}", ""})
	}
}

func (r *recorder) add(action string, in request) {
	resource, pk := "${"+in.TableName+".Arn}", in.Key["pk"].S+in.Item["pk"].S
	if in.IndexName != "" {
		resource += "/index/" + in.IndexName
	}
	if found := partitionKey.FindStringSubmatch(in.KeyConditionExpression); found != nil {
		pk = in.ExpressionAttributeValues[found[1]].S
	}
	r.calls = append(r.calls, call{action, resource, pk})
}

func (r *recorder) config() aws.Config {
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(r.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

func (r *recorder) dynamodb() *dynamodb.Client {
	return dynamodb.NewFromConfig(r.config(), func(o *dynamodb.Options) { o.DisableValidateResponseChecksum = true })
}

func (r *recorder) queue() *sqsqueue.Queue {
	return awstest.Must(sqsqueue.New(sqsqueue.Config{
		Client: sqs.NewFromConfig(r.config(), func(o *sqs.Options) { o.DisableMessageChecksumValidation = true }),
		URL:    "https://sqs/0/OrdersQueue", DeadLetterURL: "https://sqs/0/DeadLetterQueue", Now: time.Now, Log: quiet,
	}))
}

var quiet = slog.New(slog.DiscardHandler)

// calls returns the calls to AWS that a function makes for the requests of its routes, or for the
// events of its event source. The ids of orders are replaced by "*".
func (f function) calls(s *stack) []call {
	s.t.Helper()
	calls := map[call]bool{}
	for _, r := range recorders(s.t) {
		f.drive(s, r)
		for _, c := range r.calls {
			if strings.HasPrefix(c.pk, "ORDER#") {
				c.pk = "ORDER#*"
			}
			calls[c] = true
		}
	}
	return slices.SortedFunc(maps.Keys(calls), func(a, b call) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

// drive wires a function as its main does, without Lambda, and invokes it. TestNoCallIsOverlooked
// compares the recorded calls with those that are linked into the program.
func (f function) drive(s *stack, r *recorder) {
	s.t.Helper()
	store := awstest.Must(dynamostore.New(dynamostore.Config{
		Client: r.dynamodb(), Table: "OrdersTable", Fulfilment: order.Timer(time.Minute), Now: time.Now, Random: rand.Reader, IndexBuckets: 64,
	}))
	switch f.folder {
	case "functions/relay":
		relay := dynamostream.Relay{Queue: r.queue(), Fulfilment: order.Timer(time.Minute), Log: quiet}
		send(s, "relay.json", relay.Handle)
		send(s, "relay-bad.json", relay.Handle)
	case "functions/tally":
		tally := dynamostore.Tallier{Client: r.dynamodb(), Table: "OrdersTable", Now: time.Now, Log: quiet}
		send(s, "tally.json", tally.Handle)
		_, _ = tally.Handle(s.t.Context(), unreadableRecord)
	case "functions/check":
		send(s, "check.json", dynamostore.Check{
			Client: r.dynamodb(), Metrics: store, Table: "OrdersTable", Fulfilment: order.Timer(time.Minute), Limit: 1000, Now: time.Now, Log: quiet,
		}.Handle)
	case "functions/processor":
		processor := order.Processor{Orders: store, Queue: r.queue()}
		receiver := sqsqueue.Receiver{Process: processor.Process, Now: time.Now, Log: quiet}
		send(s, "processor.json", receiver.Handle)
		send(s, "processor-bad.json", receiver.Handle)
		for _, m := range []order.Message{{OrderID: someID, To: order.Completed}, {OrderID: someID, To: order.Completed, Version: 2}} {
			_, _ = receiver.Handle(s.t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1", Body: string(m.Body())}}})
		}
	default:
		handler := api.New(api.Config{Orders: store, Metrics: store, RequestID: rand.Text, Now: time.Now, Log: quiet})
		for _, p := range f.paths() {
			f.request(s, handler, p)
		}
	}
}

// unreadableRecord is a batch with a record of an order that has no image.
var unreadableRecord = events.DynamoDBTimeWindowEvent{
	TimeWindowProperties: events.TimeWindowProperties{ShardID: "shard"},
	DynamoDBEvent: events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{{EventName: "INSERT", Change: events.DynamoDBStreamRecord{
		SequenceNumber: "1", Keys: map[string]events.DynamoDBAttributeValue{
			"pk": events.NewStringAttribute("ORDER#" + someID), "sk": events.NewStringAttribute("ORDER"),
		},
	}}}},
}

// request sends a request with every method that the API has at a path.
func (f function) request(s *stack, handler http.Handler, p string) {
	for _, route := range api.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if p != path {
			continue
		}
		body := `{"user_id":"u","item_ids":["i"],"total_amount":1}`
		if strings.Contains(p, "{order_id}") {
			body = `{"version":2,"reason":"r"}`
		}
		req := httptest.NewRequestWithContext(s.t.Context(), method, strings.ReplaceAll(p, "{order_id}", someID), strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		handler.ServeHTTP(httptest.NewRecorder(), req)
	}
}

// send calls a function's handler with a sample event.
func send[Event, Answer any](s *stack, name string, handle func(context.Context, Event) (Answer, error)) {
	s.t.Helper()
	text, err := os.ReadFile("events/" + name)
	var e Event
	if err == nil {
		err = json.Unmarshal(text, &e, json.MatchCaseInsensitiveNames(true))
	}
	if err != nil {
		s.t.Fatalf("events/%s: %v", name, err)
	}
	_, _ = handle(s.t.Context(), e)
}
