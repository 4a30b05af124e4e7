package functions_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/workload"
	"orders/test/awstest"
	"orders/test/conformance"
	"orders/tools/eventsource"
)

// names are all functions.
var names = []string{"create", "status", "transition", "ids", "metrics", "fallback", "relay", "tally", "processor", "check"}

// A deployment is what functions find on AWS: a table, queues, and one endpoint.
type deployment struct {
	t                              *testing.T
	table, queueURL, deadLetterURL string
	endpoint                       string
	opened                         atomic.Int64 // connections that were opened in advance
}

func openDeployment(t *testing.T) *deployment {
	t.Helper()
	h := &deployment{t: t, table: awstest.Table(t)}
	h.queueURL, h.deadLetterURL = awstest.Queues(t)
	tables, queues := proxyTo(t, awstest.DynamoDBEndpoint(t)), proxyTo(t, awstest.SQSEndpoint(t))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch target := r.Header.Get("X-Amz-Target"); {
		case strings.HasPrefix(target, "DynamoDB_"):
			tables.ServeHTTP(w, r)
		case strings.HasPrefix(target, "AmazonSQS."):
			queues.ServeHTTP(w, r)
		default:
			h.opened.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	h.endpoint = server.URL
	return h
}

func proxyTo(t *testing.T, endpoint string) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: log.New(io.Discard, "", 0), // tests break connections on purpose
	}
}

// start starts a function as template.yaml would configure it, with more variables.
func (h *deployment) start(name string, more ...string) *function {
	h.t.Helper()
	return start(h.t, name, append(more,
		"AWS_REGION="+awstest.Region, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_ENDPOINT_URL="+h.endpoint,
		"ORDERS_TABLE="+h.table, "ORDERS_QUEUE_URL="+h.queueURL, "DEAD_LETTER_QUEUE_URL="+h.deadLetterURL, "PROCESSING_TIME=1s")...)
}

// bodies takes the messages that wait in a queue.
func (h *deployment) bodies(queueURL string) (bodies []string) {
	h.t.Helper()
	client := awstest.SQS(h.t)
	for {
		got, err := client.ReceiveMessage(h.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queueURL, MaxNumberOfMessages: 10})
		if err != nil {
			h.t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			slices.Sort(bodies)
			return bodies
		}
		for _, m := range got.Messages {
			bodies = append(bodies, *m.Body)
			if _, err := client.DeleteMessage(h.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &queueURL, ReceiptHandle: m.ReceiptHandle}); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

func (h *deployment) tally() order.Tally {
	h.t.Helper()
	tally, err := awstest.Must(dynamostore.New(dynamostore.Config{Client: awstest.DynamoDB(h.t), Table: h.table})).Metrics(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return tally
}

// The sample order, and the message that starts it.
const (
	sample      = "ORDNKNQ5QDYPK6NEMJR32YM2KWTNA"
	startSample = `{"order_id":"` + sample + `","to":"Processing"}`
	noFailures  = `{"batchItemFailures":[]}`
)

// Each sample event gets what events/README.md says, from the function that it is for, by way of
// Lambda's Runtime API. They come in an order in which each is seen before and after the sample
// order exists.
func TestTheSampleEventsGetWhatTheirReadmeSays(t *testing.T) {
	h := openDeployment(t)
	functions := map[string]*function{}
	for _, name := range names {
		functions[name] = h.start(name)
	}
	for _, step := range []struct {
		event        string
		status       int      // of an HTTP response, 0 for others
		want         []string // each in the response
		queued       []string // in the queue afterwards
		deadLettered []string // in the dead-letter queue, the beginnings
	}{
		{event: "status", status: 404, want: []string{`"code":"order_not_found"`}},
		{event: "transition", status: 404, want: []string{`"code":"order_not_found"`}},
		{event: "ids", status: 200, want: []string{`"body":"[]"`}},
		{event: "metrics", status: 200, want: []string{`"total_orders":0,`}},
		{event: "fallback", status: 200, want: []string{`"total_orders":0,`}},
		{event: "fallback-bad", status: 404, want: []string{`"code":"no_such_route"`}},
		{event: "processor", want: []string{noFailures}, deadLettered: []string{startSample}},

		{event: "create", status: 201, want: []string{sample, `"Location":"../` + sample + `/"`, `"status":"Pending"`}},
		{event: "create", status: 201, want: []string{sample, `"Idempotency-Replayed":"true"`}},
		{event: "create-bad", status: 400, want: []string{`"pointer":"/user_id"`, `"pointer":"/item_ids"`, `"pointer":"/total_amount"`}},
		{event: "ids", status: 200, want: []string{`[{"order_id":"` + sample + `"}]`}},
		{event: "relay", want: []string{noFailures}, queued: []string{startSample}},
		{event: "relay-bad", want: []string{noFailures}, queued: []string{startSample}, deadLettered: []string{`{"event_id":`}},
		{event: "processor", want: []string{noFailures}},
		{event: "status", status: 200, want: []string{`"status":"Processing"`}},
		{event: "processor-bad", want: []string{noFailures}, deadLettered: []string{"not a message"}},

		{event: "transition-bad", status: 400, want: []string{`"pointer":"/version"`, `"pointer":"/reason"`}},
		{event: "transition", status: 200, want: []string{`"status":"Cancelled"`}},
		{event: "transition", status: 200, want: []string{`"status":"Cancelled"`}},
		{event: "processor", want: []string{noFailures}},
		{event: "status", status: 200, want: []string{`"status":"Cancelled"`}},
		{event: "create", status: 201, want: []string{`"Idempotency-Replayed":"true"`, `"status":"Pending"`}},

		{event: "tally", want: []string{`{"state":{},"batchItemFailures":[]}`}},
		{event: "tally", want: []string{`{"state":{},"batchItemFailures":[]}`}},
		{event: "tally-bad", want: []string{`"errorMessage":"the event names no shard`}},
		{event: "metrics", status: 200, want: []string{`"total_orders":0,`}},
		{event: "metrics-bad", status: 405, want: []string{`"Allow":"GET, HEAD"`}},
		{event: "ids-bad", status: 400, want: []string{"invalid_limit", "invalid_cursor"}},
		{event: "status-bad", status: 404, want: []string{"order_not_found"}},
		{event: "check", want: []string{`{"checked":0,"overdue":0,"unread":0,"partial":false}`}},
		{event: "check-bad", want: []string{`"errorMessage":"parsing time`}},
	} {
		function, _, bad := strings.Cut(step.event, "-")
		got := functions[function].invoke(sampleEvent(t, step.event))
		if got.failed != (bad && (function == "tally" || function == "check")) {
			t.Errorf("%s: function error %v: %s", step.event, got.failed, got.body)
		}
		checkResponse(t, step.event, got.body, step.status, step.want)
		if queued := h.bodies(h.queueURL); !slices.Equal(queued, step.queued) {
			t.Errorf("%s: queued %q, want %q", step.event, queued, step.queued)
		}
		deadLettered := h.bodies(h.deadLetterURL)
		if !slices.EqualFunc(deadLettered, step.deadLettered, strings.HasPrefix) {
			t.Errorf("%s: deadLettered %q, want %q", step.event, deadLettered, step.deadLettered)
		}
	}
}

// checkResponse compares a response with a status, if it has one, and looks for texts in it.
func checkResponse(t *testing.T, event string, response []byte, status int, want []string) {
	t.Helper()
	var http struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	if err := json.Unmarshal(response, &http); err != nil || http.StatusCode != status {
		t.Errorf("%s: returned %s, %v; want status %d", event, response, err, status)
	}
	for _, text := range want {
		if !strings.Contains(string(response), text) && !strings.Contains(http.Body, text) {
			t.Errorf("%s: returned %s, want %s in it", event, response, text)
		}
	}
}

func sampleEvent(t *testing.T, name string) []byte {
	t.Helper()
	event, err := os.ReadFile("../events/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return event
}

func TestTheReadmeOfTheSamplesNamesEachOfThemAndNoOther(t *testing.T) {
	readme, err := os.ReadFile("../events/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../events/*.json")
	if err != nil || len(files) != 2*len(names) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if row := "| `" + filepath.Base(file) + "` |"; strings.Count(string(readme), row) != 1 {
			t.Errorf("README.md has no row for %s", file)
		}
	}
	if rows := strings.Count(string(readme), ".json` |"); rows != len(files) {
		t.Errorf("README.md has %d rows for %d files", rows, len(files))
	}
}

func TestConnectionsAreOpenedBeforeTheFirstEvent(t *testing.T) {
	h := openDeployment(t)
	for i, name := range names {
		f := h.start(name)
		await(f, f.asked)
		if got := h.opened.Load(); got != int64(i+1) {
			t.Errorf("%s: %d connections are open, want %d", name, got, i+1)
		}
	}
}

// awaitFailedStart waits until the function has failed to start, and returns the error that it has logged.
func (f *function) awaitFailedStart() string {
	f.t.Helper()
	select {
	case err := <-f.exited:
		if err == nil || err.Error() != "exit status 1" {
			f.t.Errorf("ended with %v", err)
		}
	case <-f.asked:
		f.t.Fatal("it asks for events")
	}
	lines := f.awaitLines()
	if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["message"] != "the function cannot start" {
		f.t.Fatalf("logged %s", f.output.Bytes())
	}
	return lines[0]["err"].(string)
}

func TestAFunctionThatLacksSettingsSaysWhichAndEnds(t *testing.T) {
	always := []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
	table := []string{"ORDERS_TABLE"}
	processing := []string{"PROCESSING_TIME"}
	queues := slices.Concat([]string{"ORDERS_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"}, processing)
	for name, own := range map[string][]string{
		"create": table, "status": table, "ids": table, "metrics": table, "tally": table,
		"transition": slices.Concat(table, processing), "fallback": slices.Concat(table, processing),
		"relay": queues, "processor": slices.Concat(table, queues), "check": slices.Concat(table, processing),
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, name)
			var missing []string
			for variable := range strings.SplitSeq(strings.TrimPrefix(f.awaitFailedStart(), "environment: "), "; ") {
				missing = append(missing, strings.TrimSuffix(variable, " is not set"))
			}
			want := slices.Concat(always, own)
			slices.Sort(missing)
			slices.Sort(want)
			if !slices.Equal(missing, want) {
				t.Errorf("missing %q, want %q", missing, want)
			}
		})
	}
}

// Each of these settings is valid, but not all of them together.
func TestAFunctionWhoseSettingsDoNotGoTogetherSaysSoAndEnds(t *testing.T) {
	for _, name := range []string{"relay", "processor"} {
		t.Run(name, func(t *testing.T) {
			f := start(t, name, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "ORDERS_TABLE=orders",
				"ORDERS_QUEUE_URL=https://sqs/1/orders", "DEAD_LETTER_QUEUE_URL=https://sqs/1/orders", "PROCESSING_TIME=50s")
			if err := f.awaitFailedStart(); err != "sqsqueue: URL and DeadLetterURL must be two queues" {
				t.Errorf("logged %s", err)
			}
		})
	}
}

func TestSuccessIsQuietAndALineHasTheIDOfItsRequestAlone(t *testing.T) {
	h := openDeployment(t)
	quiet := h.start("metrics")
	quiet.invoke(sampleEvent(t, "metrics"))
	quiet.invoke(sampleEvent(t, "metrics-bad"))
	lines := slices.DeleteFunc(quiet.awaitInvocation(2), func(line map[string]any) bool { return line["message"] == "invocation" })
	if len(lines) != 1 || lines[0]["requestId"] != nil || lines[0]["request_id"] != "aKx3mhPLDoEEJ4w=" || lines[0]["status"] != 405.0 {
		t.Errorf("logged %s", quiet.output.Bytes())
	}
	relay := h.start("relay")
	relay.invoke(sampleEvent(t, "relay-bad"))
	if lines := relay.awaitLines(); lines[0]["requestId"] != "invocation-1" || lines[0]["request_id"] != nil {
		t.Errorf("logged %s", relay.output.Bytes())
	}
}

// Where a custom domain has the API below a path, the event of $default has that path, too.
func TestEachFunctionOfTheAPIAllowsTheOriginsAndServesBelowTheBasePathThatItIsGiven(t *testing.T) {
	h := openDeployment(t)
	event := string(sampleEvent(t, "fallback"))
	for name, path := range map[string]string{"create": "", "status": "", "transition": "", "ids": "", "metrics": "/api/metrics/", "fallback": "/shop/api/metrics/"} {
		f := h.start(name, "CORS_ORIGINS=https://shop.example", "BASE_PATH=shop")
		asked := strings.ReplaceAll(strings.ReplaceAll(event, "/api/metrics/", path), `"accept"`, `"origin": "https://shop.example", "accept"`)
		status := 404
		if path != "" {
			status = 200
		}
		checkResponse(t, name, f.invoke([]byte(asked)).body, status, []string{`"Access-Control-Allow-Origin":"https://shop.example"`})
	}
}

// awaitInvocation waits until the function has logged an invocation, and returns all lines.
func (f *function) awaitInvocation(n int) (lines []map[string]any) {
	f.t.Helper()
	conformance.Eventually(f.t, func() error {
		lines = f.awaitLines()
		if last := lines[len(lines)-1]; last["message"] != "invocation" || last["invocations"] != float64(n) {
			return fmt.Errorf("the last line is %v", last)
		}
		return nil
	})
	return lines
}

// A process logs its first, second, fourth and eighth invocation, and so on: enough to see cold
// starts and memory, and next to nothing to pay.
func TestAFewInvocationsOfAProcessAreLogged(t *testing.T) {
	f := openDeployment(t).start("metrics")
	for range 9 {
		f.invoke(sampleEvent(t, "metrics"))
	}
	var logged []any
	for _, line := range f.awaitInvocation(8) {
		logged = append(logged, line["invocations"])
		memory, _ := line["memory_mb"].(float64)
		if _, measured := line["init_ms"].(float64); !measured || runtime.GOOS == "linux" && memory < 1 || memory > 512 {
			t.Errorf("logged %v", line)
		}
	}
	if !slices.Equal(logged, []any{1.0, 2.0, 4.0, 8.0}) {
		t.Errorf("logged the invocations %v", logged)
	}
}

// With workers, these functions need the time and the number of their attempts, and no processing time.
func TestAFunctionOfExternalOrdersThatLacksSettingsSaysWhichAndEnds(t *testing.T) {
	for _, name := range []string{"transition", "fallback", "relay", "processor", "check"} {
		f := openDeployment(t).start(name, "FULFILMENT=external", "ATTEMPT_TIMEOUT=16m")
		const want = `environment: ATTEMPT_TIMEOUT must be from 1ms to 15m0s, such as 50s, not "16m"; MAX_ATTEMPTS is not set`
		if err := f.awaitFailedStart(); err != want {
			t.Errorf("%s: logged %s", name, err)
		}
	}
}

// Every function has the id of the trace in its lines, if X-Ray records the invocation.
func TestLinesOfATracedInvocationHaveTheIDOfTheTrace(t *testing.T) {
	h := openDeployment(t)
	const root = "1-5759e988-bd862e3fe1be46a994272793"
	for _, name := range names {
		f := h.start(name)
		f.trace = "Root=" + root + ";Parent=53995c3f42cd8ad8;Sampled=1"
		f.invoke(sampleEvent(t, name))
		f.trace = "Root=" + root + ";Sampled=0"
		f.invoke(sampleEvent(t, name))
		for _, line := range f.awaitInvocation(2) {
			if traced := line["requestId"] == "invocation-1"; traced != (line["trace_id"] == root) {
				t.Errorf("%s: logged %v", name, line)
			}
		}
	}
}

// SQS keeps the header of the request that sends a message. The processor is invoked in another trace,
// and its lines about the message have the id of the relay's.
func TestLinesAboutAMessageHaveTheIDOfTheTraceThatSentIt(t *testing.T) {
	h := openDeployment(t)
	relay, processor := h.start("relay"), h.start("processor")
	const root, own = "1-5759e988-bd862e3fe1be46a994272793", "1-67891233-abcdef012345678912345678"
	processor.trace = "Root=" + own + ";Sampled=1"
	for n, sampled := range []string{"1", "0"} {
		relay.trace = "Root=" + root + ";Parent=53995c3f42cd8ad8;Sampled=" + sampled
		relay.invoke(sampleEvent(t, "relay"))
		got, err := awstest.SQS(t).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &h.queueURL, WaitTimeSeconds: 1, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil || len(got.Messages) != 1 || got.Messages[0].Attributes["AWSTraceHeader"] != relay.trace {
			t.Fatalf("received %+v, error %v, want the header %s", got, err, relay.trace)
		}
		event, err := eventsource.Messages{QueueARN: "arn:aws:sqs:eu-west-1:000000000000:orders", Received: got.Messages}.Event()
		if err != nil {
			t.Fatal(err)
		}
		processor.invoke(event) // of an order that is not there
		lines := slices.DeleteFunc(processor.awaitInvocation(n+1), func(line map[string]any) bool { return line["DeadLetteredMessages"] == nil })
		sender, found := lines[n]["message_trace_id"]
		if lines[n]["trace_id"] != own || found != (sampled == "1") || found && sender != root {
			t.Errorf("sampled %s: logged %v", sampled, lines[n])
		}
	}
}

// The processor's first line is a record of metrics.
func TestTheProcessorLogsHowLateOrdersAre(t *testing.T) {
	h := openDeployment(t)
	h.start("create").invoke(sampleEvent(t, "create"))
	f := h.start("processor")
	f.invoke(sampleEvent(t, "processor"))
	line := f.awaitInvocation(1)[0]
	if _, ok := line["StartLateness"].(float64); !ok || line["TableName"] != h.table || line["_aws"] == nil || line["level"] != "INFO" {
		t.Errorf("logged %s", f.output.Bytes())
	}
}

// The price of an order counts the bytes of that line, whose request and table have longer names on AWS.
// The orders are so late that each batch has a line.
func TestTheProcessorLogsAsMuchAsCostCounts(t *testing.T) {
	const requestBytes, tableBytes = len("c6af9ac6-7b61-11e6-9a41-93e8deadbeef"), len("orders-OrdersTable-1ABCDEFGHIJKL")
	h := openDeployment(t)
	store := awstest.Must(dynamostore.New(dynamostore.Config{
		Client: awstest.DynamoDB(t), Table: h.table, Random: rand.Reader, Now: func() time.Time { return time.Now().Add(-6500 * time.Millisecond) },
	}))
	f := h.start("processor")
	for n, messages := range []int{1, 10} {
		var e events.SQSEvent
		for i := range messages {
			status := order.Status(i % 2) // it is started, or it is completed
			o, _, err := store.Create(t.Context(), order.Draft{InitialStatus: status})
			if err != nil {
				t.Fatal(err)
			}
			e.Records = append(e.Records, events.SQSMessage{MessageId: string(o.ID), Body: string(order.Message{OrderID: o.ID, To: status + 1}.Body())})
		}
		event, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		f.invoke(event)
		lines := slices.DeleteFunc(f.awaitInvocation(n+1), func(line map[string]any) bool { return line["_aws"] == nil })
		text := slices.Collect(bytes.Lines(f.output.Bytes()))[2*n]
		logged := len(text) - len(lines[n]["requestId"].(string)) + requestBytes - len(h.table) + tableBytes
		if counted := workload.MetricLineBytes(float64(messages)); math.Abs(float64(logged)-counted) > 0.05*counted {
			t.Errorf("the line of %d messages has %d bytes on AWS, cost counts %v: %s", messages, logged, counted, text)
		}
	}
}

// The same source gives the same program, wherever it lies, within Lambda's reach:
// what is small starts fast.
func TestTheSameSourceGivesTheSameSmallPrograms(t *testing.T) {
	const limit = 9_000_000
	var first map[string][]byte
	for range 2 {
		root := t.TempDir()
		for _, part := range []string{"shared", "functions"} {
			if err := os.CopyFS(filepath.Join(root, part), os.DirFS("../"+part)); err != nil {
				t.Fatal(err)
			}
		}
		for _, file := range []string{"go.mod", "go.sum"} {
			content, err := os.ReadFile("../" + file)
			if err == nil {
				err = os.WriteFile(filepath.Join(root, file), content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		folder := t.TempDir()
		if err := buildInto(t.Context(), folder, root, "GOOS=linux", "GOARCH=arm64"); err != nil {
			t.Fatal(err)
		}
		built := map[string][]byte{}
		for _, name := range names {
			program, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			built[name] = program
			if len(program) > limit {
				t.Errorf("%s has %d bytes, more than %d", name, len(program), limit)
			}
			if first != nil && !bytes.Equal(program, first[name]) {
				t.Errorf("%s differs from one build to the next", name)
			}
		}
		first = built
	}
}
