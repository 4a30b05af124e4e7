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
		{"CodeUri: functions/ids/", "CodeUri: functions/create/", "/api/orders/ids leads to functions/create, not functions/ids"},
		{"Method: ANY, Path: /api/orders/create }", "Method: POST, Path: /api/orders/create }", "/api/orders/create: Method is POST"},
		{"Path: /api/orders/create }", "Path: /api/orders/create, PayloadFormatVersion: \"1.0\" }", "/api/orders/create: unexpected PayloadFormatVersion"},
	}},
}

// functionOfPath says which function serves a path.
var functionOfPath = map[string]string{
	"/api/orders":                   "functions/create",
	"/api/orders/create":            "functions/create",
	"/api/orders/ids":               "functions/ids",
	"/api/orders/{order_id}":        "functions/status",
	"/api/orders/{order_id}/status": "functions/status",
	"/api/metrics":                  "functions/metrics",
}

// slash is the end of the route for the path with a final slash.
const slash = "/{proxy+}"

func checkRoutes(s *stack) {
	leadsTo := map[string]function{}
	for _, f := range s.functions() {
		for _, path := range f.paths(s) {
			if other, twice := leadsTo[path]; twice {
				s.fault("%s leads to %s and %s", path, other.ID, f.ID)
			}
			leadsTo[path] = f
			if strings.HasSuffix(path, "/") {
				s.fault("%s of %s ends in a slash, which an HTTP API ignores", path, f.ID)
			}
			if folder, ok := functionOfPath[strings.TrimSuffix(path, slash)]; !ok {
				s.fault("%s of %s is not a path of the API", path, f.ID)
			} else if f.folder != folder {
				s.fault("%s leads to %s, not %s", path, f.folder, folder)
			}
		}
	}
	for _, path := range apiPaths() {
		if _, ok := functionOfPath[path]; !ok {
			s.fault("the API has a path %s, which functionOfPath does not have", path)
		}
		for _, path := range []string{path, path + slash} {
			if _, ok := leadsTo[path]; !ok {
				s.fault("nothing serves %s", path)
			}
		}
	}
}

// paths returns the paths of a function's routes. All routes take any method: the code answers 405.
func (f function) paths(s *stack) []string {
	var paths []string
	for name, e := range f.events {
		if !strings.HasPrefix(name, "HttpApi/") {
			continue
		}
		path := fmt.Sprint(e["Path"])
		s.equal(path, e, map[string]any{"ApiId": "${OrdersApi}", "Method": "ANY", "Path": path})
		paths = append(paths, path)
	}
	slices.Sort(paths)
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
