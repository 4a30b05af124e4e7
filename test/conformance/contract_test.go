package conformance

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/sqlite"
)

// A check that finds nothing would let every test pass, so each row breaks one thing.
func TestTheCheckFindsEachViolationOfTheContract(t *testing.T) {
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
		{"a response where there is no path", good, func(e *exchange) { e.req.URL.Path = "/api/order/create/" }, "must be 404"},
		{"a response where there is no method", good, func(e *exchange) { e.req.Method = "PUT" }, "must be 405"},
		{"a method that is there and not allowed", good, func(e *exchange) { e.res.StatusCode = 405 }, "the path has the method"},
		{"a body in the response to HEAD", func() exchange { return send("GET", "/api/metrics/", nil, "") },
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

// replaced changes the body of the response.
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

// contractService serves the API over a new store. It returns a function that sends a request. A
// body is JSON unless the header says otherwise.
func contractService(t testing.TB) func(method, target string, header http.Header, body string) exchange {
	t.Helper()
	store, err := sqlite.Open(context.Background(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "orders.db"), ProcessingTime: time.Minute,
		Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{
		Orders: store, Metrics: store, Health: store.Ping,
		RequestID: rand.Text, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(method, target string, header http.Header, body string) exchange {
		t.Helper()
		req, err := http.NewRequest(method, server.URL+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		maps.Copy(req.Header, header)
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		received, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return exchange{req, []byte(body), res, received}
	}
}

// check checks the exchange against the contract, and the status of the response.
func (e exchange) check(t *testing.T, status int) {
	t.Helper()
	checkContract(t, e.req, e.requestBody, e.res, e.responseBody)
	if e.res.StatusCode != status {
		t.Errorf("%s %s %.200q: %d %s, want %d",
			e.req.Method, e.req.URL, e.requestBody, e.res.StatusCode, e.responseBody, status)
	}
}

// refersTo resolves a reference in the response.
func (e exchange) refersTo(t *testing.T, reference string) string {
	t.Helper()
	target, err := e.req.URL.Parse(reference)
	if err != nil {
		t.Fatal(err)
	}
	return target.RequestURI()
}

const plainOrder = `{"user_id":"645","item_ids":["890","563"],"total_amount":"1650.78"}`

func TestEveryRouteKeepsTheContract(t *testing.T) {
	send := contractService(t)
	created := send("POST", "/api/orders/create/", nil, plainOrder)
	created.check(t, 201)
	order := created.refersTo(t, created.res.Header.Get("Location"))
	status := order + "status/"
	send("POST", "/api/orders/", nil, plainOrder).check(t, 201)
	for _, tt := range []struct {
		method, target string
		status         int
	}{
		{"GET", status, 200},
		{"HEAD", status, 200},
		{"GET", strings.TrimSuffix(status, "/"), 200},
		{"GET", order, 200},
		{"GET", "/api/orders/ids/", 200},
		{"GET", "//api/orders/./ids", 200},
		{"GET", "/api/orders/ids/?limit=1", 200},
		{"GET", "/api/orders/ids/?limit=1000&colour=red", 200},
		{"GET", "/api/orders/ids/?limit=1001", 400},
		{"GET", "/api/orders/ids/?limit=1&limit=1", 400},
		{"GET", "/api/orders/ids/?limit=1&cursor=a+b&cursor", 400},
		{"GET", "/api/orders/ids/?cursor=AAAAAAAAAAAA", 400},
		{"GET", "/api/orders/ids/?limit=%zz", 400},
		{"GET", "/api/metrics/", 200},
		{"GET", "/healthz", 200},
		{"HEAD", "/healthz/", 200},
		{"GET", "/readyz", 200},
		{"GET", "/livez/", 200},
		{"GET", "/api/orders/%2e%2e%2f%00/status/", 404},
		{"GET", "/api/orders/ORD00000000000000000000000000/", 404},
		{"HEAD", "/api/orders/nonsense", 404},
		{"GET", "/api/nonsense", 404},
		{"BREW", "/", 404},
		{"GET", "/api/orders/create/", 405},
		{"HEAD", "/api/orders", 405},
		{"DELETE", status, 405},
	} {
		send(tt.method, tt.target, nil, "").check(t, tt.status)
	}
}

func TestThePagesOfTheListKeepTheContract(t *testing.T) {
	send := contractService(t)
	for range 3 {
		send("POST", "/api/orders/", nil, plainOrder).check(t, 201)
	}
	next := "/api/orders/ids/?limit=1"
	for page := 1; page <= 3; page++ {
		e := send("GET", next, nil, "")
		e.check(t, 200)
		link := e.res.Header.Get("Link")
		reference, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
		next = e.refersTo(t, reference)
		if (link == "") != (page == 3) {
			t.Errorf("page %d of 3 has the Link %q", page, link)
		}
	}
}

func TestTheContractHasTheLimitsOfARequest(t *testing.T) {
	send := contractService(t)
	components := loadedContract().model.Components
	page := int(*components.Parameters.GetOrZero("Limit").Schema.Schema().Maximum)
	send("GET", "/api/orders/ids/?limit="+strconv.Itoa(page), nil, "").check(t, 200)
	send("GET", "/api/orders/ids/?limit="+strconv.Itoa(page+1), nil, "").check(t, 400)

	const maxBody = 65536
	if said := components.RequestBodies.GetOrZero("OrderDraft").Description; !strings.Contains(said, "at most 65536 bytes") {
		t.Errorf("the contract says of the body: %s", said)
	}
	padded := plainOrder + strings.Repeat(" ", maxBody-len(plainOrder))
	send("POST", "/api/orders/", nil, padded).check(t, 201)
	send("POST", "/api/orders/", nil, padded+" ").check(t, 413)
}

func TestTheServiceAcceptsTheExamplesOfTheContract(t *testing.T) {
	send := contractService(t)
	media := loadedContract().model.Components.RequestBodies.GetOrZero("OrderDraft").Content.GetOrZero("application/json")
	for name, shown := range media.Examples.FromOldest() {
		var order map[string]any
		if err := shown.Value.Decode(&order); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(order)
		if err != nil {
			t.Fatal(err)
		}
		e := send("POST", "/api/orders/create/", nil, string(body))
		e.check(t, 201)
		begun := `"status":"Pending"`
		if name == "imported" {
			begun = `"status":"Processing"`
		}
		if !strings.Contains(string(e.responseBody), begun) {
			t.Errorf("%s: response %s, want %s", name, e.responseBody, begun)
		}
	}
}
