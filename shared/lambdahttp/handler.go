// Package lambdahttp serves an http.Handler on AWS Lambda, behind an API Gateway HTTP API with
// payload format 2.0:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
//
// It promises that a request gets the response that a net/http server would give, and that every
// event gets a response: the function never returns an error, a panic becomes a problem with status
// 500, and a handler that is slow has time left to respond.
//
// aws-lambda-go-api-proxy converts the events. Package lambdahttp corrects its input (event.go) and
// its output (recover.go). The handler decides on every response but those that API Gateway gives
// itself.
package lambdahttp

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"

	"orders/shared/awsclient"
)

// deadlineMargin is how long before Lambda's deadline a request's context ends, so that there is
// time to respond that the store was too slow.
const deadlineMargin = 500 * time.Millisecond

// A Function is a handler to start a Lambda function with.
type Function = func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// New returns the function that serves h. It is safe for concurrent use if h is.
func New(h http.Handler, log *slog.Logger) Function {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		ctx, cancel := awsclient.BeforeDeadline(ctx, deadlineMargin)
		defer cancel()
		adapter := httpadapter.NewV2(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header = newHeader(e)
			r.Body, r.ContentLength = newBody(e)
			serve(h, w, r, e.RequestContext.RequestID, log)
		}))
		res, err := adapter.ProxyWithContext(ctx, sanitizeEvent(e))
		if strings.EqualFold(e.RequestContext.HTTP.Method, http.MethodHead) {
			res.Body, res.IsBase64Encoded = "", false
		}
		return res, err
	}
}

// BelowPath returns a function that takes the base path of a custom domain, such as "v1", from the
// beginning of a path. Only the route $default needs it: the key of any other route has no base path.
// If base is "", or a path does not begin with it, the path stays as it is.
func BelowPath(base string, next Function) Function {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		if rest, ok := strings.CutPrefix(e.RawPath, "/"+base); ok && base != "" && strings.HasPrefix(rest, "/") {
			e.RawPath = rest
		}
		return next(ctx, e)
	}
}
