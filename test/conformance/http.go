package conformance

import (
	"bytes"
	"encoding/json/v2"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"orders/test/service"
)

// A Service is the HTTP interface of a deployment: the shared handler behind the host that serves
// it.
type Service struct {
	Harness

	// Do sends a request to the host under test.
	Do func(*http.Request) *http.Response

	// Logs returns all log lines of the service, at level debug.
	Logs func() []byte
}

// RunHTTP tests a service against the promises to its clients, and every exchange with it against
// openapi.yaml. The numbers in names and failures are those of docs/bad-input.md.
func RunHTTP(t *testing.T, open func(t *testing.T) Service) {
	for _, tt := range slices.Concat(httpTests, httpTransitionTests, rejectTests()) {
		t.Run(tt.sentence, func(t *testing.T) {
			s := open(t)
			tt.run(&client{&tester{TB: t, Harness: s.Harness}, s.Do})
			for line := range bytes.Lines(s.Logs()) {
				if controlCharacter.Match(line) {
					t.Errorf("a request forged a line of the log: %q", line)
				}
			}
		})
	}
}

// An httpTest is one sentence about the HTTP interface.
type httpTest struct {
	sentence string
	run      func(*client)
}

// A client talks to a service under test.
type client struct {
	*tester
	do func(*http.Request) *http.Response
}

// A request is one that a test sends.
type request struct {
	method, target, body string
	header               http.Header
	unknownLength        bool // sent in chunks
}

// A response is an HTTP response with its body read.
type response struct {
	*http.Response
	body []byte
}

func get(target string) request { return request{method: http.MethodGet, target: target} }

func post(body string, header ...string) request {
	r := request{method: http.MethodPost, target: "/api/orders/create/", body: body, header: http.Header{}}
	r.header.Set("Content-Type", "application/json")
	return r.with(header...)
}

// with sets headers, given as names and values; an empty value removes one.
func (r request) with(header ...string) request {
	r.header = r.header.Clone()
	if r.header == nil {
		r.header = http.Header{}
	}
	for pair := range slices.Chunk(header, 2) {
		r.header.Del(pair[0])
		if pair[1] != "" {
			r.header.Set(pair[0], pair[1])
		}
	}
	return r
}

// twice sets a header that is given more than once.
func (r request) twice(name string, values ...string) request {
	r = r.with()
	r.header[name] = values
	return r
}

// send sends a request and checks what holds for all responses.
func (c *client) send(r request) response {
	c.Helper()
	e := c.exchange(r)
	res := e.res
	if res.StatusCode >= http.StatusInternalServerError { // I15
		c.Errorf("%s %.200q: %s %s", r.method, r.target, res.Status, e.responseBody)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("X-Request-Id") == "" {
		c.Errorf("%s %.200q: headers %v", r.method, r.target, res.Header)
	}
	for _, violation := range loadedContract().violations(e) {
		c.Errorf("%s %s: response %d breaks the contract: %s\nrequest body: %.1000q\nresponse: %.1000q",
			r.method, e.req.URL.EscapedPath(), res.StatusCode, violation, r.body, e.responseBody)
	}
	return response{res, e.responseBody}
}

// exchange sends a request, with its path and query as they are written.
func (c *client) exchange(r request) exchange {
	c.Helper()
	req := httptest.NewRequestWithContext(c.Context(), r.method, "/", strings.NewReader(r.body))
	u, err := url.Parse("http://example.com" + r.target)
	if err != nil {
		c.Fatalf("target %q: %v", r.target, err)
	}
	u.Scheme, u.Host = "", ""
	req.URL, req.RequestURI, req.Header = u, r.target, r.with().header
	if r.unknownLength {
		req.ContentLength = -1
	}
	res := c.do(req)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.Errorf("read the response: %v", err)
	}
	return exchange{req, []byte(r.body), res, body}
}

// decode reads the body of a response.
func decode[T any](c *client, res response) (v T) {
	c.Helper()
	if err := json.Unmarshal(res.body, &v, json.RejectUnknownMembers(true)); err != nil {
		c.Fatalf("response %s %q: %v", res.Status, res.body, err)
	}
	return v
}

// mustCreate sends a create whose response must be 201.
func (c *client) mustCreate(r request) service.Created {
	c.Helper()
	res := c.send(r)
	if res.StatusCode != http.StatusCreated {
		c.Fatalf("create %.200q: %s %s", r.body, res.Status, res.body)
	}
	got := decode[service.Created](c, res)
	location := res.Header.Get("Location")
	for _, prefix := range []string{"", "/v1", "/a/b"} { // which proxies put before the path
		at := c.resolve("https://shop.example"+prefix+r.target, location)
		if want := prefix + "/api/orders/" + got.OrderID; path.Clean(at.Path) != want {
			c.Errorf("%s%s: Location is %q, which leads to %s, not %s", prefix, r.target, location, at, want)
		}
	}
	return got
}

// resolve resolves a reference in the response from base, as a client does.
func (c *client) resolve(base, reference string) *url.URL {
	c.Helper()
	u, err := url.Parse(base)
	if err == nil {
		u, err = u.Parse(reference)
	}
	if err != nil {
		c.Fatalf("resolve %q in %q: %v", reference, base, err)
	}
	return u
}

func (c *client) order(id string) service.Order {
	c.Helper()
	return decode[service.Order](c, c.send(get("/api/orders/"+id+"/")))
}

var controlCharacter = regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}\x{202e}]`)

// A LogBuffer keeps log lines that come from many goroutines, for Service.Logs.
type LogBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// Bytes returns all that was written so far.
func (b *LogBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}
