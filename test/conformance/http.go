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
	"testing"
)

// A Service is the HTTP interface of a home: the shared handler behind whatever
// serves it.
type Service struct {
	Harness

	// Do answers a request as the host under test does.
	Do func(*http.Request) *http.Response

	// Logs returns all that the service has logged, a line an entry, at level debug.
	Logs func() []byte
}

// RunHTTP holds a service to what clients are promised, and every exchange with it
// to openapi.yaml. The numbers in the names are those of docs/bad-input.md.
func RunHTTP(t *testing.T, open func(t *testing.T) Service) {
	for _, tt := range slices.Concat(httpTests, rejectTests()) {
		t.Run(tt.sentence, func(t *testing.T) {
			s := open(t)
			tt.run(&client{tester: &tester{T: t, Harness: s.Harness}, service: s})
			checkLogs(t, s.Logs())
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
	service Service
}

// A request is what a test sends. With body a POST is of type application/json
// unless its header says otherwise.
type request struct {
	method, target, body string
	header               http.Header
	unknownLength        bool // sent in chunks
}

// An answer is what came back, with its body read.
type answer struct {
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

// do sends a request and holds the answer to what holds for all of them.
func (c *client) do(r request) answer {
	c.Helper()
	req := httptest.NewRequestWithContext(c.Context(), r.method, "/", strings.NewReader(r.body))
	c.setTarget(req, r.target)
	req.Header = r.header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if r.unknownLength {
		req.ContentLength = -1
	}
	res := c.service.Do(req)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.Errorf("read the answer: %v", err)
	}
	if res.StatusCode >= http.StatusInternalServerError { // I15
		c.Errorf("%s %.200q: %s %s", r.method, r.target, res.Status, body)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("X-Request-Id") == "" {
		c.Errorf("%s %.200q: headers %v", r.method, r.target, res.Header)
	}
	checkContract(c, req, []byte(r.body), res, body)
	return answer{res, body}
}

// setTarget asks for a path and query as a client writes them.
func (c *client) setTarget(req *http.Request, target string) {
	c.Helper()
	u, err := req.URL.Parse("http://example.com")
	if err != nil {
		c.Fatal(err)
	}
	if u, err = u.Parse("http://example.com" + target); err != nil {
		c.Fatalf("target %q: %v", target, err)
	}
	req.URL, req.RequestURI = u, target
	req.URL.Scheme, req.URL.Host = "", ""
}

// decode reads an answer's body.
func decode[T any](c *client, a answer) (v T) {
	c.Helper()
	if err := json.Unmarshal(a.body, &v, json.RejectUnknownMembers(true)); err != nil {
		c.Fatalf("%s answered %q: %v", a.Status, a.body, err)
	}
	return v
}

// created is the answer to a create.
type created struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
}

// mustCreate sends a create that is to be answered 201.
func (c *client) mustCreate(r request) created {
	c.Helper()
	a := c.do(r)
	if a.StatusCode != http.StatusCreated {
		c.Fatalf("create %.200q: %s %s", r.body, a.Status, a.body)
	}
	got := decode[created](c, a)
	location := a.Header.Get("Location")
	for _, prefix := range []string{"", "/v1", "/a/b"} { // which proxies put before the path
		at := c.resolve("https://shop.example"+prefix+r.target, location)
		if want := prefix + "/api/orders/" + got.OrderID; path.Clean(at.Path) != want {
			c.Errorf("%s%s: Location is %q, which leads to %s, not %s", prefix, r.target, location, at, want)
		}
	}
	return got
}

// resolve is what a client makes of a reference in the answer from base.
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

// A fullOrder is the whole order on the wire.
type fullOrder struct {
	OrderID         string   `json:"order_id"`
	ClientReference *string  `json:"client_reference"`
	UserID          string   `json:"user_id"`
	ItemIDs         []string `json:"item_ids"`
	TotalAmount     string   `json:"total_amount"`
	Status          string   `json:"status"`
	CreatedAt       *string  `json:"created_at"`
	StartedAt       *string  `json:"started_at"`
	CompletedAt     *string  `json:"completed_at"`
}

func (c *client) order(id string) fullOrder {
	c.Helper()
	return decode[fullOrder](c, c.do(get("/api/orders/"+id+"/")))
}

var controlCharacter = regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}\x{202e}]`)

// checkLogs makes sure that nothing a client sent can forge a line of the log.
func checkLogs(t *testing.T, logs []byte) {
	t.Helper()
	for line := range bytes.Lines(logs) {
		if controlCharacter.Match(line) {
			t.Errorf("a log line has a control character: %q", line)
		}
	}
}
