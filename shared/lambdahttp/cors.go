package lambdahttp

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/aws/aws-lambda-go/events"
)

// What a page of another origin may send and read: what openapi.yaml names, besides the headers that
// browsers always allow.
const (
	corsMethods = "GET, HEAD, POST"
	corsSent    = "Content-Type, Idempotency-Key, X-Request-Id"
	corsRead    = "Idempotency-Replayed, Link, Location, Retry-After, X-Request-Id"
)

// WithCORS returns a function that lets pages of these origins call next, by the CORS protocol
// (https://fetch.spec.whatwg.org/#http-cors-protocol). To requests of other origins, and without
// origins, it changes nothing.
func WithCORS(origins []string, next Function) Function {
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		origin := e.Headers["origin"]
		if !slices.Contains(origins, origin) {
			return next(ctx, e)
		}
		allow := map[string]string{"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
		if e.RequestContext.HTTP.Method == http.MethodOptions && e.Headers["access-control-request-method"] != "" {
			allow["Access-Control-Allow-Methods"] = corsMethods
			allow["Access-Control-Allow-Headers"] = corsSent
			allow["Access-Control-Max-Age"] = "7200" // seconds, the most that Chromium takes
			return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusNoContent, Headers: allow}, nil
		}
		res, err := next(ctx, e)
		allow["Access-Control-Expose-Headers"] = corsRead
		if res.Headers == nil {
			res.Headers = map[string]string{}
		}
		maps.Copy(res.Headers, allow)
		return res, err
	}
}
