package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// functionStarts is how often each function is started.
	functionStarts = 200
	// functionSize is in megabytes (10^6 bytes): a larger function takes longer to load.
	functionSize = 9
)

func (b *bench) measureFunctions(ctx context.Context) (section, error) {
	sec := section{
		how: fmt.Sprintf(`Lambda functions built as they are deployed. Sizes are of the programs for arm64, not compressed. A start is
from the exec to the first request for an event from a Runtime API on this machine, for %s; opening a connection
to AWS, which goes to the same place, is in it. Each function takes turns with one that does nothing
(test/bench/empty); the medians of %d starts each.`, runtime.GOARCH, functionStarts),
	}
	sizes, err := b.sizeRow(ctx)
	if err != nil {
		return sec, err
	}
	sec.rows = append(sec.rows, sizes)
	starts, err := b.functionStartRow(ctx)
	if err != nil {
		return sec, err
	}
	sec.rows = append(sec.rows, starts)
	return sec, nil
}

func (b *bench) sizeRow(ctx context.Context) (row, error) {
	folder, err := buildFunctions(ctx, b.dir, "arm64")
	if err != nil {
		return row{}, err
	}
	r := row{name: "size of the largest Lambda function", goal: atMost(functionSize, "MB")}
	var each []string
	for _, name := range functionNames {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			return row{}, err
		}
		megabytes := float64(info.Size()) / 1e6
		r.value = max(r.value, megabytes)
		each = append(each, fmt.Sprintf("%s %.1f", name, megabytes))
	}
	b.record("size", r.value, "MB")
	r.measured = strings.Join(each, ", ") + " MB"
	return r, nil
}

func (b *bench) functionStartRow(ctx context.Context) (row, error) {
	folder, err := buildFunctions(ctx, b.dir, runtime.GOARCH)
	if err != nil {
		return row{}, err
	}
	var ratios []float64
	var each []string
	for _, name := range functionNames {
		own, empty, err := startInTurn(ctx, folder, name)
		if err != nil {
			return row{}, err
		}
		ratios = append(ratios, own/empty)
		b.record("start/"+name, own, "ms")
		b.record("start/empty", empty, "ms")
		each = append(each, fmt.Sprintf("%s %.1f ms (%.1f)", name, own, empty))
	}
	return ratioRow("start of the slowest Lambda function ÷ an empty one", atMost(1.8, ""), slices.Max(ratios), "%s", strings.Join(each, ", ")), nil
}

// startInTurn returns the median milliseconds that a function and the empty one
// take to start.
func startInTurn(ctx context.Context, folder, name string) (own, empty float64, err error) {
	api, err := startRuntimeAPI(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, api.stop()) }()
	took := map[string][]float64{}
	for range functionStarts {
		for _, program := range []string{"empty", name} {
			d, err := api.startFunction(ctx, filepath.Join(folder, program))
			if err != nil {
				return 0, 0, err
			}
			took[program] = append(took[program], milliseconds(d))
		}
	}
	return median(took[name]), median(took["empty"]), nil
}

// functionNames are the Lambda functions, by their folders.
var functionNames = []string{"create", "status", "ids", "metrics", "fallback", "relay", "tally", "processor"}

// deployed finds the environment that make sam-build builds with.
var deployed = regexp.MustCompile(`(?m)^SAM_BUILD = (CGO_ENABLED=\d) (GOFLAGS)='([^']+)'`)

// buildFunctions compiles packages of functions as they are deployed, for that
// architecture, into a folder below dir.
func buildFunctions(ctx context.Context, dir, architecture string) (folder string, err error) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		return "", err
	}
	found := deployed.FindSubmatch(makefile)
	if found == nil {
		return "", errors.New("the Makefile does not say how functions are built")
	}
	folder = filepath.Join(dir, "functions-"+architecture)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", folder+string(filepath.Separator), "./functions/...", "./test/bench/empty")
	cmd.Env = append(os.Environ(), string(found[1]), fmt.Sprintf("%s=%s", found[2], found[3]), "GOOS=linux", "GOARCH="+architecture)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the functions: %w\n%s", err, out)
	}
	return folder, nil
}

// A runtimeAPI stands for Lambda's: it notes when a function asks for its first event, and has none.
// Its response to all else, such as the connections that are opened in advance, is empty.
type runtimeAPI struct {
	addr  string
	asked chan time.Time
	stop  func() error
}

func startRuntimeAPI(ctx context.Context) (*runtimeAPI, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	api := &runtimeAPI{addr: listener.Addr().String(), asked: make(chan time.Time, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(_ http.ResponseWriter, r *http.Request) {
		api.asked <- time.Now()
		<-r.Context().Done()
	})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	api.stop = server.Close
	go func() { _ = server.Serve(listener) }() // until it is closed
	return api, nil
}

// startFunction starts a function, as if by Lambda, and returns how long it took from
// its exec to asking for its first event.
func (api *runtimeAPI) startFunction(ctx context.Context, program string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = []string{
		"AWS_LAMBDA_RUNTIME_API=" + api.addr, "AWS_LAMBDA_LOG_FORMAT=JSON",
		"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_ENDPOINT_URL=http://" + api.addr,
		"ORDERS_TABLE=orders", "ORDERS_QUEUE_URL=http://" + api.addr + "/queue", "DEAD_LETTER_QUEUE_URL=http://" + api.addr + "/dead",
		"PROCESSING_TIME=50s",
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case asked := <-api.asked:
		_ = cmd.Process.Kill() // it waits for an event that does not come
		if <-exited == nil {
			return 0, fmt.Errorf("%s ended by itself", filepath.Base(program))
		}
		return asked.Sub(began), nil
	case err := <-exited:
		return 0, errors.Join(fmt.Errorf("%s ended before it asked for an event", filepath.Base(program)), err)
	}
}
