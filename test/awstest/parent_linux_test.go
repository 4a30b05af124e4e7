package awstest_test

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"orders/test/awstest"
	"orders/test/conformance"
)

// hold is a variable that makes the test below start an engine and wait, in a process of its own.
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
	if !responds(endpoint) {
		t.Fatalf("no engine at %q", endpoint)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	conformance.Eventually(t, func() error {
		if responds(endpoint) {
			return errors.New("the engine goes on")
		}
		return nil
	})
}

func responds(endpoint string) bool {
	response, err := http.Get(endpoint)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return true
}
