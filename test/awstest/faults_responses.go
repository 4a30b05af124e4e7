package awstest

import (
	"bytes"
	"encoding/json/v2"
	"io"
	"net/http"
	"slices"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Throttled refuses an attempt because there are too many. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html.
func Throttled(a *Attempt) (*smithyhttp.Response, error) {
	if a.toDynamoDB() {
		return refusal(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ThrottlingException", "Throughput exceeds the current capacity of your table or index.")
	}
	return refusal(http.StatusBadRequest, "com.amazonaws.sqs#RequestThrottled", "Rate exceeded.")
}

// ExpiredCredentials refuses an attempt because the role's credentials are too old. See
// https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html.
func ExpiredCredentials(*Attempt) (*smithyhttp.Response, error) {
	return refusal(http.StatusBadRequest, "com.amazon.coral.service#ExpiredTokenException", "The security token included in the request is expired")
}

// InternalError fails an attempt with status 500. See
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html.
func InternalError(a *Attempt) (*smithyhttp.Response, error) {
	if a.toDynamoDB() {
		return refusal(http.StatusInternalServerError, "com.amazonaws.dynamodb.v20120810#InternalServerError", "The request processing has failed.")
	}
	return refusal(http.StatusInternalServerError, "com.amazonaws.sqs#InternalFailure", "The request processing has failed.")
}

func refusal(status int, code, message string) (*smithyhttp.Response, error) {
	return newResponse(status, map[string]any{"__type": code, "message": message})
}

// newResponse is a response in the JSON protocols of AWS.
func newResponse(status int, document any) (*smithyhttp.Response, error) {
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

// PartlyFailed makes SQS respond to a batch with status 200 and refuse the entries at those
// indexes. They never reach the queue. senderFault says whether SQS blames the client. See
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html.
func PartlyFailed(senderFault bool, entries ...int) Fault {
	return func(a *Attempt) (*smithyhttp.Response, error) {
		failed, remaining, err := a.withdraw(entries, senderFault)
		if err != nil {
			return nil, err
		}
		outcome := map[string]any{"Successful": []any{}}
		if remaining > 0 {
			response, err := a.Send()
			if err != nil || response.StatusCode != http.StatusOK {
				return response, err
			}
			defer response.Body.Close()
			if err := json.UnmarshalRead(response.Body, &outcome); err != nil {
				return nil, err
			}
		}
		refused, _ := outcome["Failed"].([]any)
		outcome["Failed"] = append(refused, failed...)
		return newResponse(http.StatusOK, outcome)
	}
}

// withdraw takes entries out of the attempt's batch. It returns them as the response will list
// them, and how many entries the batch still has.
func (a *Attempt) withdraw(indexes []int, senderFault bool) (failed []any, remaining int, err error) {
	if err := a.Request.RewindStream(); err != nil {
		return nil, 0, err
	}
	var batch map[string]any
	if err := json.UnmarshalRead(a.Request.GetStream(), &batch); err != nil {
		return nil, 0, err
	}
	code := "InternalError"
	if senderFault {
		code = "InvalidMessageContents"
	}
	entries, _ := batch["Entries"].([]any)
	var kept []any
	for i, entry := range entries {
		if !slices.Contains(indexes, i) {
			kept = append(kept, entry)
			continue
		}
		fields, _ := entry.(map[string]any)
		failed = append(failed, map[string]any{"Id": fields["Id"], "SenderFault": senderFault, "Code": code, "Message": "not taken"})
	}
	batch["Entries"] = kept
	return failed, len(kept), a.setBody(batch)
}

// setBody replaces the attempt's body. Its signature becomes wrong, which no engine checks.
func (a *Attempt) setBody(document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	request, err := a.Request.SetStream(io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))))
	if err != nil {
		return err
	}
	request.ContentLength = int64(len(body))
	a.Request = request
	return nil
}
