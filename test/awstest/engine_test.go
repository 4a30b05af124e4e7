package awstest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A machine with Go alone runs the other tests; CI must not leave any out.
func TestWithoutJavaTestsAreSkippedAndInCITheyFail(t *testing.T) {
	for ci, passes := range map[string]bool{"": true, "true": false} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestQueuesAreFreshAndLeadToEachOther$")
		cmd.Env = []string{"PATH=", "CI=" + ci}
		output, err := cmd.CombinedOutput()
		if (err == nil) != passes || strings.Contains(string(output), "*** SKIPPED") != passes {
			t.Errorf("CI=%s: error %v\n%s", ci, err, output)
		}
	}
}
