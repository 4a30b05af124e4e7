package awstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// FreshDynamoDB starts an engine beside the one that tests share, for a test that writes
// so much that it gets slow: it keeps the streams of tables that are deleted. stop may be
// called before the test ends, and more than once.
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
		t.Skipf("*** SKIPPED: %v ***", e.err)
	case e.err != nil:
		t.Fatal(e.err)
	}
	return e.endpoint
}

// stop asks the engine to end, so that it removes its temporary files. It is not
// waited for long: ElasticMQ would answer everybody first who waits for a message.
func (e *engine) stop() {
	if e.process == nil {
		return
	}
	_ = e.process.Signal(syscall.SIGTERM) // or it has ended, or it is killed:
	select {
	case <-e.exited:
	case <-time.After(time.Second):
		_ = e.process.Kill()
		<-e.exited
	}
}

// launch starts the engine and waits until it answers. Somebody else may take
// the port between the moment it was found free and the engine's start.
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
		if err = e.try(java, jars); err == nil {
			return nil
		}
	}
	return err
}

func (e *engine) try(java, jars string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	var output tail
	// The JVM's own settings are for a quick start on few processors, and for
	// leaving nothing behind in the folder for temporary files.
	arguments := slices.Concat([]string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Djava.library.path=" + jars, "-cp", filepath.Join(jars, "*"),
	}, e.arguments(port))
	cmd := exec.CommandContext(context.Background(), java, arguments...)
	cmd.Stdout, cmd.Stderr = &output, &output
	dieWithParent(cmd)
	if e.exited, err = run(cmd); err != nil {
		return fmt.Errorf("start %s: %w", e.name, err)
	}
	e.process, e.endpoint = cmd.Process, "http://127.0.0.1:"+port
	if err := answers(e.endpoint, e.exited); err != nil {
		e.stop()
		e.process = nil
		return fmt.Errorf("start %s: %w\n%s", e.name, err, output.bytes())
	}
	return nil
}

// moduleRoot is the folder of go.mod: a test runs in that of its package.
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
