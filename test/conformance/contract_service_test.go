package conformance

import (
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
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/sqlite"
)

// contractService serves the API over a new store, and returns what makes a request
// of it. A body is JSON unless the header says otherwise.
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
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return exchange{req, []byte(body), res, answer}
	}
}

// check holds the exchange to the contract, and to a status.
func (e exchange) check(t *testing.T, status int) {
	t.Helper()
	checkContract(t, e.req, e.requestBody, e.res, e.responseBody)
	if e.res.StatusCode != status {
		t.Errorf("%s %s %.200q: %d %s, want %d",
			e.req.Method, e.req.URL, e.requestBody, e.res.StatusCode, e.responseBody, status)
	}
}

// refersTo is the target of the request for what the answer refers to.
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

func TestTheServiceTakesTheOrdersThatTheContractShows(t *testing.T) {
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
			t.Errorf("%s: answered %s, want %s", name, e.responseBody, begun)
		}
	}
}
