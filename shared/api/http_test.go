package api_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/ordertest"
	"orders/shared/sqlite"
)

func TestHTTP(t *testing.T) { ordertest.RunHTTP(t, openService) }

// openService is the handler over a real file.
func openService(t *testing.T) ordertest.Service {
	const processingTime = 50 * time.Millisecond
	logs := &logBuffer{}
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
	return ordertest.Service{
		Home: ordertest.Home{Store: store, Metrics: store, Deliver: store.Deliver, ProcessingTime: processingTime},
		Do: func(req *http.Request) *http.Response {
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, req)
			return recorder.Result()
		},
		Logs: logs.Bytes,
	}
}

// A logBuffer keeps log lines that come from many goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}
