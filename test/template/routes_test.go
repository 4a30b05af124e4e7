package template

import (
	"fmt"
	"slices"
	"strings"

	"orders/shared/api"
)

var routeRules = []rule{
	{"every path of the API has a route to its function, with and without a final slash", checkRoutes, []edit{
		{"/api/metrics/{proxy+}", "/api/metric/{proxy+}", "nothing serves /api/metrics/{proxy+}"},
		{"/api/metrics/{proxy+}", "/api/metric/{proxy+}", "/api/metric/{proxy+} of MetricsFunction is not a path of the API"},
		{"\"/api/metrics/{proxy+}\"", "/api/metrics/", "/api/metrics/ of MetricsFunction ends in a slash"},
		{"Path: /api/orders/ids }", "Path: /api/orders }", "/api/orders leads to CreateFunction and IdsFunction"},
		{"Default: { Type: HttpApi, Properties: { ApiId: !Ref OrdersApi } }", "Default: { Type: HttpApi, Properties: { ApiId: !Ref OrdersApi, Method: ANY, Path: /x } }", "nothing serves $default"},
		{"CodeUri: functions/fallback/", "CodeUri: functions/create/", "/api/orders/{proxy+} leads to functions/create, not functions/fallback"},
		{"CodeUri: functions/transition/", "CodeUri: functions/status/", "/api/orders/{order_id}/retry leads to functions/status, not functions/transition"},
		{"CodeUri: functions/ids/", "CodeUri: functions/create/", "/api/orders/ids leads to functions/create, not functions/ids"},
		{"Method: ANY, Path: /api/orders/create }", "Method: POST, Path: /api/orders/create }", "/api/orders/create: Method is POST"},
		{"Path: /api/orders/create }", "Path: /api/orders/create, PayloadFormatVersion: \"1.0\" }", "/api/orders/create: unexpected PayloadFormatVersion"},
	}},
}

// functionOfPath says which function serves a path.
var functionOfPath = map[string]string{
	"/api/orders":                     "functions/create",
	"/api/orders/create":              "functions/create",
	"/api/orders/ids":                 "functions/ids",
	"/api/orders/{order_id}":          "functions/status",
	"/api/orders/{order_id}/status":   "functions/status",
	"/api/orders/{order_id}/cancel":   "functions/transition",
	"/api/orders/{order_id}/complete": "functions/transition",
	"/api/orders/{order_id}/fail":     "functions/transition",
	"/api/orders/{order_id}/retry":    "functions/transition",
	"/api/metrics":                    "functions/metrics",
}

const (
	// slash is the end of the route for the path with a final slash.
	slash = "/{proxy+}"

	fallback     = "functions/fallback"
	defaultRoute = "$default"
)

// functionOfRoute returns the folder of the function that a route is to lead to, "" if the API has no
// such route. Where {proxy+} takes no empty rest, every path with a final slash reaches one of the
// fallback's three routes.
func functionOfRoute(route string) string {
	switch route {
	case "/api/orders" + slash, "/api/orders/{order_id}" + slash, defaultRoute:
		return fallback
	default:
		return functionOfPath[strings.TrimSuffix(route, slash)]
	}
}

func checkRoutes(s *stack) {
	leadsTo := map[string]function{}
	for _, f := range s.functions() {
		for _, route := range f.routes(s) {
			if other, twice := leadsTo[route]; twice {
				s.fault("%s leads to %s and %s", route, other.ID, f.ID)
			}
			leadsTo[route] = f
			if strings.HasSuffix(route, "/") {
				s.fault("%s of %s ends in a slash, which an HTTP API ignores", route, f.ID)
			}
			if folder := functionOfRoute(route); folder == "" {
				s.fault("%s of %s is not a path of the API", route, f.ID)
			} else if f.folder != folder {
				s.fault("%s leads to %s, not %s", route, f.folder, folder)
			}
		}
	}
	wanted := []string{defaultRoute}
	for _, path := range apiPaths() {
		if functionOfPath[path] == "" {
			s.fault("the API has a path %s, which functionOfPath does not have", path)
		}
		wanted = append(wanted, path, path+slash)
	}
	for _, route := range wanted {
		if _, ok := leadsTo[route]; !ok {
			s.fault("nothing serves %s", route)
		}
	}
}

// routes returns the paths of a function's routes, and $default for the route without a path. All
// routes take any method: the code answers 405.
func (f function) routes(s *stack) []string {
	var routes []string
	for name, e := range f.events {
		if !strings.HasPrefix(name, "HttpApi/") {
			continue
		}
		route, want := defaultRoute, map[string]any{"ApiId": "${OrdersApi}"}
		if path, ok := e["Path"]; ok {
			route = fmt.Sprint(path)
			want["Method"], want["Path"] = "ANY", path
		}
		s.equal(route, e, want)
		routes = append(routes, route)
	}
	slices.Sort(routes)
	return routes
}

// paths returns the paths of the API that a function serves.
func (f function) paths() (paths []string) {
	for _, path := range apiPaths() {
		if f.folder == fallback || f.folder == functionOfPath[path] {
			paths = append(paths, path)
		}
	}
	return paths
}

// apiPaths returns the paths of the API without the health probes, which AWS does not need. A test in
// test/conformance compares them with openapi.yaml.
func apiPaths() []string {
	var paths []string
	for _, route := range api.Routes() {
		_, path, _ := strings.Cut(route, " ")
		if strings.HasPrefix(path, "/api/") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
