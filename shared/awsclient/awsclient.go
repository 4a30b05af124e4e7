// Package awsclient is how a Lambda function reaches AWS: Env reads its settings and makes the
// aws.Config of its clients, Prewarm opens a connection, BeforeDeadline leaves time to respond, and
// WrapError separates transient errors from others.
//
// It promises that a call ends in bounded time, also when the network drops packets, so that a
// request is answered before its function's deadline; and that the first call finds a connection
// open, because a function has more processor during Lambda's initialization than later.
//
// It does not use aws-sdk-go-v2/config, which would make each function 2 MB larger for sources of
// settings and credentials that Lambda does not have. The functions make their clients themselves.
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

// Bounds of one call. DynamoDB and SQS respond within some ten milliseconds. A request that takes
// as long as this is lost, and a retry is quicker than waiting.
const (
	connectTimeout = time.Second     // each for TCP and TLS
	attemptTimeout = 3 * time.Second // up to the end of the response
	maxAttempts    = 3
	maxBackoff     = 500 * time.Millisecond // between two attempts
)

// prewarmTimeout bounds how much Prewarm may add to a cold start.
const prewarmTimeout = time.Second

// maxIdleConnections is how many connections are kept open: a page of the list uses 16 at a time.
const maxIdleConnections = 32

// newHTTPClient returns the client that all clients made of one aws.Config share. It is frozen,
// because the SDK may give each service its own copy of a client that is not, with its own
// connections.
func newHTTPClient() aws.HTTPClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = connectTimeout
			t.MaxIdleConnsPerHost = maxIdleConnections
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

// Prewarm opens a connection of cfg's clients to a service: "dynamodb" or "sqs". An error is only
// logged: the first call will open a connection, or return the error.
//
// The service is given by name, because importing a client that is not used costs a function's
// start a tenth of a millisecond and more.
func Prewarm(ctx context.Context, cfg aws.Config, service string, log *slog.Logger) {
	if err := ping(ctx, cfg.HTTPClient, endpoint(cfg, service)); err != nil {
		log.DebugContext(ctx, "no connection was opened in advance", "service", service, "err", err)
	}
}

// endpoint is the URL at which the SDK calls a service,
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

// ping sends a request that needs no permission and no credentials. Any response will do.
func ping(ctx context.Context, client aws.HTTPClient, baseURL string) error {
	ctx, cancel := context.WithTimeout(ctx, prewarmTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/ping", nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body) // a connection is reused only after its response was read
	return err
}

// BeforeDeadline returns a context that ends margin before the deadline of ctx, which is that of
// Lambda: there is time left to respond. A function that runs into Lambda's deadline has no
// response.
func BeforeDeadline(ctx context.Context, margin time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-margin))
}
