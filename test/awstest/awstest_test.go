package awstest_test

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"orders/test/awstest"
)

// Most of a test's time is waiting, so more tests run concurrently than there are processors.
// The flag -parallel overrides it.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(awstest.Run(m))
}

func TestQueuesAreFreshAndTheFirstHasTheSecondAsItsDeadLetterQueue(t *testing.T) {
	url, deadLetterURL := awstest.Queues(t)
	output, err := awstest.SQS(t).GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameRedrivePolicy},
	})
	if err != nil {
		t.Fatal(err)
	}
	if policy := output.Attributes["RedrivePolicy"]; !strings.Contains(policy, `"`+awstest.QueueARN(deadLetterURL)+`"`) || url == deadLetterURL {
		t.Errorf("the redrive policy of %s is %s, without %s", url, policy, deadLetterURL)
	}
}

// A machine without Java runs the other tests. CI must not skip any.
func TestWithoutJavaTestsAreSkippedAndInCITheyFail(t *testing.T) {
	for ci, passes := range map[string]bool{"": true, "true": false} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestQueuesAreFresh")
		cmd.Env = []string{"PATH=", "CI=" + ci}
		output, err := cmd.CombinedOutput()
		if (err == nil) != passes || strings.Contains(string(output), "--- SKIP: TestQueuesAreFresh") != passes {
			t.Errorf("CI=%s: error %v\n%s", ci, err, output)
		}
	}
}
