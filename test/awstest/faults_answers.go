package awstest

import (
	"bytes"
	"encoding/json/v2"
	"fmt"
	"io"
	"net/http"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Throttled has AWS refuse an attempt because there are too many. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html.
func Throttled(a *Attempt) (*smithyhttp.Response, error) {
	if a.toDynamoDB() {
		return refusal(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ThrottlingException", "Throughput exceeds the current capacity of your table or index.")
	}
	return refusal(http.StatusBadRequest, "com.amazonaws.sqs#RequestThrottled", "Rate exceeded.")
}

// ThroughputExceeded has DynamoDB refuse an attempt because its part of the table is
// asked too much. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html.
func ThroughputExceeded(*Attempt) (*smithyhttp.Response, error) {
	return refusal(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
		"The level of configured provisioned throughput for the table was exceeded.")
}

// ExpiredCredentials has AWS refuse an attempt because the role's credentials are too
// old. See https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html.
func ExpiredCredentials(*Attempt) (*smithyhttp.Response, error) {
	return refusal(http.StatusBadRequest, "com.amazon.coral.service#ExpiredTokenException", "The security token included in the request is expired")
}

// ServiceDown has AWS answer that it is not well, with status 500 or 503. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html.
func ServiceDown(status int) Fault {
	return func(a *Attempt) (*smithyhttp.Response, error) {
		switch {
		case status == http.StatusServiceUnavailable:
			return refusal(status, "com.amazon.coral.availability#ServiceUnavailable", "The service is currently unavailable.")
		case a.toDynamoDB():
			return refusal(status, "com.amazonaws.dynamodb.v20120810#InternalServerError", "The request processing has failed.")
		default:
			return refusal(status, "com.amazonaws.sqs#InternalFailure", "The request processing has failed.")
		}
	}
}

// Canceled has DynamoDB cancel a transaction, with a reason for each of its items, such
// as "None", "TransactionConflict" or "ThrottlingError". See
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
func Canceled(codes ...string) Fault {
	type reason struct {
		Code string
	}
	reasons := make([]reason, len(codes))
	for i, code := range codes {
		reasons[i] = reason{code}
	}
	message := fmt.Sprintf("Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", "))
	return func(*Attempt) (*smithyhttp.Response, error) {
		return answer(http.StatusBadRequest, map[string]any{
			"__type":  "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
			"Message": message, "CancellationReasons": reasons,
		})
	}
}

// Conflict has DynamoDB cancel a transaction because another one is at its first item.
func Conflict(a *Attempt) (*smithyhttp.Response, error) {
	return Canceled("TransactionConflict", "None")(a)
}

func refusal(status int, code, message string) (*smithyhttp.Response, error) {
	return answer(status, map[string]any{"__type": code, "message": message})
}

// answer is one as AWS gives it in its JSON protocols.
func answer(status int, document any) (*smithyhttp.Response, error) {
	body, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	return &smithyhttp.Response{Response: &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}}, nil
}

func (a *Attempt) toDynamoDB() bool { return awsmiddleware.GetServiceID(a) == dynamodb.ServiceID }
