// Package api is the HTTP interface of the order service: its routes, the checks of requests, and
// the responses. openapi.yaml is the contract with clients.
//
// Every response is JSON in UTF-8. An invalid request gets all its violations in one response
// (RFC 9457), and never a 5xx. No body is ever logged. The package depends on package order and
// net/http, and neither on the store nor on the server that runs the handler.
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

// OpenAPI is the content of openapi.yaml: the contract in OpenAPI 3.0.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Config configures a handler. Only Paths, Health, StoreLogs and Sampler are optional.
type Config struct {
	Orders  order.Store
	Metrics order.MetricsReader
	// Paths are the paths to serve, such as "/api/orders/{order_id}"; if it is nil, all of them. Any
	// other path has no route.
	Paths []string
	// Health returns nil while the service accepts orders. The probes /readyz and /healthz report
	// it. If Health is nil, there are no probes.
	Health func(context.Context) error
	// RequestID returns a new id for a request that has none: 1 to 100 visible ASCII characters.
	RequestID func() string
	Now       func() time.Time
	Log       *slog.Logger
	// StoreLogs means that Orders itself logs when it becomes unavailable and available again. A
	// create that fails in between is then logged at level debug only.
	StoreLogs bool
	// External means that workers complete and fail orders: they must say which version they have
	// seen.
	External bool
	// Sampler limits the lines in Log. If it is nil, the handler makes its own.
	Sampler *Sampler
}

type api struct {
	Config
	fallback error // for paths without a route
}

// A handler handles one method of one route. Its response or error is written by endpoint; an error
// becomes a problem (see problem.go).
type handler func(*http.Request) (response, error)

// routes are the handlers by path and method. Each path also works with a trailing slash, and each
// GET handler also handles HEAD.
func (a *api) routes() map[string]map[string]handler {
	routes := map[string]map[string]handler{
		"/api/orders":                   {http.MethodPost: a.create},
		"/api/orders/create":            {http.MethodPost: a.create},
		"/api/orders/ids":               {http.MethodGet: a.ids},
		"/api/orders/{order_id}":        {http.MethodGet: a.order},
		"/api/orders/{order_id}/status": {http.MethodGet: a.status},
		"/api/metrics":                  {http.MethodGet: a.metrics},
	}
	for _, t := range []order.Transition{order.Cancel, order.Complete, order.Fail, order.Retry} {
		routes["/api/orders/{order_id}/"+t.String()] = map[string]handler{http.MethodPost: a.transition(t)}
	}
	maps.Copy(routes, a.probes())
	return routes
}

// probes are the routes for monitoring. /livez reports that the process runs, /readyz that it
// accepts orders; /healthz is the old name of /readyz.
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

// New returns the handler of the routes. It may be used concurrently.
func New(cfg Config) http.Handler { return newHandler(cfg, (*api).servedRoutes, errNoRoute) }

// servedRoutes are the routes of Config.Paths.
func (a *api) servedRoutes() map[string]map[string]handler {
	routes := a.routes()
	maps.DeleteFunc(routes, func(path string, _ map[string]handler) bool {
		return a.Paths != nil && !slices.Contains(a.Paths, path)
	})
	return routes
}

// NewRefusing returns a handler that serves the probes, and responds to all other requests with the
// problem of err. It uses neither Orders nor Metrics.
func NewRefusing(cfg Config, err error) http.Handler { return newHandler(cfg, (*api).probes, err) }

func newHandler(cfg Config, routes func(*api) map[string]map[string]handler, fallback error) http.Handler {
	if cfg.Sampler == nil {
		cfg.Sampler = NewSampler(cfg.Log)
	}
	a := &api{cfg, fallback}
	mux := http.NewServeMux()
	for path, methods := range routes(a) {
		mux.Handle(path, a.endpoint(path, methods))
		mux.Handle(path+"/{$}", a.endpoint(path, methods))
	}
	mux.Handle("/", a.endpoint("none", nil))
	return withCleanPath(mux)
}

// Routes lists the routes, such as "POST /api/orders/create". Tests compare them with the contract
// and the deployment.
func Routes() []string {
	var list []string
	for path, methods := range (&api{Config: Config{Health: func(context.Context) error { return nil }}}).routes() {
		for method := range methods {
			list = append(list, method+" "+path)
		}
	}
	slices.Sort(list)
	return list
}
