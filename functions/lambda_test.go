package functions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orders/test/awstest"
	"orders/test/conformance"
)

// programs is where the functions lie once they are built.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "orders-functions-"); err != nil {
		panic(err)
	}
	code := awstest.Run(m)
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

// build compiles every function, as it is deployed but for the architecture.
var build = sync.OnceValue(func() error { return buildInto(context.Background(), programs, "..") })

// deployed finds the environment that make sam-build builds with.
var deployed = regexp.MustCompile(`(?m)^SAM_BUILD = (CGO_ENABLED=\d) (GOFLAGS)='([^']+)'`)

// buildInto compiles the functions of the module in root into a folder, as they are built for a
// deployment, with the GOFLAGS of the test besides.
func buildInto(ctx context.Context, folder, root string, environment ...string) error {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		return err
	}
	found := deployed.FindSubmatch(makefile)
	if found == nil {
		return errors.New("the Makefile does not say how functions are built")
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", folder+"/", "./functions/...")
	cmd.Dir = root
	cmd.Env = append(append(os.Environ(), string(found[1]), fmt.Sprintf("%s=%s %s", found[2], found[3], os.Getenv("GOFLAGS"))), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// A function is the process of one Lambda function, under the Runtime API that Lambda gives it:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
type function struct {
	t      *testing.T
	events chan []byte
	result chan result
	asked  chan struct{} // closed when it has asked for its first event
	exited chan error
	output conformance.LogBuffer

	timeout time.Duration // of an invocation
	trace   string        // the tracing header of an invocation
}

// stallTimeout is how long a function may do nothing, on a busy machine.
const stallTimeout = 30 * time.Second

// A result is how an invocation ended: with a response or with a function error.
type result struct {
	body   []byte
	failed bool
}

// timeout is how long a function may take unless a test says otherwise, as template.yaml has it for
// most.
const timeout = 10 * time.Second

// start starts a function with these environment variables and no others.
func start(t *testing.T, name string, environment ...string) *function {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	f := &function{
		t: t, timeout: timeout,
		events: make(chan []byte), result: make(chan result), asked: make(chan struct{}), exited: make(chan error, 1),
	}
	api := httptest.NewServer(f.runtimeAPI())
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, name))
	cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"),
		"AWS_LAMBDA_FUNCTION_NAME=" + name, "AWS_LAMBDA_LOG_FORMAT=JSON",
	}, environment...)
	cmd.Stdout, cmd.Stderr = &f.output, &f.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { f.exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		api.CloseClientConnections()
		api.Close()
	})
	return f
}

func (f *function) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	id := 0
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		if id++; id == 1 {
			close(f.asked)
		}
		select {
		case event := <-f.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "invocation-"+strconv.Itoa(id))
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(f.timeout).UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:orders")
			w.Header().Set("Lambda-Runtime-Trace-Id", f.trace)
			_, _ = w.Write(event)
		case <-r.Context().Done():
		}
	})
	for ending, failed := range map[string]bool{"response": false, "error": true} {
		mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/"+ending, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.WriteHeader(http.StatusAccepted)
			f.result <- result{body, failed}
		})
	}
	return mux
}

// invoke sends an event and returns how that ended.
func (f *function) invoke(event []byte) result {
	f.t.Helper()
	select {
	case f.events <- event:
		return await(f, f.result)
	case err := <-f.exited:
		f.t.Fatalf("the function ended (%v):\n%s", err, f.output.Bytes())
	case <-time.After(stallTimeout):
		f.t.Fatalf("the function does not ask for events:\n%s", f.output.Bytes())
	}
	return result{}
}

// await waits for something that the function is to do.
func await[T any](f *function, c <-chan T) (v T) {
	f.t.Helper()
	select {
	case v = <-c:
	case err := <-f.exited:
		f.t.Fatalf("the function ended (%v):\n%s", err, f.output.Bytes())
	case <-time.After(stallTimeout):
		f.t.Fatalf("the function does nothing:\n%s", f.output.Bytes())
	}
	return v
}

// awaitLines waits until the function has logged something, which may come later than its response,
// and returns all of it, each line an object.
func (f *function) awaitLines() (lines []map[string]any) {
	f.t.Helper()
	for deadline := time.Now().Add(stallTimeout); !bytes.HasSuffix(f.output.Bytes(), []byte("\n")); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("logged only %q", f.output.Bytes())
		}
	}
	for line := range bytes.Lines(f.output.Bytes()) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			f.t.Errorf("logged %q, which is no JSON: %v", line, err)
		}
		lines = append(lines, fields)
	}
	return lines
}
