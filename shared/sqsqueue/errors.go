package sqsqueue

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"orders/shared/order"
)

// failed wraps an error of the SDK with what was being done. When SQS gave no
// answer, or one that is worth a retry, it becomes order.ErrUnavailable; its cause,
// such as the end of the context, stays to be matched. Any other answer, such as
// a missing permission, will be there until somebody mends what causes it.
func failed(doing string, err error) error {
	_, answered := errors.AsType[smithy.APIError](err)
	if answered && retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) != aws.TrueTernary {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, order.ErrUnavailable, err)
}
