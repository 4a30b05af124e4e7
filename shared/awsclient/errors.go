package awsclient

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"orders/shared/order"
)

// WrapError wraps an error of the SDK with what was being done; no error stays none. One
// that may be gone the next time becomes order.ErrUnavailable; the cause, such as
// the end of the context, stays to be matched. An error that a retry cannot mend (a wrong
// request, a missing permission, a configuration of which no request can be made) does not.
func WrapError(doing string, err error) error {
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
// error that is not an answer of the service may pass (connection, timeout, credentials
// that could not be had), unless the SDK could make no request.
//
// So may an answer that cannot be read: it says nothing of the request, which may have
// taken effect, and to ask again finds that out, since every write is conditional.
func passing(err error) bool {
	answer, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return !isRequestError(err)
	}
	return expired[answer.ErrorCode()] ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// isRequestError reports whether the SDK could make no request of what it was given: a
// parameter is missing, or has no form on the wire; the region or the endpoint is none;
// there are no credentials at all.
func isRequestError(err error) bool {
	_, invalid := errors.AsType[smithy.InvalidParamsError](err)
	_, unserializable := errors.AsType[*smithy.SerializationError](err)
	_, bare := errors.AsType[*credentials.StaticCredentialsEmptyError](err)
	// The SDK gives the errors of its endpoints no type.
	text := err.Error()
	nowhere := strings.Contains(text, "failed to resolve service endpoint") || strings.Contains(text, "failed to bind endpoint params")
	return invalid || unserializable || bare || nowhere
}

// expired are the codes of credentials whose time is over: others will come. See
// https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html.
var expired = map[string]bool{"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true}
