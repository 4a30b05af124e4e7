package api

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"orders/shared/order"
)

// A response is complete, and not yet written.
type response struct {
	status  int
	header  []headerField // in addition to those that every response has
	problem bool          // whether the body is of the media type of problems
	body    []byte
	orderID order.ID // for the log
}

// A headerField is a header. Its name has the canonical form.
type headerField struct{ name, value string }

// Header values that many responses share; sharing saves allocations.
var (
	typeJSON    = []string{"application/json"}
	typeProblem = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
)

// endpoint returns the handler for one path. It is the only code that writes responses and log
// lines. Without methods it responds that the path has no route.
func (a *api) endpoint(route string, methods map[string]handler) http.Handler {
	if get, ok := methods[http.MethodGet]; ok {
		methods = maps.Clone(methods)
		methods[http.MethodHead] = get
	}
	allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := a.Now()
		id := a.requestID(r)
		res, err := a.dispatch(r, methods, allow)
		if err != nil {
			res = newProblemResponse(err, id, res.orderID)
		}
		res.write(w, r.Method, id)

		a.Sampler.tick(began)
		level, ctx := a.logLevel(r, res.status), r.Context()
		if a.Log.Enabled(ctx, slog.LevelDebug) || // then every request is logged
			a.Log.Enabled(ctx, level) && a.Sampler.Allow(began, level, route, res.status) {
			a.log(r, level, route, id, res, err, a.Now().Sub(began))
		}
	})
}

// write writes the response, with the headers that every response has.
func (res response) write(w http.ResponseWriter, method, requestID string) {
	header := w.Header()
	header["Content-Type"] = typeJSON
	if res.problem {
		header["Content-Type"] = typeProblem
	}
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	header["X-Request-Id"] = []string{requestID}
	header["Content-Length"] = []string{strconv.Itoa(len(res.body))}
	for _, f := range res.header {
		header[f.name] = []string{f.value}
	}
	w.WriteHeader(res.status)
	if method != http.MethodHead {
		_, _ = w.Write(res.body) // it fails only if the client is gone
	}
}

// newStatusResponse returns the response with the id and the status of an order. It is the most
// frequent one, and so built without an encoder: neither text has a character that JSON escapes.
func newStatusResponse(httpStatus int, id order.ID, s order.Status) response {
	return response{
		status: httpStatus, orderID: id,
		body: []byte(`{"order_id":"` + string(id) + `","status":"` + s.String() + `"}`),
	}
}

// newJSONResponse returns a response with the body v. id is for the log, "" if it concerns no order.
func newJSONResponse(id order.ID, v any) (response, error) {
	body, err := json.Marshal(v)
	return response{status: http.StatusOK, body: body, orderID: id}, err
}

// dispatch calls the handler of the request's method. It turns a panic into an error, so that a bug
// does not break other requests.
func (a *api) dispatch(r *http.Request, methods map[string]handler, allow string) (res response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if len(methods) == 0 {
		return response{}, a.fallback
	}
	handle, ok := methods[r.Method]
	if !ok {
		return response{}, &methodError{allow}
	}
	if !accepts(r.Header["Accept"]) {
		return response{}, errNotAcceptable
	}
	return handle(r)
}

// accepts reports whether an Accept header (RFC 9110, section 12.5.1) allows JSON: the most specific
// range that matches has a weight above 0. A malformed header allows everything.
func accepts(values []string) bool {
	header := strings.Join(values, ",")
	if strings.Trim(header, " ,") == "" || header == "*/*" {
		return true
	}
	specificity, accepted := 0, false
	for text := range strings.SplitSeq(header, ",") {
		media, parameters, err := mime.ParseMediaType(text)
		if err != nil && strings.TrimSpace(text) != "" {
			return true
		}
		if n := jsonRangeRank[media]; n > specificity {
			weight, err := strconv.ParseFloat(parameters["q"], 64)
			specificity, accepted = n, err != nil || weight > 0
		}
	}
	return accepted
}

// jsonRangeRank ranks the media ranges that match application/json by how specific they are.
var jsonRangeRank = map[string]int{"*/*": 1, "application/*": 2, "application/json": 3}

// requestID returns the X-Request-Id header if it is valid, otherwise a new id.
func (a *api) requestID(r *http.Request) string {
	if ids := r.Header["X-Request-Id"]; len(ids) == 1 && visibleASCII(ids[0], 100) {
		return ids[0]
	}
	return a.RequestID()
}

// visibleASCII reports whether s has 1 to limit visible ASCII characters and no others.
func visibleASCII(s string, limit int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= limit
}

// logLevel returns the level at which a request is logged. A request that succeeds, or that its
// client cancels, is invisible at the default level. A deadline is not set by the client, and so an
// exceeded one counts as a failure.
func (a *api) logLevel(r *http.Request, status int) slog.Level {
	abandoned := errors.Is(r.Context().Err(), context.Canceled)
	unavailable := status == http.StatusServiceUnavailable
	switch {
	case abandoned, unavailable && a.StoreLogs && r.Method == http.MethodPost:
		return slog.LevelDebug
	case unavailable:
		return slog.LevelWarn
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case status >= http.StatusBadRequest:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// log writes the one line of a request. The request id, which is visible ASCII, is the only text of
// the client in it. The slog handler gets the context of the request, in which a host can keep its
// own id of the request.
func (a *api) log(r *http.Request, level slog.Level, route, id string, res response, err error, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("method", knownMethod(r.Method)), slog.String("route", route), slog.Int("status", res.status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.String("request_id", id),
	}
	if res.orderID != "" {
		attrs = append(attrs, slog.String("order_id", string(res.orderID)))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	a.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// knownMethod returns m if it is a standard method, and "other" for any text that a client invents.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	default:
		return "other"
	}
}

// withCleanPath serves a path with empty or dot segments like the clean path, where a ServeMux would
// redirect. Clients send such paths when they append "/api" to a base URL with a trailing slash.
// Escaped characters stay escaped.
func withCleanPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if escaped := r.URL.EscapedPath(); escaped != cleanPath(escaped) {
			if u, err := r.URL.Parse(cleanPath(escaped)); err == nil {
				u.RawQuery = r.URL.RawQuery
				r = r.WithContext(context.WithValue(r.Context(), originalPathKey{}, escaped))
				r.URL = u
			}
		}
		next.ServeHTTP(w, r)
	})
}

// originalPathKey is the context key of the path that withCleanPath has replaced.
type originalPathKey struct{}

// originalPath returns the path of a request as it was sent; escaped, if withCleanPath replaced it.
func originalPath(r *http.Request) string {
	if r.RequestURI == r.URL.Path {
		return r.RequestURI // the common case, without a look into the context
	}
	if path, ok := r.Context().Value(originalPathKey{}).(string); ok {
		return path
	}
	return r.URL.Path
}

func cleanPath(p string) string {
	if !strings.Contains(p, "//") && !strings.Contains(p, "/.") && strings.HasPrefix(p, "/") {
		return p
	}
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}
