package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orders/shared/api"
	"orders/shared/order"
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
	return order.Order{ID: anID}, false, f.fail()
}
func (f failing) Get(context.Context, order.ID) (order.Order, error) { return order.Order{}, f.fail() }
func (f failing) List(context.Context, int, string) (order.Page, error) {
	return order.Page{}, f.fail()
}
func (f failing) Transition(context.Context, order.ID, order.TransitionRequest) (order.Order, error) {
	return order.Order{}, f.fail()
}
func (f failing) Metrics(context.Context) (order.Tally, error) { return order.Tally{}, f.fail() }
func (f failing) Health(context.Context) error                 { return f.fail() }

const anID = order.ID("ORD00000000000000000000000000")

// A service is a handler over a failing store, with its log and a clock.
type service struct {
	http.Handler
	api.Config
	clock time.Time
	step  time.Duration // that the clock goes on with each reading
	logs  bytes.Buffer
}

func newService(f failing, level slog.Level) *service {
	s := &service{clock: time.Unix(1_700_000_000, 0)}
	log := slog.New(slog.NewTextHandler(&s.logs, &slog.HandlerOptions{Level: level}))
	s.Config = api.Config{
		Orders: f, Metrics: f, Health: f.Health, Log: log, Sampler: api.NewSampler(log),
		RequestID: func() string { return "the-request" },
		Now:       func() time.Time { s.clock = s.clock.Add(s.step); return s.clock },
	}
	s.Handler = api.New(s.Config)
	return s
}

// send sends a request, and returns the response and the lines that were logged.
func (s *service) send(r *http.Request) (*httptest.ResponseRecorder, string) {
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	defer s.logs.Reset()
	return recorder, s.logs.String()
}

// newRequest returns a request with a valid body: that of a create, or of a transition.
func newRequest(method, target string) *http.Request {
	body := `{"user_id": "a secret", "item_ids": [1], "total_amount": 1}`
	if strings.HasPrefix(target, "/api/orders/ORD") {
		body = `{"reason": "a secret", "version": 1}`
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}
