package awsclient

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"orders/shared/order"
)

// Failed wraps an error of the SDK with what was being done; no error stays none. One
// that may be gone the next time becomes order.ErrUnavailable; the cause, such as
// the end of the context, stays to be matched. One that will be there until
// somebody mends the code, the template or a permission does not pass for a
// passing one.
func Failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case passing(err):
		return fmt.Errorf("%s: %w: %w", doing, order.ErrUnavailable, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// passing goes by the SDK's own list of what is worth a retry (throttling, 5xx). An
// error that is not an answer of the service at all says that there was none:
// connection, timeout, credentials that could not be had.
func passing(err error) bool {
	answer, ok := errors.AsType[smithy.APIError](err)
	return !ok || expired[answer.ErrorCode()] ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// expired are the codes of credentials whose time is over: others will come. See
// https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html.
var expired = map[string]bool{"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true}
