// Package awsclient says how a Lambda function reaches AWS, from the environment that
// Lambda gives it: the aws.Config that its clients are made of.
//
// It promises that a call ends in bounded time, also when the network swallows
// it, so that a request can be answered before its function's deadline; and that
// the first call finds a connection open, because Lambda's initialisation has
// more processor than a small function has later.
//
// It does without aws-sdk-go-v2/config, which would make each function 2 MB larger
// for sources of settings and credentials that Lambda does not have. Which
// clients there are, and what for, is left to the functions.
//
// What the answers of those clients mean is said here, too, once for all that ask
// AWS: Failed tells what may pass from what will not.
package awsclient

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Bounds of one call. DynamoDB and SQS answer within some ten milliseconds; what
// takes this long is lost, and to send it again is quicker than to wait.
const (
	connectTimeout = time.Second     // each for TCP and TLS
	attemptTimeout = 3 * time.Second // to the answer's end
	maxAttempts    = 3
	maxBackoff     = 500 * time.Millisecond // between two attempts
)

// openTimeout bounds what opening a connection may add to a cold start.
const openTimeout = time.Second

// idleConnections is how many connections stay open: those that a page of the
// list takes at once, and some.
const idleConnections = 32

// newHTTPClient returns a client that all that is made of one aws.Config shares. It
// is frozen, because of any other the SDK may give each service a copy, with
// connections of its own.
func newHTTPClient() aws.HTTPClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = connectTimeout
			t.MaxIdleConnsPerHost = idleConnections
		}).
		WithTimeout(attemptTimeout).
		Freeze()
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
	})
}

// Prewarm leaves cfg's clients with an open connection to a service: "dynamodb" or
// "sqs". A function starts without one, too: the first call will open it, or
// say why it cannot.
//
// The service is known by name, because to import a client that is not used costs a
// function's start a tenth of a millisecond and more.
func Prewarm(ctx context.Context, cfg aws.Config, service string, log *slog.Logger) {
	if err := open(ctx, cfg.HTTPClient, endpoint(cfg, service)); err != nil {
		log.DebugContext(ctx, "no connection was opened in advance", "service", service, "err", err)
	}
}

// endpoint is where the SDK finds a service,
// https://docs.aws.amazon.com/general/latest/gr/rande.html.
func endpoint(cfg aws.Config, service string) string {
	if cfg.BaseEndpoint != nil {
		return strings.TrimSuffix(*cfg.BaseEndpoint, "/")
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(cfg.Region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return "https://" + service + "." + cfg.Region + "." + domain
}

// open asks for what takes no permission and no credentials; whatever is answered
// will do.
func open(ctx context.Context, client aws.HTTPClient, at string) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/ping", nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body) // a body that was not read keeps its connection
	return err
}
