package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"orders/test/service"
)

func (b *bench) measureFunctions() {
	b.how(`Lambda functions built as they are deployed. Sizes are of the programs for arm64, not compressed. A
start is from the exec to the first request for an event from a Runtime API on this machine, for %s;
opening a connection to AWS, which goes to the same place, is in it. Each function takes turns with one
that does nothing (test/bench/empty); the medians of %d starts each.`, runtime.GOARCH, b.functionStarts)
	folder := b.buildFunctions("arm64")
	size := row{name: "size of the largest Lambda function", goal: atMost(9, "MB")} // a larger one takes longer to load
	for _, name := range functionNames {
		megabytes := float64(must(os.Stat(filepath.Join(folder, name))).Size()) / 1e6
		size.value = max(size.value, megabytes)
		size.details += fmt.Sprintf(" %s %.1f", name, megabytes)
	}
	b.record("size", size.value, "MB")
	b.row(size)
	folder = b.buildFunctions(runtime.GOARCH)
	start := row{name: "start of the slowest Lambda function ÷ an empty one", goal: atMost(1.5, "")}
	for _, name := range functionNames {
		own, empty := b.startInTurn(folder, name)
		b.record("start/"+name, own, "ms")
		b.record("start/empty", empty, "ms")
		start.value = max(start.value, own/empty)
		start.details += fmt.Sprintf(" %s %.1f ms (%.2f)", name, own, own/empty)
	}
	b.row(start)
}

// startInTurn returns the median milliseconds that a function and the empty one take to start.
func (b *bench) startInTurn(folder, name string) (own, empty float64) {
	api := startRuntimeAPI()
	defer api.Close()
	took := map[string][]float64{}
	for range b.functionStarts {
		for _, program := range []string{"empty", name} {
			took[program] = append(took[program], milliseconds(must(api.startFunction(b.ctx, filepath.Join(folder, program)))))
		}
	}
	return median(took[name]), median(took["empty"])
}

// functionNames are the Lambda functions, by their folders.
var functionNames = []string{"create", "status", "transition", "ids", "metrics", "fallback", "relay", "tally", "processor", "check"}

// deployed finds the environment that make sam-build builds with.
var deployed = regexp.MustCompile(`(?m)^SAM_BUILD = (CGO_ENABLED=\d) (GOFLAGS)='([^']+)'`)

// buildFunctions compiles the functions as they are deployed, for that architecture, into a folder.
func (b *bench) buildFunctions(architecture string) (folder string) {
	found := deployed.FindSubmatch(must(os.ReadFile("Makefile")))
	if found == nil {
		check(errors.New("the Makefile does not say how functions are built"))
	}
	folder = filepath.Join(b.dir, "functions-"+architecture)
	cmd := exec.CommandContext(b.ctx, "go", "build", "-o", folder+string(filepath.Separator), "./functions/...", "./test/bench/empty")
	cmd.Env = append(os.Environ(), string(found[1]), fmt.Sprintf("%s=%s", found[2], found[3]), "GOOS=linux", "GOARCH="+architecture)
	if out, err := cmd.CombinedOutput(); err != nil {
		check(fmt.Errorf("build the functions: %w\n%s", err, out))
	}
	return folder
}

// A runtimeAPI stands for Lambda's: it notes when a function asks for its first event, and has none.
// Its response to all else, such as the connections that are opened in advance, is empty.
type runtimeAPI struct {
	*httptest.Server
	asked chan time.Time
}

func startRuntimeAPI() *runtimeAPI {
	api := &runtimeAPI{asked: make(chan time.Time, 1)}
	api.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/2018-06-01/runtime/invocation/next" {
			api.asked <- time.Now()
			<-r.Context().Done()
		}
	}))
	return api
}

// startFunction starts a function, as if by Lambda, and returns how long it took from its exec to
// asking for its first event.
func (api *runtimeAPI) startFunction(ctx context.Context, program string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + api.Listener.Addr().String(), "AWS_LAMBDA_LOG_FORMAT=JSON",
		"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_ENDPOINT_URL=" + api.URL,
		"ORDERS_TABLE=orders", "ORDERS_QUEUE_URL=" + api.URL + "/queue", "DEAD_LETTER_QUEUE_URL=" + api.URL + "/dead",
		"PROCESSING_TIME=50s",
	}
	began := time.Now()
	p, err := service.Run(cmd)
	if err != nil {
		return 0, err
	}
	select {
	case asked := <-api.asked:
		return asked.Sub(began), p.Kill() // it waits for an event that does not come
	case <-p.Exited():
		return 0, fmt.Errorf("%s ended before it asked for an event: %v", filepath.Base(program), cmd.ProcessState)
	}
}
