package dynamostore_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"orders/shared/dynamostore"
	"orders/shared/order"
	"orders/test/awstest"
)

// answering is a store whose table answers everything in that way.
func answering(t *testing.T, answer http.HandlerFunc, options ...func(*dynamodb.Options)) *dynamostore.Store {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	}, options...)
	return awstest.Must(dynamostore.New(dynamostore.Config{
		Client: client, Table: "orders", ProcessingTime: processing,
		Now: func() time.Time { return noon }, Random: strings.NewReader(strings.Repeat("x", 1000)),
	}))
}

// calls are all requests that a store can make.
var calls = map[string]func(context.Context, *dynamostore.Store) error{
	"Create": func(ctx context.Context, s *dynamostore.Store) error {
		_, _, err := s.Create(ctx, draft())
		return err
	},
	"Get":  func(ctx context.Context, s *dynamostore.Store) error { _, err := s.Get(ctx, id(1)); return err },
	"List": func(ctx context.Context, s *dynamostore.Store) error { _, err := s.List(ctx, 1, ""); return err },
	"Advance": func(ctx context.Context, s *dynamostore.Store) error {
		return s.Advance(ctx, id(1), order.Processing, noon)
	},
	"Metrics": func(ctx context.Context, s *dynamostore.Store) error { _, err := s.Metrics(ctx); return err },
}

func problem(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#`+code+`","message":"no"}`)
	}
}

func TestWhatMayPassIsUnavailableAndNothingElse(t *testing.T) {
	for name, tt := range map[string]struct {
		answer      http.HandlerFunc
		unavailable bool
	}{
		"throttled":                 {problem(400, "ThrottlingException"), true},
		"throughput exceeded":       {problem(400, "ProvisionedThroughputExceededException"), true},
		"request limit exceeded":    {problem(400, "RequestLimitExceeded"), true},
		"internal error":            {problem(500, "InternalServerError"), true},
		"service unavailable":       {problem(503, "ServiceUnavailable"), true},
		"a gateway's page":          {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, true},
		"expired credentials":       {problem(400, "ExpiredTokenException"), true},
		"an answer that is no JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, true},
		"a connection that breaks":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"a request that is not one": {problem(400, "ValidationException"), false},
		"a missing permission":      {problem(400, "AccessDeniedException"), false},
		"a missing table":           {problem(400, "ResourceNotFoundException"), false},
		"a signature that is wrong": {problem(400, "UnrecognizedClientException"), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := answering(t, tt.answer)
			for call, f := range calls {
				err := f(t.Context(), s)
				if err == nil || errors.Is(err, order.ErrUnavailable) != tt.unavailable || errors.Is(err, order.ErrNotFound) {
					t.Errorf("%s: error %v, to be unavailable: %v", call, err, tt.unavailable)
				}
			}
		})
	}
}

func TestCredentialsThatCannotBeHadAreUnavailable(t *testing.T) {
	none := errors.New("no credentials today")
	s := answering(t, http.NotFound, func(o *dynamodb.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, none
		})
	})
	for call, f := range calls {
		if err := f(t.Context(), s); !errors.Is(err, order.ErrUnavailable) || !errors.Is(err, none) {
			t.Errorf("%s: error %v", call, err)
		}
	}
}

// I16, F24: a table that never answers costs no more than the caller's patience.
func TestTheEndOfTheContextEndsACallAndIsMatched(t *testing.T) {
	s := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	for call, f := range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := f(ctx, s); !errors.Is(err, order.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: error %v", call, err)
		}
		cancel()
	}
}
