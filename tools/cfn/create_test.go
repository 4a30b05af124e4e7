package cfn_test

import (
	"os"
	"strings"
	"testing"

	"orders/tools/cfn"
)

// The tests on emulators show that table and queues are right.
func TestUnknownPropertiesAreAnError(t *testing.T) {
	source, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read := func(t *cfn.Template) (err error) {
		if _, err = t.Table(); err == nil {
			_, err = t.OrdersQueue("arn")
		}
		return err
	}
	for _, tt := range []struct{ old, new, want string }{
		{"BillingMode:", "BilingMode:", "BilingMode"},
		{"KeyType: HASH", "KyeType: HASH", "KyeType"},
		{"VisibilityTimeout:", "VisibilityTimeOut:", "VisibilityTimeOut"},
		{"!GetAtt DeadLetterQueue.Arn", "!GetAtt Other.Arn", "Other.Arn"},
		{"  OrdersTable:", "  Table:", "OrdersTable: no such resource"},
		{"StreamSpecification:", "#", "no stream"},
	} {
		err := read(parse(t, replace(t, string(source), tt.old, tt.new)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %s", tt.new, err, tt.want)
		}
	}
}
