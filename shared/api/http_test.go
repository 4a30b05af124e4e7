package api_test

import (
	"bufio"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/sqlite"
	"orders/test/conformance"
)

func TestHTTP(t *testing.T) { conformance.RunHTTP(t, openService) }

// openService returns a service with a SQLite store.
func openService(t *testing.T) conformance.Service {
	const processingTime = 50 * time.Millisecond
	logs := &conformance.LogBuffer{}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "orders.db"), ProcessingTime: processingTime,
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
	handler := api.New(api.Config{
		Orders: store, Metrics: store, Health: store.Ping,
		RequestID: rand.Text, Now: time.Now, Log: log,
	})
	return conformance.Service{
		Harness: conformance.Harness{Store: store, Metrics: store, ProcessingTime: processingTime},
		Do: func(req *http.Request) *http.Response {
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, req)
			return recorder.Result()
		},
		Logs: logs.Bytes,
	}
}
