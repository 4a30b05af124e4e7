package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/shared/sqsqueue"
	"orders/test/awstest"
)

// startLambda stands for `sam local start-lambda`: it runs functions that are
// invoked over HTTP. The first invocation of each fails, as it is told there: 200
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
		answer, err := handlers[name].Invoke(r.Context(), event)
		if failed[name].CompareAndSwap(false, true) || err != nil {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			answer = []byte(`{"errorMessage":"out of luck"}`)
		}
		_, _ = w.Write(answer)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestTheBridgeTakesAnOrderThroughItsLife(t *testing.T) {
	_, url, dead := openQueues(t)
	s := openShop(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	store := awstest.Must(dynamostore.New(dynamostore.Config{
		Client: s.db, Table: s.table, ProcessingTime: time.Second, Now: time.Now, Random: rand.Reader,
	}))
	queue := awstest.Must(sqsqueue.New(sqsqueue.Config{Client: awstest.SQS(t), URL: url, DeadLetterURL: dead, Now: time.Now, Log: log}))
	endpoint := startLambda(t, map[string]any{
		"Relay": dynamostore.Relay{Queue: queue, ProcessingTime: time.Second, Log: log}.Handle,
		"Tally": dynamostore.Tallier{Client: s.db, Table: s.table, Now: time.Now, Log: log}.Handle,
		"Processor": sqsqueue.Receiver{
			Process: order.Processor{Orders: store, Queue: queue}.Process, Now: time.Now, Log: log,
		}.Handle,
	})

	ctx, interrupt := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	code := make(chan int)
	go func() {
		code <- exitCode(run(ctx, []string{
			"bridge", "--lambda-endpoint", endpoint, "--relay", "Relay", "--tally", "Tally", "--processor", "Processor",
		}, &stdout, &stderr), &stderr)
	}()
	id := s.create(order.Processing, 0).ID
	await(t, "the order is completed and counted", func() bool {
		o, err := store.Get(t.Context(), id)
		metrics, other := store.Metrics(t.Context())
		if err != nil || other != nil {
			t.Fatal(err, other)
		}
		return o.Status == order.Completed && metrics.ByStatus[order.Completed] == 1 && metrics.Total() == 1
	})
	interrupt()
	if got := <-code; got != exitOK || stdout.Len() > 0 {
		t.Errorf("exit code %d\n%s", got, stdout.String())
	}
	said := stderr.String()
	want := regexp.MustCompile(`^polling table \S+ and queue \S+, invoking at http://127\.0\.0\.1:\d+; Ctrl-C ends it\n` +
		`(?s:.*)function error \(Unhandled\): (?s:.*)out of luck(?s:.*)\n` +
		`Relay: \d+ batches done, 1 failed\nTally: \d+ batches done, 1 failed\nProcessor: \d+ batches done, 1 failed\n$`)
	if !want.MatchString(said) {
		t.Errorf("stderr does not match %s:\n%s", want, said)
	}
}

func TestTheBridgeToATableThatIsNotThereFails(t *testing.T) {
	inAWS(t)
	code, stdout, stderr := invoke(t, "bridge", "--table", "none", "--queue-url", "http://127.0.0.1:1/q")
	if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "ordersctl: describe the table: ") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
