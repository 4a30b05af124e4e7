package awsclient_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/smithy-go"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// F1, F24, I16.
func TestWhatMayPassIsUnavailableAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		err         error
		unavailable bool
	}{
		{errors.New("connection refused"), true},
		{context.DeadlineExceeded, true},
		{&smithy.GenericAPIError{Code: "ThrottlingException"}, true},
		{&smithy.GenericAPIError{Code: "ExpiredToken"}, true},
		{&smithy.GenericAPIError{Code: "ExpiredTokenException"}, true},
		{&smithy.GenericAPIError{Code: "RequestExpired"}, true},
		{&smithy.GenericAPIError{Code: "AccessDenied"}, false},
		{&smithy.GenericAPIError{Code: "ValidationException"}, false},
	} {
		err := awsclient.Failed("do it", tt.err)
		if errors.Is(err, order.ErrUnavailable) != tt.unavailable || !errors.Is(err, tt.err) {
			t.Errorf("%v becomes %v", tt.err, err)
		}
	}
	if err := awsclient.Failed("do it", nil); err != nil {
		t.Errorf("nothing becomes %v", err)
	}
}
