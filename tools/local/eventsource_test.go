package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"orders/shared/dynamostore"
	"orders/shared/dynamostream"
	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
	"orders/tools/eventsource"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

// startLambda stands for `sam local start-lambda`: it runs functions that are invoked over HTTP.
// The first invocation of each fails, and the response says so as Lambda's does: with status 200
// and a header.
func startLambda(t *testing.T, functions map[string]any) (endpoint string) {
	t.Helper()
	handlers, failed := map[string]lambda.Handler{}, map[string]*atomic.Bool{}
	for name, handle := range functions {
		handlers[name], failed[name] = lambda.NewHandler(handle), &atomic.Bool{}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		event, err := io.ReadAll(r.Body)
		if err != nil || handlers[name] == nil {
			t.Errorf("%s is invoked: %v", name, err)
			return
		}
		response, err := handlers[name].Invoke(r.Context(), event)
		if failed[name].CompareAndSwap(false, true) || err != nil {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			response = []byte(`{"errorMessage":"out of luck"}`)
		}
		_, _ = w.Write(response)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// inAWS lets the command find the emulators as an operator's command finds AWS.
func inAWS(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_REGION": awstest.Region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "",
		"AWS_ENDPOINT_URL_DYNAMODB": awstest.DynamoDBEndpoint(t), "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": awstest.DynamoDBEndpoint(t),
		"AWS_ENDPOINT_URL_SQS": awstest.SQSEndpoint(t),
	} {
		t.Setenv(name, value)
	}
}

func TestTheEventSourceTakesAnOrderThroughItsLifecycle(t *testing.T) {
	inAWS(t)
	db, table := awstest.DynamoDB(t), awstest.Table(t)
	url, dead := awstest.Queues(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	store := awstest.Must(dynamostore.New(dynamostore.Config{
		Client: db, Table: table, ProcessingTime: time.Second, Now: time.Now, Random: rand.Reader,
	}))
	queue := awstest.Must(sqsqueue.New(sqsqueue.Config{Client: awstest.SQS(t), URL: url, DeadLetterURL: dead, Now: time.Now, Log: log}))
	endpoint := startLambda(t, map[string]any{
		"Relay": dynamostream.Relay{Queue: queue, ProcessingTime: time.Second, Log: log}.Handle,
		"Tally": dynamostore.Tallier{Client: db, Table: table, Now: time.Now, Log: log}.Handle,
		"Processor": sqsqueue.Receiver{
			Process: order.Processor{Orders: store, Queue: queue}.Process, Now: time.Now, Log: log,
		}.Handle,
	})
	d := order.Draft{Details: order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: 100}}
	d.SetFingerprint()
	created, _, err := store.Create(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}

	ctx, interrupt := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	ended := make(chan error)
	go func() {
		ended <- runEventSource(ctx, []string{
			"--table", table, "--queue-url", url, "--lambda-endpoint", endpoint, "--relay", "Relay", "--tally", "Tally", "--processor", "Processor",
		}, &stderr)
	}()
	err = await(t.Context(), time.Minute, func(ctx context.Context) error {
		o, err := store.Get(ctx, created.ID)
		if err != nil {
			return err
		}
		metrics, err := store.Metrics(ctx)
		if err == nil && (o.Status != order.Completed || metrics.ByStatus != [...]int64{0, 0, 1}) {
			err = order.ErrUnavailable
		}
		return err
	})
	interrupt()
	if ended := <-ended; err != nil || ended != nil {
		t.Errorf("the order is not completed and counted: %v; it ended with %v", err, ended)
	}
	want := regexp.MustCompile(`^polling table \S+ and queue \S+, invoking at http://127\.0\.0\.1:\d+; Ctrl-C ends it\n` +
		`(?s:.*)function error \(Unhandled\): (?s:.*)out of luck(?s:.*)\n` +
		`Relay: \d+ batches done, 1 failed\nTally: \d+ batches done, 1 failed\nProcessor: \d+ batches done, 1 failed\n$`)
	if !want.MatchString(stderr.String()) {
		t.Errorf("stderr does not match %s:\n%s", want, stderr.String())
	}
}

func TestAnEventSourceWithoutItsTableFails(t *testing.T) {
	inAWS(t)
	for want, args := range map[string][]string{
		"describe the table: ": {"--table", "none", "--queue-url", "http://127.0.0.1:1/q"},
		"eventsource needs ":   {"--table", "", "--queue-url", "http://127.0.0.1:1/q"},
	} {
		if err := runEventSource(t.Context(), args, io.Discard); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", args, err, want)
		}
	}
}

func TestBatchesAreThoseOfTheTemplate(t *testing.T) {
	for _, test := range []struct {
		resource, source, property string
		want                       int
	}{
		{"RelayFunction", "Stream", "BatchSize", eventsource.RelayBatch},
		{"TallyFunction", "Stream", "BatchSize", eventsource.TallyBatch},
		{"TallyFunction", "Stream", "TumblingWindowInSeconds", int(eventsource.TallyWindow / time.Second)},
		{"ProcessorFunction", "Queue", "BatchSize", eventsource.ProcessorBatch},
	} {
		resource, err := awstest.Template(t).Resource(test.resource)
		if err != nil {
			t.Fatal(err)
		}
		var got any = resource.Properties
		for _, key := range []string{"Events", test.source, "Properties", test.property} {
			properties, _ := got.(map[string]any)
			got = properties[key]
		}
		if got != test.want {
			t.Errorf("%s of %s is %v in the template, and %d here", test.property, test.resource, got, test.want)
		}
	}
}
