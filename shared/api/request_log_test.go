package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/order"
)

// A creating store accepts every order under the same id.
type creating struct{ failing }

func (creating) Create(context.Context, order.Draft) (order.Order, bool, error) {
	return order.Order{ID: "ORD00000000000000000000000000"}, false, nil
}

// exchange sends one valid create or one read to a service whose requests take 1.234567 s, and
// returns the response and the log.
func exchange(t *testing.T, method, target string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var logs bytes.Buffer
	began, calls := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), 0
	handler := api.New(api.Config{
		Orders: creating{}, Metrics: creating{}, Health: creating{}.Health,
		Now: func() time.Time {
			calls++
			return began.Add(time.Duration(min(calls-1, 1)) * 1_234_567 * time.Microsecond)
		},
		RequestID: func() string { return "the-request" },
		Log:       slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	req := httptest.NewRequest(method, target, strings.NewReader(validOrder))
	req.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	return recorder, logs.String()
}

func TestTheLogHasTheDurationOfARequestAndTheIDOfItsOrder(t *testing.T) {
	const id = "order_id=ORD00000000000000000000000000"
	_, logs := exchange(t, http.MethodPost, "/api/orders/create/")
	if !strings.Contains(logs, "duration_ms=1234.567 ") || !strings.Contains(logs, id) {
		t.Errorf("a create logs %s", logs)
	}
	if _, logs := exchange(t, http.MethodGet, "/api/metrics/"); !strings.Contains(logs, "duration_ms=1234.567 ") || strings.Contains(logs, "order_id") {
		t.Errorf("a request without an order logs %s", logs)
	}
}

// I1.
func TestTheQueryOfACreateDoesNotChangeItsLocation(t *testing.T) {
	plain, _ := exchange(t, http.MethodPost, "/api/orders/create/")
	query, _ := exchange(t, http.MethodPost, "/api/orders/create/?from=/a/b/")
	if want := plain.Header().Get("Location"); want == "" || query.Header().Get("Location") != want {
		t.Errorf("Location is %q with a query and %q without one", query.Header().Get("Location"), want)
	}
}

func TestLinesOfOneKindAreCountedOnlyFromTheEleventhOfASecond(t *testing.T) {
	for lines, want := range map[int]string{10: "", 11: "count=1"} {
		var logs bytes.Buffer
		sampler := api.NewSampler(slog.New(slog.NewTextHandler(&logs, nil)))
		for range lines {
			sampler.Allow(time.Unix(1, 0), slog.LevelInfo, "route", http.StatusBadRequest)
		}
		sampler.Flush()
		if got := logs.String(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%d lines log %q, want %q", lines, got, want)
		}
	}
}
