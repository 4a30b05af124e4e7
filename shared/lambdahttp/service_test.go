package lambdahttp_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/lambdahttp"
	"orders/shared/order"
	"orders/shared/sqlite"
	"orders/test/awstest"
	"orders/test/conformance"
)

// Bad input 1 to 49 and 55 to 60, and all that clients are promised, through Lambda's handler. The store is the
// embedded one, because it is quick; every request that does not store anything is asked of a
// net/http server over the same store, too, and both responses are the same.
func TestHTTPOverTheEmbeddedStore(t *testing.T) {
	conformance.RunHTTP(t, func(t *testing.T) conformance.Service {
		s := embedded(t)
		server := httptest.NewServer(s.handler)
		t.Cleanup(server.Close)
		lambda := gateway{function: lambdahttp.New(s.handler, s.log)}
		return conformance.Service{
			Harness: s.harness, Logs: s.logs.Bytes,
			Do: func(r *http.Request) *http.Response {
				elsewhere, again := cloned(t, r), cloned(t, r)
				once := lambda.do(t, r)
				if once.status == http.StatusCreated {
					return once.response()
				}
				want, taken := asked(t, server, elsewhere)
				got := lambda.do(t, again)
				if taken && constant(once.body) == constant(got.body) { // else an order has gone on meanwhile
					compare(t, got, want)
				}
				return once.response()
			},
		}
	})
}

// Where the gateway has unescaped the path, an id may be seen as several segments or none. That is
// a 404, too, of the one kind or the other.
func TestAnUnescapedPathGetsTheSameAnswer(t *testing.T) {
	s := embedded(t)
	function := lambdahttp.New(s.handler, s.log)
	for _, target := range []string{
		"/api/metrics/", "/api/orders/ids/?limit=5", "//api//metrics", "/api/orders/x/status/",
		"/api/orders/%00/", "/api/orders/%0d%0a/", "/api/orders/%F0%9F%9A%80/", "/api/orders/a%20b/status/", "/api/orders/%7B%22$ne%22:1%7D",
		"/api/orders/%3Fx=1/status", "/api/orders/%23x/", "/api/orders/%25zz/", "/api/orders/%ff/",
	} {
		escaped := gateway{function, false}.do(t, httptest.NewRequest("GET", target, nil))
		unescaped := gateway{function, true}.do(t, httptest.NewRequest("GET", target, nil))
		compare(t, unescaped, escaped)
	}
	for _, target := range []string{"/api/orders/%2e%2e%2f/", "/api/orders/..%2fids", "/api/orders/a%2Fb/status/", "/api/orders/%252F/"} {
		if got := (gateway{function, true}).do(t, httptest.NewRequest("GET", target, nil)); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", target, got.status)
		}
	}
}

func TestACreateIsAnsweredAlikeByBothHosts(t *testing.T) {
	s := embedded(t)
	server := httptest.NewServer(s.handler)
	defer server.Close()
	lambda := gateway{function: lambdahttp.New(s.handler, s.log)}
	for _, header := range []http.Header{
		{}, {"Idempotency-Key": {"k"}}, {"Idempotency-Key": {"k"}}, {"X-Request-Id": {"mine"}},
		{"Accept": {"text/html", "application/json"}}, {"Content-Encoding": {"identity"}}, {"Cookie": {"a=1", "b=2"}},
	} {
		create := func() *http.Request {
			r := httptest.NewRequest("POST", "/api/orders/create/?x=1", strings.NewReader(`{"user_id":1,"item_ids":["é"],"total_amount":1}`))
			maps.Copy(r.Header, header)
			r.Header.Set("Content-Type", "application/json")
			return r
		}
		if key := header["Idempotency-Key"]; key != nil {
			lambda.do(t, create()) // so that both of those to be compared are replays
		}
		want, _ := asked(t, server, create())
		compare(t, lambda.do(t, create()), want)
	}
}

type service struct {
	handler http.Handler
	harness conformance.Harness
	log     *slog.Logger
	logs    *conformance.LogBuffer
}

func embedded(t *testing.T) service {
	t.Helper()
	const processingTime = 50 * time.Millisecond
	logs := &conformance.LogBuffer{}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "orders.db"), Fulfilment: order.Timer(processingTime),
		Now: time.Now, Random: bufio.NewReader(rand.Reader), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return service{
		handler: api.New(api.Config{Orders: store, Metrics: store, RequestID: rand.Text, Now: time.Now, Log: log}),
		harness: conformance.Harness{Store: store, Metrics: store, ProcessingTime: processingTime},
		log:     log, logs: logs,
	}
}

// asked sends a request to a server, as it is. One with a header that Go's client does not send,
// and its server does not take, is not taken.
func asked(t testing.TB, server *httptest.Server, r *http.Request) (a result, taken bool) {
	t.Helper()
	sent := r.Clone(r.Context())
	sent.RequestURI = ""
	sent.URL.Scheme, sent.URL.Host = "http", server.Listener.Addr().String()
	if r.ContentLength == 0 {
		sent.Body = nil
	}
	res, err := server.Client().Transport.RoundTrip(sent)
	if err != nil && strings.Contains(err.Error(), "invalid header field value") {
		return result{}, false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return result{res.StatusCode, res.Header, string(body)}, true
}

// cloned is a copy of a request that has a body of its own.
func cloned(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c := r.Clone(r.Context())
	c.Body = io.NopCloser(bytes.NewReader(body))
	return c
}

// hostsOwn are the headers that a host sets by itself.
var hostsOwn = []string{"Connection", "Date", "Content-Length", "X-Request-Id"}

// varying are parts of a response that differ from one request to the next.
var varying = regexp.MustCompile(`urn:orders:request:[!-~]*?"|ORD[0-9A-HJKMNP-TV-Z]{26}`)

// constant is a text without them.
func constant(text string) string { return varying.ReplaceAllString(text, "") }

// compare compares the results of two hosts.
func compare(t testing.TB, got, want result) {
	t.Helper()
	if got.status != want.status || constant(got.body) != constant(want.body) {
		t.Errorf("%d %q, want %d %q", got.status, got.body, want.status, want.body)
	}
	names := slices.Concat(slices.Collect(maps.Keys(got.header)), slices.Collect(maps.Keys(want.header)))
	for _, name := range names {
		g, w := got.header.Get(name), want.header.Get(name)
		if !slices.Contains(hostsOwn, name) && constant(g) != constant(w) {
			t.Errorf("status %d: %s is %q, want %q", got.status, name, g, w)
		}
	}
}

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

// The same through the whole deployment on AWS.
func TestHTTPOnAWS(t *testing.T) {
	conformance.RunHTTP(t, func(t *testing.T) conformance.Service {
		t.Parallel()
		deployment := awstest.OpenDeployment(t)
		logs := &conformance.LogBuffer{}
		log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		lambda := gateway{function: lambdahttp.New(api.New(api.Config{
			Orders: deployment.Store, Metrics: deployment.Metrics, RequestID: rand.Text, Now: time.Now, Log: log,
		}), log)}
		return conformance.Service{
			Harness: deployment.Harness, Logs: logs.Bytes,
			Do: func(r *http.Request) *http.Response { return lambda.do(t, r).response() },
		}
	})
}
