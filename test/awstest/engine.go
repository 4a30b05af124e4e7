package awstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An engine is an emulator of a service of AWS: a Java program, started once.
type engine struct {
	// name is also the folder of its jars under .emulators.
	name string
	// arguments are those of the JVM behind the class path, for a port.
	arguments func(port string) []string

	once     sync.Once
	endpoint string
	err      error
	process  *os.Process
	exited   chan struct{}
}

var dynamoDB = engine{name: "dynamodb", arguments: func(port string) []string {
	return []string{
		"software.amazon.dynamodb.services.local.main.ServerRunner",
		"-port", port, "-inMemory", "-sharedDb", "-disableTelemetry",
	}
}}

// FreshDynamoDB starts an engine of its own for a test that creates hundreds of tables: DynamoDB
// Local keeps the streams of deleted tables and slows down. stop may be called before the test
// ends, and more than once.
func FreshDynamoDB(t testing.TB) (endpoint string, stop func()) {
	t.Helper()
	fresh := &engine{name: dynamoDB.name, arguments: dynamoDB.arguments}
	endpoint = fresh.start(t)
	t.Cleanup(fresh.stop)
	return endpoint, fresh.stop
}

var elasticMQ = engine{name: "elasticmq", arguments: func(port string) []string {
	return []string{
		"-Dnode-address.host=127.0.0.1", "-Dnode-address.port=" + port,
		"-Drest-sqs.bind-hostname=127.0.0.1", "-Drest-sqs.bind-port=" + port,
		"-Drest-sqs.sqs-limits=strict", "-Drest-stats.enabled=false",
		"-Daws.region=" + Region, "-Daws.accountId=" + Account,
		"org.elasticmq.server.Main",
	}
}}

// errMissing: Java or the engine's jars are not on this machine.
var errMissing = errors.New("not installed")

// start returns the engine's endpoint, and starts it the first time.
func (e *engine) start(t testing.TB) string {
	t.Helper()
	e.once.Do(func() { e.err = e.launch() })
	switch {
	case errors.Is(e.err, errMissing) && os.Getenv("CI") == "":
		t.Skip(e.err)
	case e.err != nil:
		t.Fatal(e.err)
	}
	return e.endpoint
}

// stop asks the engine to end, so that it removes its temporary files. It kills it after a
// second, because ElasticMQ would first serve all clients that wait for a message.
func (e *engine) stop() {
	if e.process == nil {
		return
	}
	_ = e.process.Signal(syscall.SIGTERM) // an error means that it has ended already
	select {
	case <-e.exited:
	case <-time.After(time.Second):
		_ = e.process.Kill()
		<-e.exited
	}
}

// launch starts the engine and waits until it responds. It tries three times, because another
// process may take the port between the search for a free one and the engine's start.
func (e *engine) launch() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	jars := filepath.Join(root, ".emulators", e.name)
	if _, err := os.Stat(filepath.Join(jars, "fetched")); err != nil {
		return fmt.Errorf("%s: %w: run make emulators, which needs Java 17 and Maven", e.name, errMissing)
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return fmt.Errorf("%s: %w: it needs Java 17", e.name, errMissing)
	}
	for range 3 {
		if err = e.launchOnce(java, jars); err == nil {
			return nil
		}
	}
	return err
}

func (e *engine) launchOnce(java, jars string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	var output bytes.Buffer
	// The options of the JVM make it start quickly on few processors, and leave nothing behind
	// in the folder for temporary files.
	arguments := slices.Concat([]string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Djava.library.path=" + jars, "-cp", filepath.Join(jars, "*"),
	}, e.arguments(port))
	cmd := exec.CommandContext(context.Background(), java, arguments...)
	cmd.Stdout, cmd.Stderr = &output, &output
	dieWithParent(cmd)
	if e.exited, err = startProcess(cmd); err != nil {
		return fmt.Errorf("start %s: %w", e.name, err)
	}
	e.process, e.endpoint = cmd.Process, "http://127.0.0.1:"+port
	if err := awaitResponse(e.endpoint, e.exited); err != nil {
		e.stop()
		e.process = nil
		return fmt.Errorf("start %s: %w\n%s", e.name, err, output.Bytes())
	}
	return nil
}

// moduleRoot is the folder of go.mod. A test runs in the folder of its package.
func moduleRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("there is no go.mod above the working directory")
		}
		folder = filepath.Dir(folder)
	}
}

// startProcess starts a command and closes exited when it ends. The thread that starts it lives
// as long as the process: to Linux, the parent has died when this thread has.
func startProcess(cmd *exec.Cmd) (exited chan struct{}, err error) {
	started := make(chan error)
	exited = make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // its output says why
		}
	}()
	return exited, <-started
}

// awaitResponse waits until the endpoint responds, with any status.
func awaitResponse(endpoint string, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, http.NoBody)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			return response.Body.Close()
		}
		select {
		case <-exited:
			return errors.New("it has ended")
		case <-ctx.Done():
			return errors.New("it does not respond")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freePort() (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), listener.Close()
}
