package api_test

import (
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

	"orders/shared/api"
	"orders/shared/order"
)

// everyRoute has a request for each route.
var everyRoute = []struct{ method, target string }{
	{http.MethodPost, "/api/orders/create/"},
	{http.MethodGet, "/api/orders/ORD00000000000000000000000000/"},
	{http.MethodGet, "/api/orders/ORD00000000000000000000000000/status/"},
	{http.MethodPost, "/api/orders/ORD00000000000000000000000000/cancel/"},
	{http.MethodPost, "/api/orders/ORD00000000000000000000000000/complete/"},
	{http.MethodPost, "/api/orders/ORD00000000000000000000000000/fail/"},
	{http.MethodPost, "/api/orders/ORD00000000000000000000000000/retry/"},
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
		s := newService(failing{err: err}, slog.LevelDebug)
		for _, r := range everyRoute {
			res, logs := s.send(newRequest(r.method, r.target))
			checkFailure(t, res, http.StatusServiceUnavailable, "unavailable")
			if res.Header().Get("Retry-After") != "1" || !strings.Contains(logs, "level=WARN") || !strings.Contains(logs, "err=") {
				t.Errorf("%s %s: headers %v, logged %s", r.method, r.target, res.Header(), logs)
			}
		}
	}
}

// I15: a bug ends one request, and only the log has the details.
func TestAPanicOrAnUnknownErrorIsA500WithoutDetails(t *testing.T) {
	for _, f := range []failing{{err: errors.New("at /secret/path")}, {err: errors.New("at /secret/path"), panics: true}} {
		s := newService(f, slog.LevelDebug)
		for _, r := range everyRoute {
			res, logs := s.send(newRequest(r.method, r.target))
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
	var problem struct{ Title, Code, Instance string }
	if err := json.Unmarshal(res.Body.Bytes(), &problem, json.MatchCaseInsensitiveNames(true)); err != nil {
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
		req := newRequest(http.MethodPost, "/api/orders/")
		req.Body, req.ContentLength = io.NopCloser(tt.body), tt.length
		res, _ := newService(failing{}, slog.LevelInfo).send(req)
		checkFailure(t, res, tt.status, tt.code)
		if got := res.Header().Get("Connection"); got != tt.connection {
			t.Errorf("a body that %s: Connection is %q, want %q", tt.name, got, tt.connection)
		}
	}
}

func TestARequestIDIsEscapedInTheInstanceURI(t *testing.T) {
	req := newRequest(http.MethodGet, "/nowhere")
	req.Header.Set("X-Request-Id", `a%"<b>`)
	res, _ := newService(failing{}, slog.LevelInfo).send(req)
	if !strings.Contains(res.Body.String(), `"urn:orders:request:a%25%22%3Cb%3E"`) || res.Header().Get("X-Request-Id") != `a%"<b>` {
		t.Errorf("response %s, headers %v", res.Body, res.Header())
	}
}

func TestLivezReportsTheProcessAndReadyzTheStore(t *testing.T) {
	for health, ready := range map[error]int{nil: 200, errors.New("a commit has been under way for 6 s"): 503} {
		s := newService(failing{err: health}, slog.LevelInfo)
		for target, status := range map[string]int{"/livez": 200, "/livez/": 200, "/readyz": ready, "/readyz/": ready, "/healthz": ready} {
			res, _ := s.send(newRequest("GET", target))
			if res.Code != status || status == 200 && res.Body.String() != `{"status":"ok"}` || status == 503 && res.Header().Get("Retry-After") != "1" {
				t.Errorf("health %v: %s: %d %v %s, want %d", health, target, res.Code, res.Header(), res.Body, status)
			}
		}
	}
}

func TestARefusingHandlerServesOnlyTheProbes(t *testing.T) {
	for err, want := range map[error]struct {
		status int
		code   string
	}{
		api.ErrMisdirected: {421, "misdirected_request"},
		fmt.Errorf("%w: the database file is being opened", order.ErrUnavailable): {503, "unavailable"},
	} {
		s := newService(failing{}, slog.LevelInfo)
		s.Handler = api.NewRefusing(s.Config, err)
		for _, target := range []string{"/livez", "/readyz", "/healthz"} {
			if res, _ := s.send(newRequest("GET", target)); res.Code != 200 {
				t.Errorf("%v: %s: %d", err, target, res.Code)
			}
		}
		for _, r := range append(everyRoute, struct{ method, target string }{"DELETE", "/nowhere"}) {
			res, _ := s.send(newRequest(r.method, r.target))
			checkFailure(t, res, want.status, want.code)
		}
	}
}

func TestWorkersMustSayWhichVersionTheyHaveSeen(t *testing.T) {
	for _, tt := range []struct {
		external         bool
		transition, body string
		want             int
	}{
		{false, "complete", "", http.StatusOK},
		{false, "fail", `{"reason": "no stock"}`, http.StatusOK},
		{false, "retry", "{}", http.StatusBadRequest},
		{true, "complete", "", http.StatusBadRequest},
		{true, "complete", "{}", http.StatusBadRequest},
		{true, "complete", `{"version": 2}`, http.StatusOK},
		{true, "fail", `{"reason": "no stock"}`, http.StatusBadRequest},
		{true, "fail", `{"version": 2}`, http.StatusBadRequest},
		{true, "fail", `{"reason": "no stock", "version": 2}`, http.StatusOK},
		{true, "cancel", "", http.StatusOK},
		{true, "cancel", "{}", http.StatusOK},
	} {
		s := newService(failing{}, slog.LevelInfo)
		s.External = tt.external
		s.Handler = api.New(s.Config)
		r := newRequest(http.MethodPost, "/api/orders/"+string(anID)+"/"+tt.transition+"/")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(tt.body)), int64(len(tt.body))
		if res, _ := s.send(r); res.Code != tt.want {
			t.Errorf("external %t, %s %s: %d %s, not %d", tt.external, tt.transition, tt.body, res.Code, res.Body, tt.want)
		}
	}
}
