package lambdahttp_test

import (
	"maps"
	"testing"

	"orders/shared/lambdahttp"
)

// A browser shows a page the response to its request only if the response allows the page's origin.
// Without origins, and to other origins, every response is as if there were no CORS.
func TestPagesOfTheGivenOriginsCanCallTheAPIAndNoOthers(t *testing.T) {
	plain := lambdahttp.New(newAPI(), discard)
	for name, tt := range map[string]struct {
		origins []string
		origin  string
		method  string
		headers map[string]string
		want    map[string]string // nil if the response is that of the API alone
		status  int
	}{
		"a read":              {[]string{"https://shop.example"}, "https://shop.example", "GET", nil, map[string]string{"Access-Control-Allow-Origin": "https://shop.example", "Vary": "Origin", "Access-Control-Expose-Headers": "Idempotency-Replayed, Link, Location, Retry-After, X-Request-Id"}, 200},
		"an error":            {[]string{"https://a.example", "https://shop.example"}, "https://shop.example", "DELETE", nil, map[string]string{"Access-Control-Allow-Origin": "https://shop.example"}, 405},
		"a preflight":         {[]string{"https://shop.example"}, "https://shop.example", "OPTIONS", map[string]string{"access-control-request-method": "POST"}, map[string]string{"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Allow-Methods": "GET, HEAD, POST", "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, X-Request-Id"}, 204},
		"another origin":      {[]string{"https://shop.example"}, "https://shop.example.evil.example", "GET", nil, nil, 200},
		"another's preflight": {[]string{"https://shop.example"}, "https://evil.example", "OPTIONS", map[string]string{"access-control-request-method": "POST"}, nil, 405},
		"no origin":           {[]string{"https://shop.example"}, "", "GET", nil, nil, 200},
		"no origins":          {nil, "https://shop.example", "OPTIONS", map[string]string{"access-control-request-method": "POST"}, nil, 405},
		"nothing at all":      {nil, "", "GET", nil, nil, 200},
	} {
		e := newEvent(tt.method, "/api/metrics/")
		e.Headers = map[string]string{}
		maps.Copy(e.Headers, tt.headers)
		if tt.origin != "" {
			e.Headers["origin"] = tt.origin
		}
		got, err := lambdahttp.WithCORS(tt.origins, plain)(t.Context(), e)
		if err != nil || got.StatusCode != tt.status {
			t.Errorf("%s: %d, %v; want %d", name, got.StatusCode, err, tt.status)
		}
		for header, want := range tt.want {
			if got.Headers[header] != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got.Headers[header], want)
			}
		}
		if tt.want == nil {
			without, _ := plain(t.Context(), e)
			compare(t, newResult(got), newResult(without))
		}
	}
}
