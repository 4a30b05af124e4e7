// Package lambdahttp serves an http.Handler on AWS Lambda, behind an API Gateway
// HTTP API with payload format 2.0:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
//
// It promises that a request gets the answer that a net/http server would give
// it, and that every event is answered, whatever is in it: there is never an error
// for Lambda, a panic is a problem with status 500, and a handler that is slow has
// time left to say so.
//
// The events are converted by aws-lambda-go-api-proxy. What that would get wrong
// is put right before (see event.go) and after it (see guard.go). What is asked and
// answered is left to the handler; what API Gateway answers by itself never
// comes here.
package lambdahttp

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// margin is how long before Lambda's deadline a request's context ends, so that
// there is time to answer that the store was too slow.
const margin = 500 * time.Millisecond

// New returns the function to start a Lambda function with. It may be called any
// number of times at once if h may.
func New(h http.Handler, log *slog.Logger) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		ctx, cancel := beforeDeadline(ctx)
		defer cancel()
		adapter := httpadapter.NewV2(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header = headerOf(e)
			body, err := bodyOf(e)
			if err != nil {
				r.Body, r.ContentLength = undecodable{err}, -1
			} else {
				r.Body, r.ContentLength = body, body.Size()
			}
			serve(h, w, r, e.RequestContext.RequestID, log)
		}))
		res, err := adapter.ProxyWithContext(ctx, convertible(e))
		if strings.EqualFold(e.RequestContext.HTTP.Method, http.MethodHead) {
			res.Body, res.IsBase64Encoded = "", false
		}
		return res, err
	}
}

func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-margin))
}
