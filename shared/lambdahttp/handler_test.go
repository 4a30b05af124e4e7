package lambdahttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/api"
	"orders/shared/lambdahttp"
	"orders/shared/order"
)

var discard = slog.New(slog.DiscardHandler)

// The responses are those of Go's server, but for the headers that each host sets itself, such as
// the date and the length.
func TestAHandlerIsAnsweredForAsByANetHTTPServer(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"writes nothing":             func(http.ResponseWriter, *http.Request) {},
		"writes a body only":         func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		"gives two statuses":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(200) },
		"gives a status afterwards":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello"); w.WriteHeader(500) },
		"gives a status in advance":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(404) },
		"sets a header too late":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204); w.Header().Set("X-Late", "1") },
		"sets a header and no more":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Here", "1") },
		"says what it was asked for": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method, r.URL.Path, r.URL.RawQuery) },
		"gives back the body":        func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) },
		"gives back two headers":     func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header["X-List"], r.ContentLength) },
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			t.Run(name+" "+method, func(t *testing.T) {
				server := httptest.NewServer(handler)
				defer server.Close()
				req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/a%20b/?q=%41", strings.NewReader("a body"))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("X-List", "a, b,c")
				event := newGateway(handler).event(t, cloned(t, req))
				got, err := lambdahttp.New(handler, discard)(t.Context(), event)
				if err != nil {
					t.Fatal(err)
				}
				want, _ := asked(t, server, req)
				compare(t, newResult(got), want)
			})
		}
	}
}

// I15: a panic would end the runtime.
func TestAPanicIsAProblemOfStatus500WhateverWasWrittenBefore(t *testing.T) {
	var logs strings.Builder
	log := slog.New(slog.NewJSONHandler(&logs, nil))
	for name, handler := range map[string]http.HandlerFunc{
		"at once":         func(http.ResponseWriter, *http.Request) { panic("a secret") },
		"in its response": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "half a sec"); panic("a secret") },
		"to abort":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		logs.Reset()
		e := newEvent("GET", "/")
		e.RequestContext.RequestID = "the-request"
		got, err := lambdahttp.New(handler, log)(t.Context(), e)
		if err != nil || got.StatusCode != 500 || got.Headers["Content-Type"] != "application/problem+json" ||
			!strings.Contains(got.Body, `"instance":"urn:orders:request:the-request"`) || strings.Contains(got.Body, "sec") {
			t.Errorf("panic %s: %+v, %v", name, got, err)
		}
		if !strings.Contains(logs.String(), "handler_test.go") || !strings.Contains(logs.String(), `"request_id":"the-request"`) {
			t.Errorf("panic %s: logged %s", name, logs.String())
		}
	}
}

// F24, I16: Lambda kills a request at its deadline. The context of the handler ends earlier, so
// that it can respond.
func TestASlowStoreIsA503BeforeLambdasDeadline(t *testing.T) {
	handler := api.New(api.Config{Orders: hanging{}, RequestID: func() string { return "r" }, Now: time.Now, Log: discard})
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	e := newGateway(handler).event(t, httptest.NewRequest("GET", "/api/orders/ORD00000000000000000000000000/", nil))
	got, err := lambdahttp.New(handler, discard)(ctx, e)
	if err != nil || got.StatusCode != 503 || got.Headers["Retry-After"] != "1" {
		t.Errorf("answered %+v, %v", got, err)
	}
	if deadline, _ := ctx.Deadline(); time.Until(deadline) <= 0 {
		t.Error("it was answered too late")
	}
}

// hanging is a store that responds only when the context ends.
type hanging struct{ order.Store }

func (hanging) Get(ctx context.Context, _ order.ID) (order.Order, error) {
	<-ctx.Done()
	return order.Order{}, ctx.Err()
}

func TestARequestHasTheIDThatItBringsOrElseTheGateways(t *testing.T) {
	handler := api.New(api.Config{RequestID: func() string { return "made" }, Now: time.Now, Log: discard})
	for brought, want := range map[string]string{"": "JKJaXmPLvHcESHA=", "mine": "mine", "a,b": "a,b", "a b": "made"} {
		r := httptest.NewRequest("GET", "/nowhere", nil)
		if brought != "" {
			r.Header.Set("X-Request-Id", brought)
		}
		if got := newGateway(handler).do(t, r).header.Get("X-Request-Id"); got != want {
			t.Errorf("brought %q: %q, want %q", brought, got, want)
		}
	}
}

// I15. The path reaches the handler as the client meant it, whether the gateway has unescaped it or
// not, as far as that can be known.
func TestEveryRawPathIsAPathOfTheHandler(t *testing.T) {
	for raw, want := range map[string]string{
		"":                 "/",
		"api":              "/api",
		"/a/b/":            "/a/b/",
		"//a///b":          "//a///b",
		"/%zz/":            "/%zz/",
		"/%":               "/%",
		"/100%":            "/100%",
		"/a%2Fb":           "/a/b",
		"/a%20b":           "/a b",
		"/a b":             "/a b",
		"/a?b=c":           "/a?b=c",
		"/a#b":             "/a#b",
		"/a\x00b":          "/a\x00b",
		"/a%00b":           "/a\x00b",
		"/a\r\nX-Evil: 1":  "/a\r\nX-Evil: 1",
		"/注文/🚀":            "/注文/🚀",
		"/\xff":            "/\xff",
		"/../..":           "/../..",
		"/a%252Fb":         "/a%2Fb",
		"http://evil/path": "/http://evil/path",
		"@evil/path":       "/@evil/path",
		":80/path":         "/:80/path",
		"*":                "/*",
	} {
		var got, query string
		e := newEvent("GET", raw)
		e.RawQueryString = "limit=1"
		response, err := lambdahttp.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, query = r.URL.Path, r.URL.RawQuery
		}), discard)(t.Context(), e)
		if err != nil || response.StatusCode != 200 || got != want || query != "limit=1" {
			t.Errorf("%q: answered %d, %v with the path %q and the query %q", raw, response.StatusCode, err, got, query)
		}
	}
}

// The route and its parameters tell what the client has asked for, the raw path does not. A
// parameter stays one segment; the rest that a greedy one takes has segments, and slashes around
// them.
func TestTheRouteThatTheGatewayHasChosenIsServed(t *testing.T) {
	for _, tt := range []struct {
		routeKey, rawPath, parameter string
		want                         string // escaped
	}{
		{"ANY /api/orders/{order_id}", "/api/orders/ids/", "ids/", "/api/orders/ids%2F"},
		{"ANY /api/orders/{order_id}", "/api/orders/../../api/metrics", "../../api/metrics", "/api/orders/%2E%2E%2F%2E%2E%2Fapi%2Fmetrics"},
		{"ANY /api/orders/{order_id}/status", "/api/orders/../status", "..", "/api/orders/%2E%2E/status"},
		{"GET /api/orders/{order_id}/status/", "/api/orders/x/status/", "x", "/api/orders/x/status/"},
		{"ANY /api/orders/{order_id}", "/api/orders/a", "a?b", "/api/orders/a%3Fb"},
		{"ANY /api/orders/ids/{proxy+}", "/api/orders/ids/", "", "/api/orders/ids/"},
		{"ANY /api/orders/ids/{proxy+}", "/api/orders/ids///", "//", "/api/orders/ids///"},
		{"ANY /api/orders/{proxy+}", "/api/orders/create/", "create/", "/api/orders/create/"},
		{"ANY /api/orders/{proxy+}", "/api/orders/create/", "create", "/api/orders/create/"},
		{"ANY /api/orders/{proxy+}", "/v1/api/orders//ids/", "/ids/", "/api/orders//ids/"},
		{"ANY /api/orders/{proxy+}", "/api/orders//../metrics", "/../metrics", "/api/orders//%2E%2E/metrics"},
		{"ANY /api/orders/{order_id}/{proxy+}", "/api/orders/x/status/", "status/", "/api/orders/x/status/"},
	} {
		e := newEvent("GET", tt.rawPath)
		e.RouteKey, e.PathParameters = tt.routeKey, map[string]string{"order_id": tt.parameter, "proxy": tt.parameter}
		if strings.Contains(tt.routeKey, "{order_id}/{proxy+}") {
			e.PathParameters["order_id"] = "x"
		}
		if tt.parameter == "" {
			delete(e.PathParameters, "proxy")
		}
		var got string
		if _, err := lambdahttp.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = r.URL.EscapedPath()
		}), discard)(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("%s of %s: served as %s, want %s", tt.routeKey, tt.rawPath, got, tt.want)
		}
	}
}

// API Gateway puts the base path of a custom domain before the path, which no handler sees.
func TestReferencesLeadOnBelowTheBasePathOfADomain(t *testing.T) {
	function := lambdahttp.BelowPath("v1", lambdahttp.New(newAPI(), discard))
	for _, route := range [][2]string{
		{"ANY /api/orders", "/v1/api/orders"},
		{"ANY /api/orders/{proxy+}", "/v1/api/orders/"},
		{"ANY /api/orders/create", "/v1/api/orders/create"},
		{"ANY /api/orders/create/{proxy+}", "/v1/api/orders/create/"},
		{"ANY /api/orders", "/v1/api/orders/"}, // as SAM's local API has it
		{"ANY /api/orders/create", "/v1/api/orders/create/"},
		{"ANY /api/orders/create/{proxy+}", "/v1/api/orders/create//"},
		{"ANY /api/orders/{proxy+}", "/v1/api/orders/create/"}, // as where {proxy+} takes no empty rest
		{"$default", "/v1/api/orders/"},
		{"$default", "/v1/api/orders/create"},
	} {
		routeKey, rawPath := route[0], route[1]
		e := newEvent("POST", rawPath)
		_, rest, _ := strings.Cut(rawPath, strings.TrimSuffix(strings.TrimPrefix(routeKey, "ANY /"), "{proxy+}"))
		e.RouteKey, e.PathParameters = routeKey, map[string]string{"proxy": rest}
		e.Headers, e.Body = map[string]string{"content-type": "application/json"}, `{"user_id":1,"item_ids":[1],"total_amount":1}`
		got, err := function(t.Context(), e)
		if err != nil || got.StatusCode != 201 {
			t.Fatalf("%s: %+v, %v", routeKey, got, err)
		}
		base := &url.URL{Scheme: "https", Host: "shop.example", Path: rawPath}
		at, err := base.Parse(got.Headers["Location"])
		if want := "https://shop.example/v1/api/orders/ORD00000000000000000000000000/"; err != nil || at.String() != want {
			t.Errorf("%s: Location is %q, which leads to %s, %v; want %s", routeKey, got.Headers["Location"], at, err, want)
		}
	}
}

// I15.
func FuzzEveryEventIsAnswered(f *testing.F) {
	f.Add("/%zz/", "limit=%zz", "GET", "accept", "text/html", "", true)
	f.Add("/api/orders/\x00\r\n", "a b\x00#\n", "BREW IT", "X-\r\n", "\x00", "!", true)
	f.Add("//", "?", "", "", "", "{}", false)
	handler := newAPI()
	f.Fuzz(func(t *testing.T, path, query, method, header, value, body string, isBase64 bool) {
		e := newEvent(method, path)
		e.RawQueryString, e.Headers, e.RequestContext.DomainName = query, map[string]string{header: value}, value
		e.Body, e.IsBase64Encoded = body, isBase64
		got, err := lambdahttp.New(handler, discard)(t.Context(), e)
		if err != nil || got.StatusCode < 200 || got.StatusCode >= 500 || got.Headers["X-Request-Id"] == "" {
			t.Errorf("%+v, %v", got, err)
		}
		if method != "HEAD" && !json.Valid([]byte(got.Body)) {
			t.Errorf("body %q", got.Body)
		}
	})
}

func newEvent(method, rawPath string) (e events.APIGatewayV2HTTPRequest) {
	e.RawPath, e.RequestContext.HTTP.Method = rawPath, method
	return e
}

// newAPI is the API over an empty store.
func newAPI() http.Handler {
	return api.New(api.Config{Orders: empty{}, Metrics: empty{}, RequestID: func() string { return "r" }, Now: time.Now, Log: discard})
}

// empty is a store that takes every order and finds none.
type empty struct{}

func (empty) Create(_ context.Context, d order.Draft) (order.Order, bool, error) {
	return order.New(d, "ORD00000000000000000000000000", time.Time{}), false, nil
}
func (empty) Get(context.Context, order.ID) (order.Order, error) {
	return order.Order{}, order.ErrNotFound
}
func (empty) List(context.Context, int, string) (order.Page, error) {
	return order.Page{}, order.ErrInvalidCursor
}
func (empty) Transition(context.Context, order.ID, order.TransitionRequest) (order.Order, error) {
	return order.Order{}, order.ErrNotFound
}
func (empty) Metrics(context.Context) (order.Tally, error) { return order.Tally{}, nil }

// I15.
func TestABodyInBase64IsDecodedOr400(t *testing.T) {
	function := lambdahttp.New(newAPI(), discard)
	for _, tt := range []struct {
		name, body, mediaType string
		status                int
		want                  string
	}{
		{"10 a good one", "eyJ1c2VyX2lkIjoxLCJpdGVtX2lkcyI6WzFdLCJ0b3RhbF9hbW91bnQiOjF9", "application/json", 201, `"status":"Pending"`},
		{"10 none", `{"user_id":1,"item_ids":[1],"total_amount":1}`, "application/json", 400, `"errors":[{"pointer":"","code":"invalid_encoding",`},
		{"10 a character that is none of base64", "e30=!", "application/json", 400, `"code":"invalid_encoding"`},
		{"10 one that is cut", "e3", "application/json", 400, `"code":"invalid_encoding"`},
		{"10 bytes that are not UTF-8", "/w==", "application/json", 400, `"code":"invalid_utf8"`},
		{"1 an empty one", "", "application/json", 400, `"code":"empty_body"`},
		{"2 a bad one of another type", "!", "image/png", 415, `"code":"unsupported_media_type"`},
	} {
		e := newEvent("POST", "/api/orders/")
		e.Headers, e.Body, e.IsBase64Encoded = map[string]string{"content-type": tt.mediaType}, tt.body, true
		got, err := function(t.Context(), e)
		if err != nil || got.StatusCode != tt.status || !strings.Contains(got.Body, tt.want) {
			t.Errorf("%s: %d %s, %v", tt.name, got.StatusCode, got.Body, err)
		}
	}
}
