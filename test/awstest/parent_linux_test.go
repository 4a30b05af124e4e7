package awstest_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"orders/test/awstest"
)

// hold makes the test below, in a process of its own, wait with an engine running.
const hold = "AWSTEST_HOLD"

func TestAnEngineEndsWithATestBinaryThatIsKilled(t *testing.T) {
	if os.Getenv(hold) != "" {
		_, _ = os.Stdout.WriteString("\nendpoint " + awstest.DynamoDBEndpoint(t) + "\n")
		select {}
	}
	awstest.DynamoDBEndpoint(t) // or this test is skipped
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), hold+"=1")
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	endpoint := ""
	for lines := bufio.NewScanner(output); endpoint == "" && lines.Scan(); {
		endpoint, _ = strings.CutPrefix(lines.Text(), "endpoint ")
		if !strings.HasPrefix(endpoint, "http") {
			endpoint = ""
		}
	}
	if !answers(endpoint) {
		t.Fatalf("no engine at %q", endpoint)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for deadline := time.Now().Add(20 * time.Second); answers(endpoint); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the engine goes on")
		}
	}
}

func answers(endpoint string) bool {
	response, err := http.Get(endpoint)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return true
}
