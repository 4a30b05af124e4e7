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

// WrapError wraps an error of the SDK with the action that failed; nil stays nil. A transient error
// also matches order.ErrUnavailable. Errors that a retry cannot fix (invalid request, missing
// permission, invalid configuration) do not. The cause, such as context.DeadlineExceeded, still
// matches.
func WrapError(action string, err error) error {
	switch {
	case err == nil:
		return nil
	case isTransient(err):
		return fmt.Errorf("%s: %w: %w", action, order.ErrUnavailable, err)
	default:
		return fmt.Errorf("%s: %w", action, err)
	}
}

// isTransient reports whether a retry may succeed. Of the errors that a service responds with,
// these are the ones on the SDK's own list (throttling, 5xx) and expired credentials. All other
// errors are transient (connection, timeout, credentials that cannot be loaded now), unless the SDK
// could not build the request.
//
// A response that cannot be parsed is transient, too. The request may have taken effect, and a
// retry finds that out, because every write is conditional.
func isTransient(err error) bool {
	response, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return !isRequestError(err)
	}
	return expiredCodes[response.ErrorCode()] ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// isRequestError reports whether the SDK could not build the request: a parameter is missing or
// cannot be serialized, the region or the endpoint is invalid, or no credentials are configured.
func isRequestError(err error) bool {
	_, invalid := errors.AsType[smithy.InvalidParamsError](err)
	_, unserializable := errors.AsType[*smithy.SerializationError](err)
	_, anonymous := errors.AsType[*credentials.StaticCredentialsEmptyError](err)
	// The SDK's errors about endpoints have no type of their own.
	text := err.Error()
	badEndpoint := strings.Contains(text, "failed to resolve service endpoint") || strings.Contains(text, "failed to bind endpoint params")
	return invalid || unserializable || anonymous || badEndpoint
}

// expiredCodes are the error codes for expired credentials, which are renewed soon. See
// https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html.
var expiredCodes = map[string]bool{"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true}
