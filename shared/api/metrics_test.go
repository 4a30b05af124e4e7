package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/order"
)

// counted is a tally that is always the same.
type counted order.Tally

func (c counted) Metrics(context.Context) (order.Tally, error) { return order.Tally(c), nil }

// A client that knows the response of before gets it byte for byte while the metrics are exact.
func TestMetricsSayWhenTheyAreNotExact(t *testing.T) {
	tally := order.Tally{ByStatus: order.Counts{1, 2, 3}, CompletedCount: 2, DurationSumMillis: 100_500}
	const exact = `{"total_orders":6,"avg_process_time":50.25,"status_counts":{"Pending":1,"Processing":2,"Completed":3}}`
	for inexact, want := range map[bool]string{false: exact, true: exact[:len(exact)-1] + `,"exact":false}`} {
		tally.Inexact = inexact
		res := httptest.NewRecorder()
		api.New(api.Config{
			Metrics: counted(tally), RequestID: func() string { return "r" }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		}).ServeHTTP(res, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/metrics/", nil))
		if got := res.Body.String(); res.Code != http.StatusOK || got != want {
			t.Errorf("inexact %t: %d %s, want %s", inexact, res.Code, got, want)
		}
	}
}
