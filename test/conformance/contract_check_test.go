package conformance

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// What checkContract finds, one broken thing at a time: a check that finds nothing
// would let every test pass.
func TestTheCheckFindsWhatBreaksTheContract(t *testing.T) {
	send := contractService(t)
	good := func() exchange { return send("POST", "/api/orders/create/", nil, plainOrder) }
	refused := func() exchange { return send("POST", "/api/orders/create/", nil, `{}`) }
	for _, tt := range []struct {
		name     string
		exchange func() exchange
		spoil    func(*exchange)
		want     string
	}{
		{"a status that is not described", good, func(e *exchange) { e.res.StatusCode = 202 }, "202"},
		{"another type", good, func(e *exchange) { e.res.Header.Set("Content-Type", "text/json") }, "Content-Type"},
		{"a type with a parameter", good, func(e *exchange) { e.res.Header.Set("Content-Type", "application/json; q=1") }, "Content-Type"},
		{"a missing header", good, func(e *exchange) { e.res.Header.Del("Location") }, "Location"},
		{"a header of another form", good, func(e *exchange) { e.res.Header.Set("Location", "/api/orders/ORD01KKNTQ2CN0TQ67EVPYAA5QG0D/") }, "location"},
		{"a header that is not described", good, func(e *exchange) { e.res.Header.Set("Server", "orders") }, "Server"},
		{"a header given twice", good, func(e *exchange) { e.res.Header.Add("X-Request-Id", "a") }, "X-Request-Id"},
		{"a field that is not described", good, replaced(`{`, `{"eta":1,`), "eta"},
		{"a missing field", good, replaced(`,"status":"Pending"`, ``), "missing property 'status'"},
		{"a status that no order has", good, replaced(`Pending`, `Shipped`), "status"},
		{"no body", good, func(e *exchange) { e.responseBody = nil }, "response object is missing"},
		{"a code that is not described", refused, replaced(`"code":"required"`, `"code":"lacking"`), "code"},
		{"a good request that is refused", refused, func(e *exchange) { e.requestBody = []byte(plainOrder) }, "refuses"},
		{"a bad request that is not refused", good, func(e *exchange) { e.requestBody = []byte(`{}`) }, "does not refuse"},
		{"a bad request that breaks the service", good, func(e *exchange) {
			e.requestBody, e.res.StatusCode = []byte(`{}`), 500
		}, "does not refuse"},
		{"a request of another type that is not refused", good, func(e *exchange) {
			e.req.Header.Set("Content-Type", "text/plain")
		}, "does not refuse"},
		{"an answer where there is no path", good, func(e *exchange) { e.req.URL.Path = "/api/order/create/" }, "which makes it a 404"},
		{"an answer where there is no method", good, func(e *exchange) { e.req.Method = "PUT" }, "which makes it a 405"},
		{"a method that is there and not allowed", good, func(e *exchange) { e.res.StatusCode = 405 }, "the path has the method"},
		{"a body that answers HEAD", func() exchange { return send("GET", "/api/metrics/", nil, "") },
			func(e *exchange) { e.req.Method = "HEAD" }, "HEAD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := tt.exchange()
			tt.spoil(&e)
			found := strings.Join(loadedContract().violations(e), "\n")
			if !strings.Contains(found, tt.want) {
				t.Errorf("found %q, want something about %q", found, tt.want)
			}
		})
	}
}

// replaced spoils the body of the answer.
func replaced(old, with string) func(*exchange) {
	return func(e *exchange) {
		e.responseBody = bytes.Replace(e.responseBody, []byte(old), []byte(with), 1)
	}
}

func TestManyExchangesAreCheckedAtTheSameTime(t *testing.T) {
	send := contractService(t)
	exchanges := []exchange{
		send("POST", "/api/orders/create/", http.Header{"Idempotency-Key": {"k"}}, plainOrder),
		send("POST", "/api/orders/create/", nil, `{}`),
		send("GET", "/api/orders/ids?limit=10", nil, ""),
		send("GET", "/api/metrics", nil, ""),
		send("PUT", "/api/metrics", nil, ""),
	}
	var all sync.WaitGroup
	for _, e := range exchanges {
		for range 20 {
			all.Go(func() { checkContract(t, e.req, e.requestBody, e.res, e.responseBody) })
		}
	}
	all.Wait()
}

func BenchmarkCheckContract(b *testing.B) {
	e := contractService(b)("POST", "/api/orders/create/", http.Header{"Idempotency-Key": {"k"}}, plainOrder)
	for b.Loop() {
		checkContract(b, e.req, e.requestBody, e.res, e.responseBody)
	}
}
