package conformance

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"orders/shared/api"
	"orders/shared/order"
	"orders/shared/sqlite"
)

// A check that finds nothing would let every test pass, so each row breaks one thing.
func TestTheCheckFindsEachViolationOfTheContract(t *testing.T) {
	c := newClient(t)
	accepted, refused, metrics := post(good), post(`{}`), get("/api/metrics/")
	for _, tt := range []struct {
		name  string
		sent  request
		spoil func(*exchange)
		want  string
	}{
		{"a status that is not described", accepted, func(e *exchange) { e.res.StatusCode = 202 }, "202"},
		{"another type", accepted, func(e *exchange) { e.res.Header.Set("Content-Type", "text/json") }, "Content-Type"},
		{"a type with a parameter", accepted, func(e *exchange) { e.res.Header.Set("Content-Type", "application/json; q=1") }, "Content-Type"},
		{"a missing header", accepted, func(e *exchange) { e.res.Header.Del("Location") }, "Location"},
		{"a header of another form", accepted, func(e *exchange) { e.res.Header.Set("Location", "/api/orders/ORD01KKNTQ2CN0TQ67EVPYAA5QG0D/") }, "location"},
		{"a header that is not described", accepted, func(e *exchange) { e.res.Header.Set("Server", "orders") }, "Server"},
		{"a header given twice", accepted, func(e *exchange) { e.res.Header.Add("X-Request-Id", "a") }, "X-Request-Id"},
		{"a field that is not described", accepted, replaced(`{`, `{"eta":1,`), "eta"},
		{"a missing field", accepted, replaced(`,"status":"Pending"`, ``), "missing property 'status'"},
		{"a status that no order has", accepted, replaced(`Pending`, `Shipped`), "status"},
		{"no body", accepted, func(e *exchange) { e.responseBody = nil }, "response object is missing"},
		{"a code that is not described", refused, replaced(`"code":"required"`, `"code":"lacking"`), "code"},
		{"a good request that is refused", refused, func(e *exchange) { e.requestBody = []byte(good) }, "refuses"},
		{"a bad request that is not refused", accepted, func(e *exchange) { e.requestBody = []byte(`{}`) }, "does not refuse"},
		{"a bad request that breaks the service", accepted, func(e *exchange) {
			e.requestBody, e.res.StatusCode = []byte(`{}`), 500
		}, "does not refuse"},
		{"a request of another type that is not refused", accepted, func(e *exchange) {
			e.req.Header.Set("Content-Type", "text/plain")
		}, "does not refuse"},
		{"a response where there is no path", accepted, func(e *exchange) { e.req.URL.Path = "/api/order/create/" }, "must be 404"},
		{"a response where there is no method", accepted, func(e *exchange) { e.req.Method = "PUT" }, "must be 405"},
		{"a method that is there and not allowed", accepted, func(e *exchange) { e.res.StatusCode = 405 }, "the path has the method"},
		{"a body in the response to HEAD", metrics, func(e *exchange) { e.req.Method = "HEAD" }, "HEAD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := c.exchange(tt.sent)
			tt.spoil(&e)
			found := strings.Join(loadedContract().violations(e), "\n")
			if !strings.Contains(found, tt.want) {
				t.Errorf("found %q, want something about %q", found, tt.want)
			}
		})
	}
}

// replaced changes the body of the response.
func replaced(old, with string) func(*exchange) {
	return func(e *exchange) {
		e.responseBody = bytes.Replace(e.responseBody, []byte(old), []byte(with), 1)
	}
}

// newClient returns a client of the handlers over a new store.
func newClient(t *testing.T) *client {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "orders.db"), Fulfilment: order.Timer(time.Minute),
		Now: time.Now, Random: rand.Reader, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	handler := api.New(api.Config{
		Orders: store, Metrics: store, Health: store.Ping, RequestID: rand.Text, Now: time.Now, Log: log,
	})
	return &client{tester: &tester{TB: t}, do: func(req *http.Request) *http.Response {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, req)
		return recorder.Result()
	}}
}

// Not every host has the probes, so no sentence is about them.
func TestTheProbesKeepTheContract(t *testing.T) {
	c := newClient(t)
	for _, target := range []string{"/healthz", "/healthz/", "/readyz", "/livez/"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if res := c.send(request{method: method, target: target}); res.StatusCode != http.StatusOK {
				t.Errorf("%s %s: %s", method, target, res.Status)
			}
		}
	}
}

func TestTheServiceAcceptsTheExamplesOfTheContract(t *testing.T) {
	c := newClient(t)
	media := loadedContract().model.Components.RequestBodies.GetOrZero("OrderDraft").Content.GetOrZero("application/json")
	for name, shown := range media.Examples.FromOldest() {
		var draft map[string]any
		if err := shown.Value.Decode(&draft); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(draft)
		if err != nil {
			t.Fatal(err)
		}
		want := order.Pending
		if name == "imported" {
			want = order.Processing
		}
		if got := c.mustCreate(post(string(body))); got.Status != want.String() {
			t.Errorf("%s: %+v, want %s", name, got, want)
		}
	}
}

// The pattern of a text is as strict as the service for each character of Unicode: alone, between
// others and at either end.
func TestTheContractAllowsTheCharactersThatTheServiceTakes(t *testing.T) {
	allowed, err := compilePattern(loadedContract().schema("Text").Pattern)
	if err != nil {
		t.Fatal(err)
	}
	for r := range rune(unicode.MaxRune + 1) {
		if !utf8.ValidRune(r) {
			continue
		}
		for _, text := range []string{string(r), "a" + string(r) + "b", "a" + string(r), string(r) + "b"} {
			if broken := order.CheckText(text); (broken == nil) != allowed.MatchString(text) {
				t.Fatalf("the text %q: the service says %v, the contract %t", text, broken, allowed.MatchString(text))
			}
		}
	}
}

// The pattern of a key allows exactly the keys that the service accepts.
func TestTheContractAllowsTheKeysThatTheServiceTakes(t *testing.T) {
	c, contract := newClient(t), loadedContract()
	allowed, err := contract.compile(contract.model.Components.Parameters.GetOrZero("IdempotencyKey").Schema.Schema())
	if err != nil {
		t.Fatal(err)
	}
	k := func(n int) string { return strings.Repeat("k", n) }
	for _, key := range []string{
		"a", `"a"`, `"`, `""`, `"""`, `""""`, `a"`, `"a`, `a"b`, "!~", "a,b", `"a,b"`, "a b", "é", "a\tb",
		k(255), k(256), quote(k(255)), quote(k(256)), `"` + k(254), `"` + k(255), k(254) + `"`, k(255) + `"`,
	} {
		r := post(good)
		r.header["Idempotency-Key"] = []string{key}
		accepted, broken := c.send(r).StatusCode == http.StatusCreated, allowed.Validate(key)
		if accepted != (broken == nil) {
			t.Errorf("the key %q (%d bytes): accepted %t, the contract says %v", key, len(key), accepted, broken)
		}
	}
}
