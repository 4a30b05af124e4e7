package api_test

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"orders/shared/api"
	"orders/shared/order"
)

// failing is a store, a metrics reader and a health check that all return err, or panic with it.
type failing struct {
	err    error
	panics bool
}

func (f failing) fail() error {
	if f.panics {
		panic(f.err)
	}
	return f.err
}

func (f failing) Create(context.Context, order.Draft) (order.Order, bool, error) {
	return order.Order{}, false, f.fail()
}
func (f failing) Get(context.Context, order.ID) (order.Order, error) { return order.Order{}, f.fail() }
func (f failing) List(context.Context, int, string) (order.Page, error) {
	return order.Page{}, f.fail()
}
func (f failing) Metrics(context.Context) (order.Tally, error) { return order.Tally{}, f.fail() }
func (f failing) Health(context.Context) error                 { return f.fail() }

// serve sends one request to a handler over f, and returns the response and the log.
func serve(f failing, method, target string) (*httptest.ResponseRecorder, string) {
	var logs bytes.Buffer
	handler := api.New(api.Config{
		Orders: f, Metrics: f, Health: f.Health, Now: time.Now,
		RequestID: func() string { return "the-request" },
		Log:       slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	body := `{"user_id": "a secret", "item_ids": [1], "total_amount": 1}`
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	return recorder, logs.String()
}

// everyRoute has a request for each route.
var everyRoute = []struct{ method, target string }{
	{http.MethodPost, "/api/orders/create/"},
	{http.MethodGet, "/api/orders/ORD00000000000000000000000000/"},
	{http.MethodGet, "/api/orders/ORD00000000000000000000000000/status/"},
	{http.MethodGet, "/api/orders/ids/"},
	{http.MethodGet, "/api/metrics/"},
}

// F1, F24, I16.
func TestAnUnavailableStoreIsA503WithRetryAfter(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("%w: the disk is full, says /secret/path", order.ErrUnavailable),
		fmt.Errorf("wait: %w", context.DeadlineExceeded),
		fmt.Errorf("wait: %w", context.Canceled),
	} {
		for _, r := range everyRoute {
			res, logs := serve(failing{err: err}, r.method, r.target)
			checkFailure(t, res, http.StatusServiceUnavailable, "unavailable")
			if res.Header().Get("Retry-After") != "1" {
				t.Errorf("%s %s: headers %v", r.method, r.target, res.Header())
			}
			if !strings.Contains(logs, "level=WARN") || !strings.Contains(logs, "err=") {
				t.Errorf("logged %s", logs)
			}
		}
	}
	if res, _ := serve(failing{err: errors.New("down")}, http.MethodGet, "/healthz"); res.Code != http.StatusServiceUnavailable {
		t.Errorf("/healthz: %d", res.Code)
	}
}

// I15: a bug ends one request, and only the log has the details.
func TestAPanicOrAnUnknownErrorIsA500WithoutDetails(t *testing.T) {
	for _, f := range []failing{{err: errors.New("at /secret/path")}, {err: errors.New("at /secret/path"), panics: true}} {
		for _, r := range everyRoute {
			res, logs := serve(f, r.method, r.target)
			checkFailure(t, res, http.StatusInternalServerError, "internal")
			if !strings.Contains(logs, "level=ERROR") || !strings.Contains(logs, "/secret/path") {
				t.Errorf("logged %s", logs)
			}
		}
	}
}

// checkFailure fails the test unless the response is the problem, without internal details.
func checkFailure(t *testing.T, res *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var problem struct {
		Title    string `json:"title"`
		Code     string `json:"code"`
		Instance string `json:"instance"`
	}
	if err := json.Unmarshal(res.Body.Bytes(), &problem); err != nil {
		t.Errorf("response %s: %v", res.Body, err)
	}
	if res.Code != status || problem.Code != code || problem.Title != http.StatusText(status) || problem.Instance != "urn:orders:request:the-request" {
		t.Errorf("response %d %s", res.Code, res.Body)
	}
	if strings.Contains(res.Body.String(), "secret") {
		t.Errorf("the response has internal details: %s", res.Body)
	}
}

// F26: the rest of a body that was not read would be taken for the next request.
func TestABodyThatIsNotReadToItsEndIsRefused(t *testing.T) {
	const tooLarge = 64<<10 + 1
	for _, tt := range []struct {
		name       string
		body       io.Reader
		length     int64
		status     int
		code       string
		connection string
	}{
		{"announces too much", http.NoBody, tooLarge, 413, "body_too_large", "close"},
		{"has too much", strings.NewReader(strings.Repeat(" ", tooLarge)), -1, 413, "body_too_large", "close"},
		{"ends too early", iotest.ErrReader(io.ErrUnexpectedEOF), 100, 400, "incomplete_body", ""},
		{"breaks off", iotest.ErrReader(errors.New("connection reset")), 100, 408, "body_lost", "close"},
		{"cannot be decoded", iotest.ErrReader(api.ErrUndecodable), 100, 400, "invalid_encoding", ""},
	} {
		req := httptest.NewRequest(http.MethodPost, "/api/orders/", tt.body)
		req.ContentLength = tt.length
		req.Header.Set("Content-Type", "application/json")
		res := httptest.NewRecorder()
		newLogRecorder(failing{}, slog.LevelInfo, false).ServeHTTP(res, req)
		checkFailure(t, res, tt.status, tt.code)
		if got := res.Header().Get("Connection"); got != tt.connection {
			t.Errorf("a body that %s: Connection is %q, want %q", tt.name, got, tt.connection)
		}
	}
}

func TestARequestIsLoggedOnceAtTheLevelOfItsResult(t *testing.T) {
	for _, tt := range []struct {
		method, target string
		err            error
		want           []string
	}{
		{http.MethodPost, "/api/orders/", nil, []string{"level=DEBUG", "method=POST", "route=/api/orders ", "status=201", "duration_ms=", "request_id=the-request"}},
		{http.MethodGet, "/api/orders/x%0a/status", nil, []string{"level=INFO", "method=GET", "route=/api/orders/{order_id}/status", "status=404", `err="order not found"`}},
		{http.MethodGet, "/api/metrics", order.ErrUnavailable, []string{"level=WARN", "route=/api/metrics", "status=503"}},
		{"SMUGGLE", "/nowhere", nil, []string{"level=INFO", "method=other", "route=none", "status=404"}},
	} {
		_, logs := serve(failing{err: tt.err}, tt.method, tt.target)
		for _, want := range tt.want {
			if !strings.Contains(logs, want) {
				t.Errorf("%s %s logs %s, without %s", tt.method, tt.target, logs, want)
			}
		}
		if strings.Count(logs, "\n") != 1 || strings.Contains(logs, "secret") || strings.Contains(logs, "nowhere") {
			t.Errorf("%s %s logs %s", tt.method, tt.target, logs)
		}
	}
}

func TestAnExceededDeadlineIsAWarningAndACanceledRequestIsNot(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	exceeded, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for ctx, want := range map[context.Context]string{canceled: "level=DEBUG", exceeded: "level=WARN"} {
		var logs bytes.Buffer
		f := failing{err: ctx.Err()}
		handler := api.New(api.Config{
			Metrics: f, Now: time.Now, RequestID: func() string { return "the-request" },
			Log: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/metrics/", nil))
		if !strings.Contains(logs.String(), want) {
			t.Errorf("%v: logged %s", ctx.Err(), logs.String())
		}
	}
}

// A host can keep its own id of a request in the context, for the slog handler.
func TestTheLogGetsTheContextOfTheRequest(t *testing.T) {
	type key struct{}
	seen := contextHandler{slog.DiscardHandler, func(ctx context.Context) any { return ctx.Value(key{}) }, new(any)}
	ctx := context.WithValue(t.Context(), key{}, "the id of the host")
	handler := api.New(api.Config{Now: time.Now, RequestID: func() string { return "the-request" }, Log: slog.New(seen)})
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/nowhere", nil))
	if *seen.found != "the id of the host" {
		t.Errorf("the log got a context with %v", *seen.found)
	}
}

// A contextHandler stores in found what find returns for the context of a line.
type contextHandler struct {
	slog.Handler
	find  func(context.Context) any
	found *any
}

func (h contextHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h contextHandler) Handle(ctx context.Context, _ slog.Record) error {
	*h.found = h.find(ctx)
	return nil
}

func TestARequestIDIsEscapedInTheInstanceURI(t *testing.T) {
	req := httptest.NewRequest(http.MethodGet, "/nowhere", nil)
	req.Header.Set("X-Request-Id", `a%"<b>`)
	res := httptest.NewRecorder()
	api.New(api.Config{Now: time.Now, Log: slog.New(slog.DiscardHandler)}).ServeHTTP(res, req)
	if !strings.Contains(res.Body.String(), `"urn:orders:request:a%25%22%3Cb%3E"`) || res.Header().Get("X-Request-Id") != `a%"<b>` {
		t.Errorf("response %s, headers %v", res.Body, res.Header())
	}
}
