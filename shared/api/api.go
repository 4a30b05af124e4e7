// Package api is the HTTP interface of the order service: routes, what is asked
// of a request, and what is answered. openapi.yaml describes it from outside.
//
// It promises that every answer is JSON in UTF-8, that a request with faults is
// told all of them at once (RFC 9457), that bad input never gives a 5xx, and that
// no body is ever logged. It knows orders and net/http, and nothing of where orders
// are kept or what serves the handler.
package api

import (
	"context"
	_ "embed"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"orders/shared/order"
)

// OpenAPI is openapi.yaml: the HTTP interface in OpenAPI 3.0.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Config is what the handler needs.
type Config struct {
	Orders  order.Store
	Metrics order.MetricsReader
	// Health answers the probes /readyz and /healthz: nil while orders are taken. Without
	// the function there are no probes.
	Health func(context.Context) error
	// RequestID makes the id of a request that brings none: 1 to 100 visible
	// ASCII characters, not twice the same.
	RequestID func() string
	Now       func() time.Time
	Log       *slog.Logger
	// StoreLogs says that Orders logs by itself when it becomes unavailable and when that is
	// over, so that a create that is refused meanwhile leaves no line of its own.
	StoreLogs bool
	// Sampler bounds the lines in Log; without one the handler has its own.
	Sampler *Sampler
}

type api struct {
	Config
	elsewhere error // what is answered where there is no route
}

// A handler answers one method of one route. An error becomes a problem
// (see problem.go); nothing else writes to the client.
type handler func(*http.Request) (response, error)

// routes names every path, without the trailing slash that each may have, and
// what answers its methods. A HEAD is answered like a GET.
func (a *api) routes() map[string]map[string]handler {
	routes := map[string]map[string]handler{
		"/api/orders":                   {http.MethodPost: a.create},
		"/api/orders/create":            {http.MethodPost: a.create},
		"/api/orders/ids":               {http.MethodGet: a.ids},
		"/api/orders/{order_id}":        {http.MethodGet: a.order},
		"/api/orders/{order_id}/status": {http.MethodGet: a.status},
		"/api/metrics":                  {http.MethodGet: a.metrics},
	}
	maps.Copy(routes, a.probes())
	return routes
}

// probes are the routes for whoever watches over the process. /livez says that it runs; /readyz,
// and /healthz, the older name of the same, that it takes orders.
func (a *api) probes() map[string]map[string]handler {
	if a.Health == nil {
		return nil
	}
	return map[string]map[string]handler{
		"/livez":   {http.MethodGet: a.live},
		"/readyz":  {http.MethodGet: a.ready},
		"/healthz": {http.MethodGet: a.ready},
	}
}

// New returns the handler of all routes.
func New(cfg Config) http.Handler {
	a := newAPI(cfg, errNoRoute)
	return a.handler(a.routes())
}

// NewRefusing returns a handler that answers the probes, and whatever else is asked with the
// problem that err is. It needs neither Orders nor Metrics.
func NewRefusing(cfg Config, err error) http.Handler {
	a := newAPI(cfg, err)
	return a.handler(a.probes())
}

func newAPI(cfg Config, elsewhere error) *api {
	if cfg.Sampler == nil {
		cfg.Sampler = NewSampler(cfg.Log)
	}
	return &api{cfg, elsewhere}
}

func (a *api) handler(routes map[string]map[string]handler) http.Handler {
	mux := http.NewServeMux()
	for path, methods := range routes {
		mux.Handle(path, a.endpoint(path, methods))
		mux.Handle(path+"/{$}", a.endpoint(path, methods))
	}
	mux.Handle("/", a.endpoint("none", nil))
	return cleanPath(mux)
}

// Routes lists the routes, such as "POST /api/orders/create", for the contract
// and the deployment to be compared with.
func Routes() []string {
	var list []string
	for path, methods := range (&api{Config: Config{Health: func(context.Context) error { return nil }}}).routes() {
		for method := range maps.Keys(methods) {
			list = append(list, method+" "+path)
		}
	}
	slices.Sort(list)
	return list
}
