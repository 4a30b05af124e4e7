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

// A response is an answer that is ready to be written.
type response struct {
	status  int
	header  []headerField // besides those that every answer has
	problem bool          // of the media type of problems
	body    []byte
	orderID order.ID // whom it is about, for the log
}

// A headerField has its name in canonical form.
type headerField struct{ name, value string }

// The values that many answers share.
var (
	typeJSON    = []string{"application/json"}
	typeProblem = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
)

// endpoint answers all requests for one path. It is the one place that writes
// to the client and to the log; with no methods it answers as for no such path.
func (a *api) endpoint(route string, methods map[string]handler) http.Handler {
	if get, ok := methods[http.MethodGet]; ok {
		methods = maps.Clone(methods)
		methods[http.MethodHead] = get
	}
	allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := a.Now()
		id := a.requestID(r)
		res, err := a.answer(r, methods, allow)
		if err != nil {
			res = problemOf(err, id, res.orderID)
		}
		res.write(w, r.Method, id)

		a.Sampler.tick(began)
		if level := a.levelOf(r, res.status); a.logs(r, began, level, route, res.status) {
			a.log(r, level, route, id, res, err, a.Now().Sub(began))
		}
	})
}

// logs reports whether a request leaves a line: at level debug every request does.
func (a *api) logs(r *http.Request, now time.Time, level slog.Level, route string, status int) bool {
	return a.Log.Enabled(r.Context(), level) &&
		(a.Log.Enabled(r.Context(), slog.LevelDebug) || a.Sampler.Allow(now, level, route, status))
}

// write sends the response, with the headers that every answer has.
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
		// An error here means that the client has gone; it has nobody to tell.
		_, _ = w.Write(res.body)
	}
}

// answerStatus says what became of an order. This is the answer that most requests
// get, and neither of its texts holds a character that JSON escapes.
func answerStatus(httpStatus int, id order.ID, s order.Status) response {
	return response{
		status: httpStatus, orderID: id,
		body: []byte(`{"order_id":"` + string(id) + `","status":"` + s.String() + `"}`),
	}
}

// answerJSON is the answer that holds v and is about the order of that id.
func answerJSON(id order.ID, v any) (response, error) {
	body, err := json.Marshal(v)
	return response{status: http.StatusOK, body: body, orderID: id}, err
}

// answer finds who answers, and turns a panic into an error, so that one bad
// request harms no other.
func (a *api) answer(r *http.Request, methods map[string]handler, allow string) (res response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if len(methods) == 0 {
		return response{}, a.elsewhere
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

// accepts reports whether an Accept header (RFC 9110, section 12.5.1) leaves room
// for JSON: the most specific range that covers it has a weight above 0. A header
// that cannot be read excludes nothing.
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
		if n := covering[media]; n > specificity {
			weight, err := strconv.ParseFloat(parameters["q"], 64)
			specificity, accepted = n, err != nil || weight > 0
		}
	}
	return accepted
}

// covering ranks the media ranges that cover application/json.
var covering = map[string]int{"*/*": 1, "application/*": 2, "application/json": 3}

// requestID is the id that the client gave the request, or a new one.
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

// levelOf makes the default level quiet as long as all goes well, also when a client
// does not wait for its answer; a deadline that passes is no client's doing.
func (a *api) levelOf(r *http.Request, status int) slog.Level {
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

// log writes the one line of a request. Nothing that the client wrote is in it but
// the request id, which is visible ASCII. The handler of the log gets the request's
// context, in which a host may have put its own name for the request.
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

// knownMethod keeps what a client may put for a method out of the log.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	default:
		return "other"
	}
}

// cleanPath serves a path with empty or dot segments, such as a base URL's slash
// and the path's own make, as what it means, where a ServeMux would redirect.
// Escaped characters stay as they are.
func cleanPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if escaped := r.URL.EscapedPath(); escaped != cleaned(escaped) {
			if u, err := r.URL.Parse(cleaned(escaped)); err == nil {
				u.RawQuery = r.URL.RawQuery
				r = r.WithContext(context.WithValue(r.Context(), uncleanPath{}, escaped))
				r.URL = u
			}
		}
		next.ServeHTTP(w, r)
	})
}

// uncleanPath is the key of the path that cleanPath has replaced.
type uncleanPath struct{}

// sentPath is the path of a request as it was sent, escaped if it was unclean.
func sentPath(r *http.Request) string {
	if r.RequestURI == r.URL.Path {
		return r.RequestURI // as from most clients, and cheaper than to look at the context
	}
	if path, ok := r.Context().Value(uncleanPath{}).(string); ok {
		return path
	}
	return r.URL.Path
}

func cleaned(p string) string {
	if !strings.Contains(p, "//") && !strings.Contains(p, "/.") && strings.HasPrefix(p, "/") {
		return p
	}
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}
