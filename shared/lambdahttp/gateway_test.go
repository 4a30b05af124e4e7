package lambdahttp_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/lambdahttp"
)

// A gateway turns requests into the events that API Gateway sends, and responses into the results
// that a client gets. It follows the documentation of payload format 2.0,
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html:
// names of headers in lower case, those of a name joined by commas, cookies apart.
//
// The page does not say how rawPath is escaped. An HTTP API hands it over unescaped, as captures of
// real events show (github.com/honojs/hono/issues/2156,
// github.com/fastify/aws-lambda-fastify/issues/169), and so does SAM's local one; a function URL
// does not unescape. So there are both kinds of gateway.
type gateway struct {
	function  func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)
	unescapes bool
}

// do sends a request through the function, as Lambda would run it.
func (g gateway) do(t testing.TB, r *http.Request) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	res, err := g.function(ctx, travelled(t, g.event(t, r)))
	if err != nil {
		t.Fatalf("%s %s: the function failed: %v", r.Method, r.URL, err)
	}
	if res.IsBase64Encoded {
		t.Errorf("%s %s: the response is in base64", r.Method, r.URL)
	}
	return newResult(travelled(t, res))
}

func (g gateway) event(t testing.TB, r *http.Request) events.APIGatewayV2HTTPRequest {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayV2HTTPRequest
	e.Version, e.RouteKey = "2.0", "$default"
	e.RawPath, e.RawQueryString = r.URL.EscapedPath(), r.URL.RawQuery
	if g.unescapes {
		e.RawPath = r.URL.Path
	}
	e.Headers = map[string]string{"host": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", "x-forwarded-proto": "https"}
	for name, values := range r.Header {
		e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	e.RequestContext.RequestID = "JKJaXmPLvHcESHA="
	e.RequestContext.DomainName = e.Headers["host"]
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.Path = r.Method, e.RawPath
	e.Body = string(body)
	if e.IsBase64Encoded = !textual(r.Header.Get("Content-Type")) || !utf8.Valid(body); e.IsBase64Encoded {
		e.Body = base64.StdEncoding.EncodeToString(body)
	}
	return e
}

// textual reports whether API Gateway hands a body of that type over as it is.
func textual(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return strings.HasPrefix(media, "text/") || media == "application/json" || media == "application/xml" || media == "application/javascript"
}

// travelled is v after its way as JSON, which Lambda sends it.
func travelled[T any](t testing.TB, v T) (arrived T) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &arrived)
	}
	if err != nil {
		t.Fatal(err)
	}
	return arrived
}

// A result is what a client gets, from Lambda or from a net/http server.
type result struct {
	status int
	header http.Header
	body   string
}

func newResult(e events.APIGatewayV2HTTPResponse) result {
	r := result{e.StatusCode, http.Header{}, e.Body}
	for name, value := range e.Headers {
		r.header.Set(name, value)
	}
	return r
}

// response is the result as the conformance suite takes it.
func (r result) response() *http.Response {
	return &http.Response{
		StatusCode: r.status, Status: strconv.Itoa(r.status) + " " + http.StatusText(r.status),
		Header: r.header, Body: io.NopCloser(strings.NewReader(r.body)),
	}
}

// newGateway serves a handler as Lambda would, behind a gateway that leaves paths as they are.
func newGateway(h http.Handler) gateway { return gateway{function: lambdahttp.New(h, discard)} }
