// Package awsclient makes the clients of AWS that a Lambda function has, from the
// environment that Lambda gives it.
//
// It promises that a call ends in bounded time, also when the network swallows
// it, so that a request can be answered before its function's deadline; and that
// the first call finds a connection open, because Lambda's initialisation has
// more processor than a small function has later.
//
// It does without aws-sdk-go-v2/config, which would make each function 2 MB larger
// for sources of settings and credentials that Lambda does not have. What the clients
// are used for is left to those who get them.
package awsclient

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Bounds of one call. DynamoDB and SQS answer within some ten milliseconds; what
// takes this long is lost, and to send it again is quicker than to wait.
const (
	connectTimeout = time.Second     // each for TCP and TLS
	headerTimeout  = 3 * time.Second // from the request to the answer's beginning
	callTimeout    = 4 * time.Second // an attempt, to the answer's end
	maxAttempts    = 3
	maxBackoff     = 500 * time.Millisecond // between two attempts
)

// openTimeout bounds what opening a connection may add to a cold start.
const openTimeout = time.Second

// idleConnections is how many connections stay open: those that a page of the
// list takes at once, and some.
const idleConnections = 32

// newHTTPClient returns a client that all that is made of one aws.Config shares:
// frozen, because the SDK would give each service a copy with connections of its own.
func newHTTPClient() aws.HTTPClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = connectTimeout
			t.ResponseHeaderTimeout = headerTimeout
			t.MaxIdleConnsPerHost = idleConnections
		}).
		WithTimeout(callTimeout).
		Freeze()
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
	})
}

// DynamoDB returns a client with an open connection.
func DynamoDB(ctx context.Context, cfg aws.Config, log *slog.Logger) *dynamodb.Client {
	client := dynamodb.NewFromConfig(cfg)
	where, err := client.Options().EndpointResolverV2.ResolveEndpoint(ctx,
		dynamodb.EndpointParameters{Region: &cfg.Region, Endpoint: cfg.BaseEndpoint})
	if err == nil {
		err = open(ctx, cfg.HTTPClient, where.URI)
	}
	logUnopened(ctx, log, "DynamoDB", err)
	return client
}

// SQS returns a client with an open connection.
func SQS(ctx context.Context, cfg aws.Config, log *slog.Logger) *sqs.Client {
	client := sqs.NewFromConfig(cfg)
	where, err := client.Options().EndpointResolverV2.ResolveEndpoint(ctx,
		sqs.EndpointParameters{Region: &cfg.Region, Endpoint: cfg.BaseEndpoint})
	if err == nil {
		err = open(ctx, cfg.HTTPClient, where.URI)
	}
	logUnopened(ctx, log, "SQS", err)
	return client
}

// open leaves the client with a connection to that host. What it asks for there
// takes no permission and no credentials, and whatever is answered will do.
func open(ctx context.Context, client aws.HTTPClient, at url.URL) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.JoinPath("ping").String(), nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body) // only a body that was read gives its connection back
	return err
}

// logUnopened notes a connection that could not be opened. The function starts
// without it: the first call will open one, or say why it cannot.
func logUnopened(ctx context.Context, log *slog.Logger, service string, err error) {
	if err != nil {
		log.DebugContext(ctx, "no connection was opened in advance", "service", service, "err", err)
	}
}
