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
	"time"
)

// functionNames are the Lambda functions, by their folders.
var functionNames = []string{"create", "status", "ids", "metrics", "relay", "tally", "processor"}

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

// A runtimeAPI is what Lambda's is to a function that starts: it notes when the
// function asks for its first event, and has none. To all else, such as the
// connections that are opened in advance, it answers at once.
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
	server := &http.Server{Handler: mux, ReadHeaderTimeout: startTimeout}
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
