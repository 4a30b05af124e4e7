package awsclient_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"orders/shared/awsclient"
	"orders/shared/order"
)

// F1, F24, I16.
func TestOnlyTransientErrorsAreUnavailable(t *testing.T) {
	api := func(code string) error { return &smithy.GenericAPIError{Code: code} }
	for unavailable, errs := range map[bool][]error{
		true: {
			errors.New("connection refused"), context.DeadlineExceeded, api("ThrottlingException"), api("ProvisionedThroughputExceededException"),
			api("RequestLimitExceeded"), api("ExpiredToken"), api("ExpiredTokenException"), api("RequestExpired"),
			&smithy.DeserializationError{Err: errors.New("unexpected end of JSON input")},
		},
		false: {
			&smithy.SerializationError{Err: errors.New("no form on the wire")},
			api("AccessDenied"), api("ValidationException"), api("ResourceNotFoundException"), api("UnrecognizedClientException"),
		},
	} {
		for _, err := range errs {
			if got := awsclient.WrapError("do it", err); errors.Is(got, order.ErrUnavailable) != unavailable || !errors.Is(got, err) {
				t.Errorf("%v becomes %v", err, got)
			}
		}
	}
	if err := awsclient.WrapError("do it", nil); err != nil {
		t.Errorf("nothing becomes %v", err)
	}
}

// The SDK itself refuses what is wrong in the code or the configuration. It makes no request, and
// would refuse a retry as well.
func TestARequestThatTheSDKCannotBuildIsNotUnavailable(t *testing.T) {
	key := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "x"}}
	sound := &dynamodb.GetItemInput{TableName: aws.String("orders"), Key: key}
	get := func(region, endpoint, key string, in *dynamodb.GetItemInput) error {
		asked := false
		client := dynamodb.New(dynamodb.Options{
			Region: region, Credentials: credentials.NewStaticCredentialsProvider(key, key, ""),
			HTTPClient: smithyhttp.ClientDoFunc(func(*http.Request) (*http.Response, error) {
				asked = true
				return nil, errors.New("connection refused")
			}),
			Retryer: aws.NopRetryer{},
		}, func(o *dynamodb.Options) {
			if endpoint != "" {
				o.BaseEndpoint = &endpoint
			}
		})
		_, err := client.GetItem(t.Context(), in)
		if asked != (in == sound && region == "eu-west-1" && endpoint == "" && key != "") {
			t.Errorf("a request was made: %v, error %v", asked, err)
		}
		return err
	}
	send := func(in *sqs.SendMessageInput, region string) error {
		_, err := sqs.New(sqs.Options{Region: region, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}).SendMessage(t.Context(), in)
		return err
	}
	for name, err := range map[string]error{
		"no table and no key":    get("eu-west-1", "", "a", &dynamodb.GetItemInput{}),
		"no region":              get("", "", "a", sound),
		"an invalid region":      get("eu west 1", "", "a", sound),
		"an endpoint is no URL":  get("eu-west-1", "::", "a", sound),
		"no credentials":         get("eu-west-1", "", "", sound),
		"a message without body": send(&sqs.SendMessageInput{QueueUrl: aws.String("https://queue")}, "eu-west-1"),
		"a queue in no region":   send(&sqs.SendMessageInput{QueueUrl: aws.String("https://queue"), MessageBody: aws.String("x")}, ""),
	} {
		if failed := awsclient.WrapError("do it", err); err == nil || errors.Is(failed, order.ErrUnavailable) || !errors.Is(failed, err) {
			t.Errorf("%s: %v becomes %v", name, err, failed)
		}
	}
	if err := get("eu-west-1", "", "a", sound); !errors.Is(awsclient.WrapError("do it", err), order.ErrUnavailable) {
		t.Errorf("a sound request without a response: %v", err)
	}
}
